"""Every rule of every delegate: a file that breaks it, and one just inside that keeps it."""

from __future__ import annotations

import pytest

from portrait_tflite.convert.delegates.gpu import GPU_RULES, predict_gpu
from portrait_tflite.convert.delegates.rule import Rule, first_broken
from portrait_tflite.convert.delegates.site import Site
from portrait_tflite.convert.delegates.xnnpack import XNNPACK_FATAL_RULES, XNNPACK_RULES
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model, runs_on
from portrait_tflite.vocabulary import Delegate

from .gpu_cases import GPU_CASES
from .one_op import FLOAT, INT8, T, file_of, ints, pool, weights
from .random_models import loads
from .rule_files import Case, scaled
from .test_xnnpack_rules import disagreement
from .xnnpack_cases import FATAL_CASES, XNNPACK_CASES

# What not even the built-in kernels load here: such a file is audited by the rules alone.
NEVER_LOADED = {
    "activation_scales",
    "custom",
    "dense_format FULLY_CONNECTED",
    "filter_rank CONV_2D",
    "groups CONV_2D",
    "joined_axis CONCATENATION",
    "mixed",
    "negative_paddings PAD",
    "no_bias CONV_2D",
}
# What two rules refuse, with another reason or fix each: the second one of them.
TWICE_REFUSED = {
    "float_only": "activations",
    "input_count CONCATENATION": "input_count",
    "input_count": "no_bias CONV_2D",
    "mixed DEPTHWISE_CONV_2D": "mixed",
    "reduced_axes MEAN": "computed_parameters MEAN",
}


def key_of(rule: Rule) -> str:
    """Name a rule: its function, and of which ops where several have it."""
    name = rule.breaks.__name__.strip("_")
    return f"{name} {min(rule.ops)}" if rule.ops else name


TABLES = (
    (XNNPACK_RULES, XNNPACK_CASES),
    (XNNPACK_FATAL_RULES, FATAL_CASES),
    (GPU_RULES, GPU_CASES),
)
EACH = [
    pytest.param(rule, cases, id=f"{name} {key_of(rule)}")
    for (rules, cases), name in zip(TABLES, ("xnnpack", "fatal", "gpu"), strict=True)
    for rule in rules
]


def _refuses(rule: Rule, data: bytes) -> bool:
    model = read_model(data)
    nodes = list_nodes(model)
    unpacked = frozenset(o.index for n in nodes if n.op == "DEQUANTIZE" for o in n.outputs)
    sites = (Site(node, model.subgraphs[0].tensors, unpacked, unpacked) for node in nodes)
    return any(first_broken([rule], site) for site in sites)


@pytest.mark.parametrize(("rules", "cases"), TABLES)
def test_there_is_a_case_for_every_rule(rules: tuple[Rule, ...], cases: dict[str, Case]) -> None:
    assert [key_of(rule) for rule in rules] == list(cases)


@pytest.mark.parametrize(("rule", "cases"), EACH)
def test_a_rule_refuses_what_breaks_it_and_nothing_just_inside(
    rule: Rule, cases: dict[str, Case]
) -> None:
    case = cases[key_of(rule)]
    assert _refuses(rule, case.broken)
    assert not _refuses(rule, case.inside)


@pytest.mark.parametrize("rule", XNNPACK_RULES, ids=key_of)
def test_the_runtime_agrees_and_without_the_rule_it_does_not(rule: Rule) -> None:
    case = XNNPACK_CASES[key_of(rule)]
    assert loads(case.inside)
    assert disagreement(case.inside) == ""
    assert loads(case.broken) is (key_of(rule) not in NEVER_LOADED)
    if key_of(rule) in NEVER_LOADED:
        return
    assert disagreement(case.broken) == ""
    gone = {key_of(rule), TWICE_REFUSED.get(key_of(rule))}
    without = [other for other in XNNPACK_RULES if key_of(other) not in gone]
    assert disagreement(case.broken, without)


@pytest.mark.parametrize("rule", XNNPACK_FATAL_RULES, ids=key_of)
def test_the_runtime_gives_up_on_what_breaks_it(rule: Rule) -> None:
    case = FATAL_CASES[key_of(rule)]
    assert loads(case.broken)
    assert disagreement(case.broken) == disagreement(case.inside) == ""
    assert open_model(case.inside).partitions == 1
    with pytest.raises(UsageError):
        open_model(case.broken)


@pytest.mark.parametrize(
    ("op", "read", "written", "taken"),
    [
        ("EQUAL", "float32", "bool", True),
        ("EQUAL", "int32", "bool", False),
        ("LOGICAL_AND", "bool", "bool", True),
        ("CAST", "bool", "float32", True),
        ("CAST", "float32", "int32", True),
        ("CAST", "int64", "float32", False),
        ("CAST", "float32", "int8", False),
        ("CAST", "bool", "int32", False),
        ("ADD", "bool", "bool", False),
    ],
)
def test_which_types_the_gpu_reads_and_writes(
    op: str, read: str, written: str, taken: bool
) -> None:
    sources = [T(dtype=read)] * (1 if op == "CAST" else 2)
    data = file_of(op, sources, T(dtype=written), None, 1)
    assert (predict_gpu(read_model(data)) == {}) is taken


@pytest.mark.parametrize("op", ["EQUAL", "LESS", "ADD"])
def test_a_newer_elementwise_op_is_refused(op: str) -> None:
    for version, taken in ((2, True), (3, False)):
        target = FLOAT if op == "ADD" else T(dtype="bool")
        data = file_of(op, [FLOAT, FLOAT], target, None, version)
        found = [each.reason for each in predict_gpu(read_model(data)).values()]
        assert (found == []) is taken
        assert taken or "up to version 2; this is version 3" in found[0]


def test_what_the_gpu_gathers_is_no_integer_afterwards() -> None:
    for kind, taken in (("float32", True), ("int32", False)):
        data = file_of("GATHER", [T(dtype=kind), ints([0])], T(dtype=kind), None, 1)
        assert (predict_gpu(read_model(data)) == {}) is taken


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ((1, 1, 1, 4), True),
        ((4,), True),
        ((4, 4, 4), True),
        ((1, 1), True),
        ((1, 4), True),
        ((4, 1), False),
        ((4, 4), False),
    ],
)
@pytest.mark.parametrize("op", ["ADD", "MUL"])
def test_which_shapes_the_gpu_broadcasts(op: str, shape: tuple[int, ...], taken: bool) -> None:
    data = file_of(op, [FLOAT, weights(shape)], FLOAT, None, 1)
    assert (predict_gpu(read_model(data)) == {}) is taken


@pytest.mark.parametrize(
    ("window", "activation", "loads_there"), [(1, 1, True), (1, 0, False), (2, 1, False)]
)
def test_a_clamp_that_is_called_a_pool_may_have_another_scale(
    window: int, activation: int, loads_there: bool
) -> None:
    data = pool(window, 1, INT8, scaled(2), activation)
    assert disagreement(data) == ""
    assert runs_on(data, Delegate.XNNPACK) is loads_there
