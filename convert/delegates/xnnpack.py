"""What XNNPACK takes of a `.tflite`, predicted from its own rules, without the runtime.

Source: LiteRT, `tflite/delegates/xnnpack/xnnpack_delegate.cc` (`VisitNode` and what it calls), read
at commit f674577 (August 2026); held to ai-edge-litert 2.3.0 by generated models in
`tests/convert/delegates`. Each rule names the function it was read from.
"""

from __future__ import annotations

from portrait_tflite.convert.delegates import xnnpack_attributes as attributes
from portrait_tflite.convert.delegates import xnnpack_operands as operands
from portrait_tflite.convert.delegates import xnnpack_scales as scales
from portrait_tflite.convert.delegates import xnnpack_types as types
from portrait_tflite.convert.delegates.fewer_dimensions import fewer_dimensions
from portrait_tflite.convert.delegates.fixes import DYNAMIC_FIX
from portrait_tflite.convert.delegates.rule import Rule, custom, op_set
from portrait_tflite.convert.delegates.site import Site
from portrait_tflite.convert.delegates.xnnpack_ops import (
    BIAS,
    ONE_SCALE,
    PARAMETERS,
    POOLS,
    REDUCTIONS,
    WEIGHTED,
    XNNPACK_OPS,
)


def _missing(site: Site) -> str:
    return "" if site.op in XNNPACK_OPS else f"XNNPACK has no {site.op}"


_ALL: frozenset[str] = frozenset()
_MEND = "give the file to `portrait-tflite convert`: exact to mend"
_SCALES = "give the file to `portrait-tflite convert`; if it stays, one branch is all but dead"
_CONSTANT = "make the weights constants"
_TYPES = "use int8 or float"
_WEIGHTS = "quantize the weights as the converter does: int8, a scale per output channel"
_STAND_ALONE = "use an activation layer of its own"
_LIST = "write it as a constant list of int32"
_SLICE = "slice with ranges, not with single indices"

XNNPACK_RULES: tuple[Rule, ...] = (
    Rule(_ALL, custom, "VisitNode"),
    Rule(_ALL, _missing, "VisitNode"),
    Rule(op_set("FULLY_CONNECTED"), attributes.dense_version, "VisitNode", "convert anew"),
    Rule(op_set("FULLY_CONNECTED"), attributes.dense_format, "CheckFullyConnectedParams"),
    Rule(frozenset(PARAMETERS), operands.computed_parameters, "CheckTensorStaticAll…", DYNAMIC_FIX),
    Rule(_ALL, types.float_only, "CheckTensorFloatType"),
    Rule(_ALL, types.activations, "CheckTensorFloatOrQUInt8Type", _TYPES),
    Rule(_ALL, types.activation_scales, "CheckTensorFloat32OrQUInt8Type", "quantize per tensor"),
    Rule(op_set("CONCATENATION"), operands.input_count, "CheckNumInputs", "join in two steps"),
    Rule(_ALL, operands.input_count, "CheckNumInputs", _MEND),
    Rule(op_set("SPLIT"), operands.split_count, "CheckNumOutputs", _MEND),
    Rule(_ALL, operands.data_rank, "CheckTensorShape", fewer_dimensions),
    Rule(WEIGHTED, operands.filter_rank, "CheckTensorShape"),
    Rule(op_set("CONV_2D DEPTHWISE_CONV_2D"), operands.no_bias, "VisitConv2DNode", _MEND),
    Rule(frozenset(BIAS), operands.bias_rank, "CheckTensorShape", _MEND),
    Rule(WEIGHTED | {"PRELU"}, operands.computed_weights, "CheckTensorStaticAll…", _CONSTANT),
    Rule(WEIGHTED, types.filter_type, "CheckTensorFloat32OrQCInt8Type", _WEIGHTS),
    Rule(WEIGHTED, types.bias_type, "CheckTensorFloat32OrFloat16OrQCInt32Type", _WEIGHTS),
    Rule(WEIGHTED, types.bias_like_filter, "CheckFilterAndBiasTypes", _WEIGHTS),
    Rule(op_set("DEPTHWISE_CONV_2D"), types.mixed, "VisitDepthwiseConv2DNode", "use full int8"),
    Rule(op_set("BATCH_MATMUL"), types.product_types, "VisitBatchMatMulNode", _WEIGHTS),
    Rule(_ALL, types.mixed, "VisitBinaryNode", _TYPES),
    Rule(op_set("FULLY_CONNECTED"), scales.filter_zero_point, "VisitFullyConnectedNode", _WEIGHTS),
    Rule(op_set("FULLY_CONNECTED"), attributes.odd_channels, "VisitFullyConnectedNode", _WEIGHTS),
    Rule(op_set("CONV_2D"), attributes.groups, "VisitConv2DNode"),
    Rule(op_set("DEPTHWISE_CONV_2D"), attributes.depth_multiplier, "CheckDepthwiseConvolution…"),
    Rule(op_set("TRANSPOSE_CONV"), attributes.transposed_size, "CalculateTransposeConvPaddings"),
    Rule(POOLS, attributes.window, "CheckPoolingParams", "use a strided convolution"),
    Rule(op_set("DEPTH_TO_SPACE SPACE_TO_DEPTH"), attributes.block, "VisitSpaceToDepthNode"),
    Rule(op_set("ADD SUB"), scales.sum_ratio, "CheckTensorsInputOutputScale", _SCALES),
    Rule(op_set("MUL"), scales.product_ratio, "CheckTensorsInputProductOutputScale", _SCALES),
    Rule(op_set("QUANTIZE"), scales.requantize_ratio, "VisitUnaryNode", _SCALES),
    Rule(op_set("LEAKY_RELU"), attributes.slope, "VisitUnaryNode", "fuse a ReLU instead"),
    Rule(op_set("LEAKY_RELU"), scales.leaky_ratio, "VisitUnaryNode", _SCALES),
    Rule(op_set("RESHAPE"), scales.same_scale, "VisitReshapeNode", "leave it out, or requantize"),
    Rule(op_set("CONCATENATION"), scales.joined_scales, "VisitConcatenationNode", "use int8"),
    Rule(op_set("CONCATENATION"), attributes.joined_axis, "VisitConcatenationNode"),
    Rule(frozenset(PARAMETERS), types.parameter_type, "CheckTensorType", _LIST),
    Rule(frozenset(PARAMETERS), operands.parameter_shape, "CheckShapeTensorShape", _LIST),
    Rule(op_set("PAD"), operands.negative_paddings, "VisitPadNode", "use a slice"),
    Rule(REDUCTIONS, attributes.reduced_axes, "VisitReduceNode", "leave it out"),
    Rule(op_set("RESHAPE"), attributes.reshaped_to, "VisitReshapeNode", "name every size"),
    Rule(op_set("STRIDED_SLICE"), attributes.slice_masks, "VisitStridedSliceNode", _SLICE),
    Rule(op_set("STRIDED_SLICE"), attributes.slice_strides, "VisitStridedSliceNode", _MEND),
    Rule(op_set("SLICE"), attributes.slice_sizes, "VisitSliceNode", "name every size"),
    Rule(op_set("SOFTMAX"), attributes.softmax_beta, "VisitSoftmaxNode", "scale the logits before"),
    Rule(_ALL, attributes.activation, "ConvertActivationToOutputRange", _STAND_ALONE),
)

_PLAIN = "keep to six dimensions"

# What it takes and then cannot build: the runtime gives up on the whole file.
XNNPACK_FATAL_RULES: tuple[Rule, ...] = (
    Rule(_ALL, operands.too_many_dimensions, "DefineXNNPACKValue", _PLAIN),
    Rule(WEIGHTED, types.packed_bias, "DefineXNNPACKValue", "keep the bias in float32"),
    Rule(op_set("DEPTHWISE_CONV_2D"), scales.filter_zero_point, "xnn_define_depthwise…", _WEIGHTS),
    Rule(ONE_SCALE, scales.moved_scale, "xnn_subgraph_check_quantization_parameter_matches", _MEND),
)
