"""What XNNPACK takes is predicted op by op, and the runtime says the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType

import pytest

from portrait_tflite.convert.delegates import gpu, partitions, xnnpack, xnnpack_ops, xnnpack_scales
from portrait_tflite.convert.delegates.rule import Rule
from portrait_tflite.convert.delegates.xnnpack import XNNPACK_FATAL_RULES, XNNPACK_RULES
from portrait_tflite.convert.delegates.xnnpack_prediction import predict_xnnpack
from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.flatbuffer_nodes import list_nodes
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model

WANTED = 300


def disagreement(model: bytes, rules: Sequence[Rule] = XNNPACK_RULES) -> str:
    """Say where the prediction for a model differs from what the runtime does."""
    graph = read_model(model)
    predicted = predict_xnnpack(graph, rules)
    ops = [node.op for node in list_nodes(graph)]
    try:
        runner = open_model(model)
    except UsageError as error:  # the plain kernels load each of these models
        return "" if predicted.fatal else f"{ops} does not load: {error}"
    if predicted.fatal:
        return f"{ops} loads, although {predicted.fatal}"
    outside = {node.index for node in runner.outside}
    if outside != set(predicted.refused):
        return f"{ops}: outside are {sorted(outside)}, predicted were {predicted.refused}"
    if runner.partitions != len(predicted.partitions):
        return f"{ops}: {runner.partitions} partitions, not {predicted.partitions}"
    return ""


def test_every_op_of_300_models_is_where_it_was_predicted(random_models: tuple[bytes, ...]) -> None:
    assert len(random_models) >= WANTED
    assert [found for model in random_models if (found := disagreement(model))] == []


def test_the_models_reach_most_ops_and_rules(random_models: tuple[bytes, ...]) -> None:
    graphs = [read_model(model) for model in random_models]
    assert len({node.op for graph in graphs for node in list_nodes(graph)}) > 50
    refused = [found for graph in graphs for found in predict_xnnpack(graph).refused.values()]
    assert len({found.fix for found in refused}) > 15
    assert len(refused) < sum(len(list_nodes(graph)) for graph in graphs) / 2


# Rules that the models of `random_models` reach; `test_rules_one_by_one` has a file for each rule.
BROKEN = ["_missing", "computed_weights", "input_count", "slope", "split_count"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_table_without_one_rule_is_found_out(random_models: tuple[bytes, ...], name: str) -> None:
    broken = [rule for rule in XNNPACK_RULES if rule.breaks.__name__ != name]
    assert len(broken) < len(XNNPACK_RULES)
    assert any(disagreement(model, broken) for model in random_models)


@pytest.mark.parametrize("table", [xnnpack, xnnpack_ops, xnnpack_scales, partitions, gpu])
def test_each_table_names_its_source_and_version(table: ModuleType) -> None:
    assert re.search(r"\.cc`.*(commit\s+[0-9a-f]{7}|version \d)", str(table.__doc__), re.DOTALL)


@pytest.mark.parametrize("rule", [*XNNPACK_RULES, *XNNPACK_FATAL_RULES, *gpu.GPU_RULES])
def test_each_rule_names_what_it_was_read_from(rule: Rule) -> None:
    assert rule.source


@pytest.mark.parametrize("rule", [*XNNPACK_RULES, *XNNPACK_FATAL_RULES])
def test_each_rule_says_what_it_is(rule: Rule) -> None:
    assert rule.breaks.__doc__ or rule.breaks.__name__ == "_missing"
