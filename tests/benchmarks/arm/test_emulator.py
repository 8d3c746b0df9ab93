"""What is counted, on the emulated machine: work of the model alone, the same every time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from portrait_tflite.benchmarks.arm.count import ArmCell, count_files, run_on_arm
from portrait_tflite.benchmarks.arm.counts import Counts
from portrait_tflite.benchmarks.arm.emulator import Emulator, Program, RefusedModelError
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.tensor_values import random_input
from portrait_tflite.vocabulary import Delegate

Net = Callable[..., bytes]
_PRODUCTS = 16 * 16 * 64 * 64


def count(emulator: Emulator, model: bytes, *, xnnpack: bool = True) -> Counts:
    """Count an inference after the first."""
    emulator.load(model, xnnpack=xnnpack)
    emulator.count()
    return emulator.count()


def test_dot_products_are_as_many_as_the_convolution_has(
    emulator: Emulator, pointwise_net: Net
) -> None:
    counts = count(emulator, pointwise_net("int8"))
    assert counts.dot == _PRODUCTS / 16
    assert counts.instructions > counts.vector > counts.dot
    assert counts.cycles >= counts.bound >= counts.vector / 2


def test_float_products_are_as_many_as_the_convolution_has(
    emulator: Emulator, pointwise_net: Net
) -> None:
    counts = count(emulator, pointwise_net("float32"))
    assert counts.dot == 0
    # Four a word; loading, clamping and storing come on top.
    assert _PRODUCTS / 4 <= counts.vector <= 1.1 * _PRODUCTS / 4


def test_loading_and_the_marks_are_left_out(emulator: Emulator, pointwise_net: Net) -> None:
    once = count(emulator, pointwise_net("int8"))
    # Around each call, Python takes some hundred instructions of its own.
    assert emulator.count(10).instructions == pytest.approx(10 * once.instructions, rel=5e-3)
    assert abs(emulator.count(0).instructions) < 100


def test_what_was_loaded_before_changes_nothing(
    emulator: Emulator, pointwise_net: Net, relu_net: Net
) -> None:
    before = count(emulator, pointwise_net("int8"))
    count(emulator, relu_net(), xnnpack=False)
    after = count(emulator, pointwise_net("int8"))
    # Python's own instructions around a call vary by some tens, which shows in so small a net.
    assert after.instructions == pytest.approx(before.instructions, abs=100)


def test_a_refused_model_leaves_the_emulator_in_use(emulator: Emulator, relu_net: Net) -> None:
    with pytest.raises(RefusedModelError, match="not a valid Flatbuffer"):
        emulator.load(b"TFL3 is not here", xnnpack=True)
    assert emulator.load(relu_net(), xnnpack=True).partitions == 3


def test_two_emulators_agree(program: Program, zoo_int8: dict[str, Path]) -> None:
    models = [path.read_bytes() for path in zoo_int8.values()]

    def count_all(xnnpack: bool) -> list[Counts]:
        with Emulator(program, timeout_s=300) as fresh:
            return [count(fresh, model, xnnpack=xnnpack) for model in models]

    for first, second in zip(count_all(True), count_all(True), strict=True):
        assert first.instructions == pytest.approx(second.instructions, rel=1e-4)
        assert first.cycles == pytest.approx(second.cycles, rel=1e-4)
        assert first.bound == pytest.approx(second.bound, rel=1e-4)


def test_int8_outputs_of_xnnpack_are_the_hosts_bit_for_bit(
    emulator: Emulator, zoo_int8: dict[str, Path]
) -> None:
    assert len(zoo_int8) == 3
    for path in zoo_int8.values():
        runner = open_model(path, Delegate.XNNPACK)
        image = random_input(runner.inputs[0], np.random.default_rng(5))
        (expected,) = runner.run(image)
        assert emulator.load(path.read_bytes(), xnnpack=True).partitions >= 1
        emulator.set_inputs([image])
        (found,) = emulator.outputs()
        assert len(np.unique(expected)) > 20  # not saturated, so the test can fail
        np.testing.assert_array_equal(found, expected)


def test_running_once_is_what_the_host_computes(
    program: Program, relu_net: Net, tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    image = np.arange(256, dtype=np.int16).astype(np.int8).reshape(1, 8, 8, 4)
    for expected, found in zip(
        open_model(path, Delegate.XNNPACK).run(image),
        run_on_arm(path, [image], Delegate.XNNPACK),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_ops_alone_cost_about_the_whole(program: Program, zoo_int8: dict[str, Path]) -> None:
    cells = [
        ArmCell("net", zoo_int8["portrait"], delegate)
        for delegate in (Delegate.XNNPACK, Delegate.CPU)
    ]
    for cost in count_files(cells, per_op=True):
        assert not cost.unavailable
        assert cost.cycles
        assert len(cost.ops) > 50
        # An op alone pays for a call of the runtime: 1,050 to 1,260 cycles on the zoo.
        surplus = sum(op.cycles for op in cost.ops) - cost.cycles
        assert 900 <= surplus / len(cost.ops) <= 1500
        assert any("conv_pw_13" in op.layer for op in cost.ops)


def test_with_xnnpack_and_without(program: Program, relu_net: Net, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    seen: list[tuple[int, int]] = []
    cells = [ArmCell("net", path, delegate) for delegate in Delegate]
    xnnpack_or_not = {
        cost.delegate: cost
        for cost in count_files(cells, on_progress=lambda done, of: seen.append((done, of)))
    }
    assert xnnpack_or_not[Delegate.XNNPACK].partitions == 3
    assert xnnpack_or_not[Delegate.CPU].partitions == 0
    assert xnnpack_or_not[Delegate.GPU].unavailable == "the GPU delegate runs no arm64 code"
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_inputs_that_do_not_fit_are_refused(
    program: Program, relu_net: Net, tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu_net())
    with pytest.raises(UsageError, match=r"inputs \[\('int8', \(1, 8, 8, 4\)\)\] are required"):
        run_on_arm(path, [np.zeros((1, 4, 4, 4), np.int8)], Delegate.CPU)
