"""What to do about an op that a delegate has not at all, or not in this type."""

from __future__ import annotations

DYNAMIC_FIX = "fix the batch and all sizes before exporting; `portrait-tflite convert` does"

_CHOICE = (
    "use an activation layer where the choice is one, or products and clamps; "
    "`portrait-tflite convert` takes those of int8 inside, where that is exact"
)

FIXES: dict[str, str] = {
    **dict.fromkeys(("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), _CHOICE),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "NOT_EQUAL"), _CHOICE),
    **dict.fromkeys(("SELECT", "SELECT_V2"), _CHOICE),
    "CAST": "keep to one type; `portrait-tflite convert` makes numbers of int8 comparisons",
    "CUSTOM:Convolution2DTransposeBias": "`portrait-tflite convert` makes TRANSPOSE_CONV of it",
    "ARG_MAX": "end the network before it, as `convert --output-channel PERSON` does",
    "AVERAGE_POOL_2D": "use a strided or depthwise convolution, or a mean over the whole map",
    "BROADCAST_TO": "let ADD and MUL broadcast, or resize with RESIZE_BILINEAR",
    "DIV": "multiply by the constant's reciprocal",
    "EXPAND_DIMS": "use a reshape, or keep the four dimensions throughout",
    "GATHER_ND": "use slices with constant bounds",
    "HARD_SWISH": "use ReLU6 fused into the convolution before it, and retrain",
    "L2_NORMALIZATION": "give the file to `portrait-tflite convert`",
    "LOG_SOFTMAX": "end the network before it: its largest is that of the scores",
    "MAXIMUM": "use a ReLU fused into the convolution before it",
    "MINIMUM": "use a ReLU6 fused into the convolution before it",
    "POW": "write squares and cubes as products, and use sqrt for 0.5",
    "PRELU": "use LeakyReLU with one slope above 0, or ReLU",
    "RELU": "give the file to `portrait-tflite convert`; a QUANTIZE where that is exact",
    "RELU6": "give the file to `portrait-tflite convert`; a QUANTIZE where that is exact",
    "RESIZE_NEAREST_NEIGHBOR": "resize by whole factors; `convert` makes copies of that",
    "SHAPE": DYNAMIC_FIX,
    "SIGN": "use tanh, or leave the layer out: a sign has no slope to train by",
    "SOFTMAX": "convert from the Keras model: two classes become one sigmoid, exactly",
    "SPLIT_V": "give the file to `portrait-tflite convert`; a SLICE per part",
    "SQUEEZE": "use a reshape, or keep the four dimensions throughout",
    "TOPK_V2": "use softmax in the place of what sorts, such as sparsemax, and train again",
    "TILE": "convert from the Keras model: the nearest ×2 is rewritten exactly",
    "UNPACK": "give the file to `portrait-tflite convert`; a SLICE per part",
}

# The op of the same size that an op becomes by its fix; "" where it becomes a part of another one,
# which costs nothing.
BECOMES: dict[str, str] = {
    "DIV": "MUL",
    "HARD_SWISH": "",
    "MAXIMUM": "",
    "MINIMUM": "",
    "PRELU": "LEAKY_RELU",
}
