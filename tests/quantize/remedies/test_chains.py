"""Where channels can be scaled between two layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.quantize.remedies.chains import Chain, find_chains

SAME = schema.Padding.SAME
RELU, RELU6 = (
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)


class Net:
    """conv → (what is asked for) → conv or depthwise, 1×1, 4 channels."""

    def __init__(self, tiny: Any) -> None:
        self.tiny = tiny
        self.source = tiny.tensor("x", (1, 4, 4, 4), "float32")
        self.last = self.source

    def conv(self, activation: int = 0, *, outputs: int = 4, depthwise: bool = False) -> int:
        rng = np.random.default_rng(len(self.tiny.graph.tensors))
        shape = (1, 1, 1, 4) if depthwise else (outputs, 1, 1, 4)
        name = f"conv_{len(self.tiny.graph.tensors)}"
        weights = self.tiny.tensor(f"{name}/w", shape, "float32", data=rng.normal(0, 1, shape))
        bias = self.tiny.tensor(
            f"{name}/b",
            (shape[-1 if depthwise else 0],),
            "float32",
            data=rng.normal(0, 1, shape[-1 if depthwise else 0]),
        )
        target = self.tiny.tensor(name, (1, 4, 4, outputs), "float32")
        kind = schema.DepthwiseConv2DOptionsT if depthwise else schema.Conv2DOptionsT
        more = {"depthMultiplier": 1} if depthwise else {}
        options = kind(
            strideW=1,
            strideH=1,
            dilationWFactor=1,
            dilationHFactor=1,
            fusedActivationFunction=activation,
            **more,
        )
        op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self.tiny.op(op, [self.last, weights, bias], target, 1, options)
        self.last = target
        return int(target)

    def through(self, op: str, options: Any = None, channels: int = 4) -> int:
        more = []
        if op == "PAD":
            pads = [[0, 0], [0, 0], [0, 0], [0, channels - 4]]
            more = [self.tiny.tensor("pads", (4, 2), "int32", data=np.array(pads, np.int32))]
        name = f"{op}_{len(self.tiny.graph.tensors)}"
        target = self.tiny.tensor(name, (1, 4, 4, channels), "float32")
        self.tiny.op(op, [self.last, *more], target, 1, options)
        self.last = target
        return int(target)

    def summed(self, op: str, one: int, other: int, activation: int = 0) -> int:
        kind = schema.AddOptionsT if op == "ADD" else schema.SubOptionsT
        target = self.tiny.tensor(f"sum_{len(self.tiny.graph.tensors)}", (1, 4, 4, 4), "float32")
        options = kind(fusedActivationFunction=activation)
        self.tiny.op(op, [one, other], target, 1, options)
        self.last = target
        return int(target)

    def found(self, *outputs: int) -> list[Chain]:
        return find_chains(read_model(self.tiny.build([self.source], [*outputs, self.last])))

    def chains(self, *outputs: int) -> list[tuple[int, ...]]:
        return [chain.tensors for chain in self.found(*outputs)]


@pytest.fixture
def net(tiny_graph: Callable[[], Any]) -> Net:
    return Net(tiny_graph())


@pytest.mark.parametrize("activation", [0, RELU])
@pytest.mark.parametrize("depthwise", [False, True])
def test_what_follows_at_once(net: Net, activation: int, depthwise: bool) -> None:
    between = net.conv(activation)
    net.conv(depthwise=depthwise)
    assert net.chains() == [(between,)]


def test_what_scales_through(net: Net) -> None:
    pool = schema.Pool2DOptionsT(padding=SAME, strideW=1, strideH=1, filterWidth=2, filterHeight=2)
    leaky = schema.LeakyReluOptionsT(alpha=0.1)
    between = [net.conv(), net.through("RELU"), net.through("MAX_POOL_2D", pool)]
    between += [net.through("PAD", schema.PadOptionsT()), net.through("LEAKY_RELU", leaky)]
    between += [net.through("AVERAGE_POOL_2D", pool)]
    middle = net.conv(RELU)
    net.conv()
    assert net.chains() == [tuple(between), (middle,)]


@pytest.mark.parametrize("op", ["RELU6", "LOGISTIC", "HARD_SWISH", "EXP"])
def test_what_does_not_scale_through(net: Net, op: str) -> None:
    net.conv()
    net.through(op)
    net.conv()
    assert net.chains() == []


def test_a_bound_is_refused(net: Net) -> None:
    net.conv(RELU6)
    net.conv()
    assert net.chains() == []


def test_a_bound_inside_a_pooling_is_refused(net: Net) -> None:
    net.conv()
    net.through(
        "MAX_POOL_2D",
        schema.Pool2DOptionsT(
            padding=SAME,
            strideW=1,
            strideH=1,
            filterWidth=2,
            filterHeight=2,
            fusedActivationFunction=RELU6,
        ),
    )
    net.conv()
    assert net.chains() == []


def test_a_second_reader_that_scales_nothing_is_refused(net: Net) -> None:
    fork = net.conv()
    net.conv()
    net.last, behind = fork, net.last
    net.through("EXP")
    assert net.chains(behind) == []


@pytest.mark.parametrize("op", ["CONCATENATION", "MUL"])
def test_what_another_op_reads_second_is_refused(net: Net, op: str) -> None:
    """A skip, or what a gate is multiplied with: it must stay as it is."""
    fork = net.conv()
    behind = net.conv(RELU6)
    joined = net.tiny.tensor("joined", (1, 4, 4, 8 if op == "CONCATENATION" else 4), "float32")
    options = (
        schema.ConcatenationOptionsT(axis=3) if op == "CONCATENATION" else schema.MulOptionsT()
    )
    net.tiny.op(op, [behind, fork], joined, 1, options)
    assert net.chains(joined) == []


def test_several_readers_are_one_chain(net: Net) -> None:
    fork = net.conv()
    ends = [net.conv()]
    net.last = fork
    relu = net.through("RELU")
    ends.append(net.conv(depthwise=True))
    (chain,) = net.found(ends[0])
    assert chain.tensors == (fork, relu)
    assert chain.rounded == (fork, relu)
    assert [op.output for op in chain.seconds] == ends


@pytest.mark.parametrize("op", ["ADD", "SUB"])
def test_what_is_added_is_scaled_alike(net: Net, op: str) -> None:
    """A trunk, as of a residual network: every layer that adds to it and every one that reads."""
    trunk = net.conv()
    net.conv(RELU)
    branch = net.conv()
    total = net.summed(op, trunk, branch)
    net.conv()
    chains = net.found()
    assert [chain.tensors for chain in chains] == [(trunk, branch, total), (trunk + 3,)]
    assert [op.output for op in chains[0].firsts] == [trunk, branch]
    assert len(chains[0].seconds) == 2
    assert chains[0].rounded == chains[0].tensors


def test_a_sum_with_what_cannot_be_scaled_is_refused(net: Net) -> None:
    trunk = net.conv()
    net.summed("ADD", trunk, net.source)
    net.conv()
    assert net.chains() == []


def test_a_sum_with_a_constant_is_refused(net: Net) -> None:
    trunk = net.conv()
    constant = net.tiny.tensor("c", (1, 1, 1, 4), "float32", data=np.ones((1, 1, 1, 4)))
    net.summed("ADD", trunk, constant)
    net.conv()
    assert net.chains() == []


def test_a_bounded_sum_is_refused(net: Net) -> None:
    trunk = net.conv()
    net.conv()
    net.summed("ADD", trunk, net.last, RELU6)
    net.conv()
    assert net.chains() == []


def test_a_sum_over_other_channels_is_refused(net: Net) -> None:
    trunk = net.conv()
    one = net.conv(outputs=1)
    net.summed("ADD", trunk, one)
    net.conv()
    assert net.chains() == []


def test_an_output_is_refused(net: Net) -> None:
    fork = net.conv()
    net.conv()
    assert net.chains(fork) == []


def test_groups_are_refused(net: Net) -> None:
    net.conv(outputs=8)
    net.conv()  # of 4 channels each
    assert net.chains() == []


def test_padded_channels_are_refused(net: Net) -> None:
    net.conv()
    net.through("PAD", schema.PadOptionsT(), channels=6)
    net.conv()
    assert net.chains() == []
