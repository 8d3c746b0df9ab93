"""Which op of the file an operator of XNNPACK came from.

The delegate defines XNNPACK's operators node by node, so both are in one order. XNNPACK then drops
some (copies into a concatenation, padding that a convolution does itself) and adds others (a clamp
behind an addition with a fused ReLU). What is left is laid over the nodes so that most names fit.
"""

from __future__ import annotations

from collections.abc import Sequence

# XNNPACK's names, as far as the bracket with layouts and types, by the op they are made for.
_OPERATORS: dict[str, tuple[str, ...]] = {
    "ABS": ("Abs",),
    "ADD": ("Add",),
    "AVERAGE_POOL_2D": ("Average Pooling", "Mean"),
    "BATCH_MATMUL": ("Batch Matrix Multiply",),
    "CEIL": ("Ceiling",),
    "CONCATENATION": ("Copy",),
    "CONV_2D": ("Convolution", "Fully Connected", "Dynamic Fully Connected"),
    "COS": ("Cosine",),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "DEPTH_TO_SPACE": ("Depth To Space", "Transpose"),
    "DEQUANTIZE": ("Convert",),
    "DIV": ("Divide",),
    "ELU": ("ELU",),
    "EXP": ("Exp",),
    "EXPAND_DIMS": ("Static Expand Dims", "Static Reshape", "Copy"),
    "FLOOR": ("Floor",),
    "FULLY_CONNECTED": ("Fully Connected", "Dynamic Fully Connected", "Convolution"),
    "GELU": ("GELU", "ApproxGELU"),
    "HARD_SWISH": ("HardSwish",),
    "LEAKY_RELU": ("LeakyReLU",),
    "LOG": ("Log",),
    "LOGISTIC": ("Sigmoid",),
    "MAXIMUM": ("Maximum",),
    "MAX_POOL_2D": ("Max Pooling",),
    "MEAN": ("Mean",),
    "MINIMUM": ("Minimum",),
    "MUL": ("Multiply",),
    "NEG": ("Negate",),
    "PAD": ("Constant Pad",),
    "PADV2": ("Constant Pad",),
    "PRELU": ("PReLU",),
    "QUANTIZE": ("Convert",),
    "REDUCE_MAX": ("Reduce Max",),
    "REDUCE_MIN": ("Reduce Min",),
    "RELU": ("Clamp",),
    "RELU6": ("Clamp",),
    "RELU_0_TO_1": ("Clamp",),
    "RELU_N1_TO_1": ("Clamp",),
    "RESHAPE": ("Static Reshape", "Copy"),
    "RESIZE_BILINEAR": ("Resize Bilinear",),
    "ROUND": ("Bankders Rounding",),  # XNNPACK's own spelling
    "RSQRT": ("Reciprocal Square Root",),
    "SIGN": ("Sign",),
    "SIN": ("Sine",),
    "SLICE": ("Slice", "Copy"),
    "SOFTMAX": ("Softmax",),
    "SPACE_TO_DEPTH": ("Space To Depth", "Transpose"),
    "SPLIT": ("Slice", "Copy"),
    "SQRT": ("Square Root",),
    "SQUARE": ("Square",),
    "SQUARED_DIFFERENCE": ("Squared Difference",),
    "SQUEEZE": ("Static Reshape", "Copy"),
    "STRIDED_SLICE": ("Slice", "Copy"),
    "SUB": ("Subtract",),
    "SUM": ("Sum",),
    "TANH": ("TanH",),
    "TRANSPOSE": ("Transpose",),
    "TRANSPOSE_CONV": ("Deconvolution", "Fully Connected"),
}
_FITS = 3  # a node's first operator, by name
_FITS_AGAIN = 1  # a further one: a concatenation makes a copy per input


def assign_operators(operators: Sequence[str], ops: Sequence[str]) -> list[int]:
    """Find the node of each operator, in order, so that most names fit.

    An operator that fits nowhere goes to the node before it: it finishes that node's work.

    Args:
        operators: XNNPACK's names in the order of execution, e.g. `Add (ND)`.
        ops: Builtin names of the nodes of that partition, in order; one or more.

    Returns:
        The position in `ops` for each operator.
    """
    # best[i]: score of the operators so far, the last of them at node i; chosen: where the one
    # before it is.
    best = [_score(operators[0], op) for op in ops] if operators else []
    chosen: list[list[int]] = []
    for operator in operators[1:]:
        before, (leader, leader_score) = best, (0, -1)
        best, source = [], []
        for position, op in enumerate(ops):
            stay = before[position] + min(_score(operator, op), _FITS_AGAIN)
            step = leader_score + _score(operator, op) if leader_score >= 0 else -1
            best.append(max(stay, step))
            source.append(position if stay >= step else leader)
            if before[position] > leader_score:
                leader, leader_score = position, before[position]
        chosen.append(source)
    return _walk_back(best, chosen)


def _score(operator: str, op: str) -> int:
    return _FITS if operator.partition(" (")[0] in _OPERATORS.get(op, ()) else 0


def _walk_back(best: Sequence[int], chosen: Sequence[Sequence[int]]) -> list[int]:
    if not best:
        return []
    path = [max(range(len(best)), key=best.__getitem__)]
    for source in reversed(chosen):
        path.append(source[path[-1]])
    return path[::-1]
