"""Each lint rule: a net that breaks it, one that keeps it, and figures checked by `predict`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.costs.cost_prediction import predict
from portrait_tflite.convert.costs.cost_table import CostTable
from portrait_tflite.convert.costs.costed_op import FLOAT32, CostedOp
from portrait_tflite.convert.delegates.fixes import FIXES
from portrait_tflite.convert.lint import channels as channels_rule
from portrait_tflite.convert.lint.net import open_net
from portrait_tflite.convert.lint.rules import LINT_RULES, lint_model
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.convert.worth import value_fixes
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, LintFinding

Build = Callable[..., Any]


def _mcycles(data: bytes) -> float:
    return predict(data, CostTable.load("arm64")).cycles / 1e6


def _of(findings: list[LintFinding], rule: str) -> list[LintFinding]:
    return [finding for finding in findings if finding.rule == rule]


def _saved(finding: LintFinding) -> dict[str, float | None]:
    return {change.change: change.saves_mcycles for change in finding.changes}


def _halving(maps: Build, size: tuple[int, int], times: int = 3) -> Any:
    net = maps(size)
    value = net.image
    for _ in range(times):
        value = net.convolution(value, 16, 3, stride=2)
    return net, net.lint(value)


def test_an_input_that_cannot_be_halved(maps: Build) -> None:
    net, findings = _halving(maps, (33, 41))
    (found,) = _of(findings, "input_size")
    assert found.finding == "33×41 pixels go in, the net shrinks them 8 times"
    assert found.places == ("image",)
    assert found.mcycles == pytest.approx(_mcycles(net.data))
    assert found.share == pytest.approx(1)
    smaller, larger = (_halving(maps, size)[0] for size in ((32, 40), (40, 48)))
    assert _saved(found) == {
        "32×40": pytest.approx(_mcycles(net.data) - _mcycles(smaller.data)),
        "40×48": pytest.approx(_mcycles(net.data) - _mcycles(larger.data)),
    }


def test_an_input_of_the_nets_stride_is_kept(maps: Build) -> None:
    assert not _of(_halving(maps, (32, 48))[1], "input_size")
    # 24 is a multiple of 8, but not of a stride of 16.
    (found,) = _of(_halving(maps, (24, 32), times=4)[1], "input_size")
    assert [change.change for change in found.changes] == ["16×32", "32×32"]
    # 36 is a multiple of a stride of 4, but not of 8.
    (found,) = _of(_halving(maps, (36, 36), times=2)[1], "input_size")
    assert found.finding == "36×36 pixels go in, the net shrinks them 4 times"
    assert [change.change for change in found.changes] == ["32×32", "40×40"]


def _at_full_size(maps: Build, *, early: bool) -> tuple[Any, list[LintFinding]]:
    net = maps((64, 64))
    value = net.convolution(net.image, 16, 3, stride=2 if early else 1)
    value = net.convolution(value, 16, 3)
    return net, net.lint(net.convolution(value, 8, 3, stride=2))


def test_work_at_full_resolution(maps: Build) -> None:
    net, findings = _at_full_size(maps, early=False)
    (found,) = _of(findings, "late_downsampling")
    assert found.finding.endswith("Mcyc are spent above half resolution")
    assert len(found.places) == 2
    early, kept = _at_full_size(maps, early=True)
    assert not _of(kept, "late_downsampling")
    # The last layer halves again in both: all that is spent before it is what the rule speaks of.
    first = _mcycles(net.data) - found.mcycles
    assert first < _mcycles(early.data) < found.mcycles
    (saved,) = _saved(found).values()
    assert saved is not None
    assert 0.7 * found.mcycles < saved < 0.8 * found.mcycles  # a quarter of the positions is left


def test_a_mask_that_is_made_at_half_resolution_is_resized(maps: Build) -> None:
    full = maps((64, 64))
    mask = full.convolution(full.convolution(full.image, 16, 3), 8, 3)
    (found,) = _of(full.lint(mask), "late_downsampling")
    table = CostTable.load("arm64")
    half = maps((64, 64))
    value = half.convolution(half.image, 16, 3, stride=2)
    half.lint(half.convolution(value, 8, 3))
    resize = table.op_cost(CostedOp("RESIZE_BILINEAR", 64, 64, 8, 8), FLOAT32) / 1e6
    (saved,) = _saved(found).values()
    # The first convolution reads every second position: a stride has entries of its own.
    expected = _mcycles(full.data) - _mcycles(half.data) - resize
    assert saved == pytest.approx(expected, rel=0.02)


def test_a_pool_behind_a_convolution(maps: Build) -> None:
    net = maps((32, 32))
    first = net.convolution(net.image, 16, 3)
    (found,) = _of(net.lint(net.pool(first)), "convolution_and_pool")
    assert found.places == ("conv_2d_1", "max_pool_2d_2")
    strided = maps((32, 32))
    strided.lint(strided.convolution(strided.image, 16, 3, stride=2))
    expected = pytest.approx(_mcycles(net.data) - _mcycles(strided.data))
    assert _saved(found) == {"one strided convolution": expected}


def test_a_pool_may_follow_an_activation_but_no_skip(maps: Build) -> None:
    net = maps((32, 32))
    active = net.alike("HARD_SWISH", net.convolution(net.image, 16, 3))
    assert _of(net.lint(net.pool(active)), "convolution_and_pool")
    skipped = maps((32, 32))
    first = skipped.convolution(skipped.image, 16, 3)
    pooled = skipped.pool(first)
    up = skipped.transposed(pooled, 16, 2)
    assert not _of(skipped.lint(skipped.alike("ADD", up, first)), "convolution_and_pool")


def _of_channels(maps: Build, channels: int, joined: bool = False) -> tuple[Any, list[LintFinding]]:
    net = maps((32, 32))
    one = net.depthwise(net.convolution(net.image, channels, 3, stride=2))
    value = net.alike("ADD", one, net.convolution(one, channels))
    if joined:
        value = net.joined(value, one)
    return net, net.lint(net.convolution(value, 8))


@pytest.mark.parametrize("joined", [False, True])
def test_odd_channels(maps: Build, joined: bool) -> None:
    net, findings = _of_channels(maps, 12, joined)
    (found,) = _of(findings, "odd_channels")
    assert found.finding == "12 channels"
    assert found.places == ("conv_2d_1", "conv_2d_3")
    other = {n: _mcycles(_of_channels(maps, n, joined)[0].data) for n in (8, 16)}
    spent = _mcycles(net.data)
    assert _saved(found) == {
        "8 channels": pytest.approx(spent - other[8]),
        "16 channels": pytest.approx(spent - other[16]),
    }


def test_even_channels_are_kept(maps: Build) -> None:
    assert not _of(_of_channels(maps, 16)[1], "odd_channels")


def test_channels_that_others_decide_are_kept(maps: Build) -> None:
    # Twelve go out: the app wants them so.
    net = maps((32, 32))
    assert not _of(net.lint(net.convolution(net.image, 12, 3)), "odd_channels")


def test_few_channels_are_kept_where_more_would_cost(maps: Build) -> None:
    net = maps((32, 32))
    value = net.depthwise(net.convolution(net.image, 3))
    assert not _of(net.lint(net.convolution(value, 8)), "odd_channels")


def test_a_dense_convolution(maps: Build) -> None:
    net = maps((32, 32))
    dense = net.convolution(net.convolution(net.image, 32, 3, 2), 32, 3)
    (found,) = _of(net.lint(dense), "dense_convolution")
    assert (found.finding, found.places) == ("1 dense convolutions", ("conv_2d_2",))
    light = maps((32, 32))
    apart = light.convolution(light.depthwise(light.convolution(light.image, 32, 3, 2)), 32)
    assert not _of(light.lint(apart), "dense_convolution")
    expected = pytest.approx(_mcycles(net.data) - _mcycles(light.data))
    assert _saved(found) == {"depthwise and 1×1": expected}


@pytest.mark.parametrize("groups", [2, 32])
def test_a_convolution_in_groups_is_not_dense(maps: Build, groups: int) -> None:
    net = maps((32, 32))
    first = net.convolution(net.image, 32, 3, 2)
    found = net.lint(net.pool(net.convolution(first, 32, 3, groups=groups)))
    assert not _of(found, "dense_convolution")
    assert not _of(found, "convolution_and_pool")


def test_more_channels_are_not_read_in_groups(maps: Build) -> None:
    """A filter has as many channels as what it reads, also where these become twice as many."""
    nets = {channels: maps((32, 32)) for channels in (4, 8)}
    for channels, net in nets.items():
        first = net.convolution(net.image, channels, 3, stride=2)
        net.lint(net.convolution(first, 16, 3))
    few = open_net(nets[4].data, audit_model(nets[4].data).xnnpack)
    (group,) = [g for g in channels_rule._channel_groups(few) if g.free and g.channels == 4]
    saved = channels_rule._saved(few, channels_rule._channel_groups(few), group.tensors, 8)
    assert saved == pytest.approx(_mcycles(nets[4].data) - _mcycles(nets[8].data))


def test_a_transposed_convolution(maps: Build) -> None:
    net = maps((32, 32))
    small = net.convolution(net.image, 32, 3, 2)
    (found,) = _of(net.lint(net.transposed(small, 32, 4)), "transposed_convolution")
    assert found.places == ("transpose_conv_2",)
    (saved,) = _saved(found).values()
    assert saved is not None
    assert 0 < saved < found.mcycles
    exact = maps((32, 32))
    small = exact.convolution(exact.image, 32, 3, 2)
    # Windows that do not overlap make no checkerboard, and are as cheap as they can be.
    assert not _of(exact.lint(exact.transposed(small, 32, 2)), "transposed_convolution")


def test_a_costly_activation(maps: Build) -> None:
    def net(activation: str) -> tuple[Any, list[LintFinding]]:
        built = maps((32, 32))
        value = built.convolution(built.image, 16, 3)
        if activation == "swish":
            active = built.alike("MUL", value, built.alike("LOGISTIC", value))
        else:
            active = built.alike(activation, value)
        return built, built.lint(built.convolution(active, 8))

    plain, findings = net("RELU6")
    assert not _of(findings, "costly_activation")
    for name in ("HARD_SWISH", "swish"):
        costly, findings = net(name)
        (found,) = _of(findings, "costly_activation")
        assert _saved(found) == {
            "ReLU6, fused": pytest.approx(_mcycles(costly.data) - _mcycles(plain.data))
        }


def test_ops_that_split_partitions(relu_net: Build) -> None:
    data = relu_net()
    (found,) = _of([*lint_model(data, audit_model(data).xnnpack)], "splitting_ops")
    assert found.finding == "2 RELU cut the net: 3 partitions, 1 without them"
    assert found.places == ("relu_0", "relu_1")
    assert _saved(found) == {FIXES["RELU"]: None}
    valued = value_fixes(data, audit_model(data)).xnnpack
    (found,) = _of([*lint_model(data, valued)], "splitting_ops")
    (saved,) = _saved(found).values()
    assert saved == pytest.approx(sum(op.worth_mcycles or 0 for op in valued.outside))
    whole = relu_net(relu="RELU6")
    mended = mend_model(whole).data
    assert not _of([*lint_model(mended, audit_model(mended).xnnpack)], "splitting_ops")


def test_a_small_share_is_left_away(maps: Build) -> None:
    net = maps((64, 64))
    value = net.convolution(net.convolution(net.image, 64, 3), 64, 3)
    value = net.convolution(value, 16, 3, stride=2)
    small = net.alike("HARD_SWISH", net.convolution(value, 8))
    assert not _of(net.lint(net.convolution(small, 8)), "costly_activation")


def test_files_without_pictures_have_no_findings(tiny_graph: Build) -> None:
    graph = tiny_graph()
    x, y = (graph.tensor(name, (1, 12), "float32") for name in "xy")
    graph.op("ABS", [x], y)
    data = graph.build([x], [y])
    assert lint_model(data, audit_model(data).xnnpack) == ()


def test_names_are_unique_and_say_where_they_are_from() -> None:
    names = [rule.name for rule in LINT_RULES]
    assert len(set(names)) == len(names)
    assert all(rule.source and rule.advice for rule in LINT_RULES)


def test_every_rule_stands_in_the_docs_with_its_source() -> None:
    text = (Path(__file__).parents[3] / "docs" / "mobile-lint.md").read_text("utf-8")
    for rule in LINT_RULES:
        assert f"| `{rule.name}` |" in text
        assert f"| {rule.source} |" in text


def test_garbage_is_a_usage_error(relu_net: Build) -> None:
    with pytest.raises(UsageError):
        lint_model(b"garbage", audit_model(relu_net()).xnnpack)


@pytest.mark.parametrize(
    ("rule", "family"),
    [
        ("convolution_and_pool", Approximation.STRIDED),
        ("odd_channels", Approximation.CHANNELS8),
        ("transposed_convolution", Approximation.RESIZE),
        ("costly_activation", Approximation.RELU6),
    ],
)
def test_the_family_that_does_it_is_named(rule: str, family: Approximation) -> None:
    advice = {one.name: one.advice for one in LINT_RULES}
    assert f"`--rewrite {family}`" in advice.pop(rule)
    assert not any(f"`--rewrite {family}`" in other for other in advice.values())
