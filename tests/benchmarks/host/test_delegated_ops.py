"""XNNPACK's operators laid over the file's ops."""

from __future__ import annotations

import pytest

from portrait_tflite.benchmarks.host.delegated_ops import assign_operators

CONV = "Convolution (NHWC, QC8) IGEMM"
POINTWISE = "Fully Connected (NC, QS8, QC8W) GEMM"
ADD, CLAMP, COPY = "Add (ND)", "Clamp (NC)", "Copy (NC, X8)"


@pytest.mark.parametrize(
    ("operators", "ops", "expected"),
    [
        ([CONV, POINTWISE, ADD], ["CONV_2D", "CONV_2D", "ADD"], [0, 1, 2]),
        # An addition with a fused ReLU makes two operators; a ReLU of its own one.
        ([ADD, CLAMP, CONV], ["ADD", "CONV_2D"], [0, 0, 1]),
        ([ADD, CLAMP, CONV], ["ADD", "RELU", "CONV_2D"], [0, 1, 2]),
        # Padding that the convolution does itself leaves no operator.
        ([CONV, ADD], ["PAD", "CONV_2D", "PAD", "ADD"], [1, 3]),
        # A copy per input of a concatenation, and then the next op.
        ([COPY, COPY, COPY, CONV], ["CONCATENATION", "CONV_2D"], [0, 0, 0, 1]),
        # The weights of a float16 file are widened when the graph is made.
        ([CONV, CONV], ["DEQUANTIZE", "DEQUANTIZE", "CONV_2D", "DEQUANTIZE", "CONV_2D"], [2, 4]),
        (["Something New (ND)", CONV], ["SLICE", "CONV_2D"], [0, 1]),
        ([CONV, "Something New (ND)"], ["CONV_2D"], [0, 0]),
        ([], ["RESHAPE"], []),
    ],
)
def test_most_names_fit(operators: list[str], ops: list[str], expected: list[int]) -> None:
    assert assign_operators(operators, ops) == expected


def test_a_long_chain_keeps_its_order() -> None:
    ops = ["DEPTHWISE_CONV_2D", "CONV_2D", "ADD"] * 60
    operators = ["Convolution (NHWC, QC8) DWConv", POINTWISE, ADD, CLAMP] * 60
    expected = [3 * block + place for block in range(60) for place in (0, 1, 2, 2)]
    assert assign_operators(operators, ops) == expected
