"""What the GPU delegate takes, predicted from its own rules.

Source: LiteRT, `tflite/delegates/gpu/common/model_builder.cc` (ops and largest versions) and
`tflite/tools/versioning/gpu_compatibility.cc` (rules per op), read in version 2.3; TensorFlow's own
analyzer always answers "compatible". The rules marked ML Drift are of the engine that LiteRT 2 puts
in that delegate's place, `ml_drift_delegate/tflite/model_builder.cc`, at commit f674577 (August
2026): what either refuses is refused here. See `docs/delegates.md`.
"""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.convert.delegates.fewer_dimensions import fewer_dimensions
from portrait_tflite.convert.delegates.fixes import DYNAMIC_FIX
from portrait_tflite.convert.delegates.gpu_ops import (
    GPU_CUSTOM_OPS,
    GPU_MAX_VERSIONS,
    GPU_OPS,
)
from portrait_tflite.convert.delegates.rule import (
    Refusal,
    Rule,
    custom,
    first_broken,
    op_set,
)
from portrait_tflite.convert.delegates.site import Site
from portrait_tflite.convert.delegates.xnnpack_attributes import (
    ACTIVATIONS,
    slice_masks,
    softmax_beta,
)
from portrait_tflite.convert.delegates.xnnpack_ops import BIAS
from portrait_tflite.convert.files.flatbuffer_nodes import Node, list_nodes

_TYPES = frozenset({"float32", "float16", "int8", "uint8"})
_FLOATS = frozenset({"float32", "float16"})
_COMPARISONS = op_set("EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL NOT_EQUAL")
# What else an op may read, and write.
_READ_TOO: dict[str, frozenset[str]] = {
    "CAST": frozenset({"bool", "int32"}),
    "GATHER": frozenset({"int32"}),
    "LOGICAL_AND": frozenset({"bool"}),
    "ONE_HOT": frozenset({"int32"}),
    **dict.fromkeys(("SELECT", "SELECT_V2"), frozenset({"bool"})),
}
_WRITTEN_TOO: dict[str, frozenset[str]] = {
    "CAST": frozenset({"bool", "int32"}),
    **dict.fromkeys(_COMPARISONS | {"LOGICAL_AND"}, frozenset({"bool"})),
}
_MAX_RANK = 4


def _dynamic_size(site: Site) -> str:
    given = (*site.node.given(), *site.node.outputs)
    unknown = next((operand for operand in given if -1 in operand.shape), None)
    return f"the size of {unknown.name!r} is known only at run time" if unknown else ""


def _foreign(site: Site) -> str:
    return "" if site.op in GPU_CUSTOM_OPS else custom(site)


def _not_supported(site: Site) -> str:
    return "" if site.op in GPU_OPS | GPU_CUSTOM_OPS else f"the GPU delegate has no {site.op}"


def _too_new(site: Site) -> str:
    version = site.node.version
    limit = GPU_MAX_VERSIONS.get(site.op, version)
    if version <= limit:
        return ""
    return f"the GPU delegate takes {site.op} up to version {limit}; this is version {version}"


def _too_new_transpose_conv(site: Site) -> str:
    version, limit = site.node.version, GPU_MAX_VERSIONS[site.op]
    if version <= limit:
        return ""
    return f"version {version} (bias or activation inside); the GPU delegate takes up to {limit}"


def _rank(site: Site) -> str:
    ranks = [len(operand.shape) for operand in (*site.node.given(), *site.node.outputs)]
    return f"rank {max(ranks)}; 4 is the most" if max(ranks, default=0) > _MAX_RANK else ""


def _type(site: Site) -> str:
    nothing: frozenset[str] = frozenset()
    taken = [(o, _READ_TOO.get(site.op, nothing)) for o in site.node.given() if not o.constant]
    taken += [(o, _WRITTEN_TOO.get(site.op, nothing)) for o in site.node.outputs]
    other = next((o.dtype for o, too in taken if o.dtype not in _TYPES | too), "")
    return f"{other} values; it takes float and 8-bit ones" if other else ""


def _cast(site: Site) -> str:
    source, target = site.node.given()[0].dtype, site.node.outputs[0].dtype
    numbers = {source, target} <= {"float32", "int32"}
    truth = "bool" in (source, target) and bool({source, target} & _FLOATS)
    return "" if numbers or truth else f"from {source} to {target}"


def _broadcast(site: Site) -> str:
    shapes = [operand.shape for operand in site.node.given()]
    short, long = sorted(shapes, key=len)[0], sorted(shapes, key=len)[-1]
    if len(short) < 2 or len(short) == len(long):
        return ""
    one = len(long) == _MAX_RANK and long[0] == 1
    per_channel = len(long) == _MAX_RANK and short == (long[0], long[3])
    if per_channel or (one and (len(short) == 3 or short == (1, 1))):
        return ""
    return f"{list(short)} beside {list(long)}"


def _indices(site: Site) -> str:
    indices = site.node.given()[1]
    if len(indices.shape) != 1:
        return f"indices of {len(indices.shape)} dimensions; it takes a list"
    return "" if indices.dtype == "int32" else f"indices of {indices.dtype}; it takes int32"


def _choice(site: Site) -> str:
    target = site.node.outputs[0].shape
    given = site.node.given()[1:]
    other = next((o for o in given if o.shape not in {target, (), (1,)}), None)
    return (
        f"{other.name!r} has shape {list(other.shape)}, the output {list(target)}" if other else ""
    )


def _resize(site: Site) -> str:
    both = site.node.option("alignCorners") and site.node.option("halfPixelCenters")
    return "align_corners and half_pixel_centers together" if both else ""


def _paddings(site: Site) -> str:
    shape = site.node.inputs[1].shape if len(site.node.inputs) > 1 and site.node.inputs[1] else ()
    return "" if shape in {(3, 2), (4, 2)} else f"paddings of shape {list(shape)}"


def _mirror(site: Site) -> str:
    return "only reflecting padding is taken" if site.node.option("mode", 0) else ""


def _axes(site: Site) -> str:
    axes = site.node.inputs[1] if len(site.node.inputs) > 1 else None
    return "" if axes is not None and axes.constant else "the axes are not constant"


def _slice_rank(site: Site) -> str:
    rank = len(site.node.given()[0].shape)
    return "" if rank in {3, 4} else f"rank {rank}; it slices 3 or 4 dimensions"


def _block(site: Site) -> str:
    return "" if site.node.option("blockSize", 0) > 1 else "a block size of 1 or less"


def _activation(site: Site) -> str:
    name = ACTIVATIONS.get(site.node.option("fusedActivationFunction", 0), "unknown")
    return "" if name not in {"SIGN_BIT", "unknown"} else f"a fused {name} activation"


def _one_part(site: Site) -> str:
    return "one output; the runtime aborts on it" if len(site.node.outputs) == 1 else ""


def _scalar(site: Site) -> str:
    scalar = next((o for o in site.node.given() if not o.shape and not o.constant), None)
    return f"{scalar.name!r} is computed and has no dimensions" if scalar else ""


# Their parsers know that case: a copy, a doubling, a square.
_TAKES_TWICE = frozenset({"ADD", "CONCATENATION", "MUL"})


def _twice(site: Site) -> str:
    if site.op in _TAKES_TWICE:
        return ""
    computed = [operand.index for operand in site.node.given() if not operand.constant]
    return "it reads one tensor twice" if len(set(computed)) < len(computed) else ""


def _one_dimension(site: Site) -> str:
    flat = len(site.node.given()[0].shape) == 1
    return "one dimension; its slopes are of a picture's channels" if flat else ""


def _long_list(site: Site) -> str:
    given = site.inputs((1, 2))
    long = next((operand for operand in given if operand.dtype == "int64"), None)
    return f"{long.name!r} is int64; it takes int32" if long else ""


def _computed_bias(site: Site) -> str:
    bias = site.input(BIAS[site.op])
    computed = bias is not None and not site.fixed(bias)
    return f"the bias {bias.name!r} is computed" if bias and computed else ""


_REDUCTIONS = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"})
_PADS = frozenset({"PAD", "PADV2", "MIRROR_PAD"})
_SLICES = frozenset({"SLICE", "STRIDED_SLICE"})
_RESIZES = frozenset({"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"})
_CHECK = "CheckGpuDelegateCompatibility"
_VERSION = "CheckMaxSupportedOpVersion"
_ALLOWED = "IsAllAllowedTensors"
_CONSTANT_FIX = "make it a constant of the layer"
_FOUR = "give it four dimensions, with a reshape"
_WHOLE = "broadcast both to the output's shape first, or choose between single numbers"

GPU_RULES: tuple[Rule, ...] = (
    Rule(frozenset(), _foreign, "CheckCustomOpsGpuDelegateCompatibility"),
    Rule(frozenset(), _not_supported, "NewOperationParser", ""),
    Rule(
        frozenset({"TRANSPOSE_CONV"}),
        _too_new_transpose_conv,
        _VERSION,
        "give the file to `portrait-tflite convert`: the activation becomes an op behind it",
    ),
    Rule(frozenset(), _too_new, _VERSION, "convert with an older op form, or without fused extras"),
    Rule(frozenset(), _dynamic_size, _CHECK, DYNAMIC_FIX),
    Rule(frozenset(), _rank, _ALLOWED, fewer_dimensions),
    Rule(frozenset(), _type, "GetOpsToReplace", "use the float16 variant on the GPU"),
    Rule(op_set("CAST"), _cast, _CHECK, "cast between float32, int32 and bool only"),
    Rule(op_set("ADD MUL"), _broadcast, "CheckAddMulBroadcastCompatibility", _FOUR),
    Rule(op_set("GATHER"), _indices, _CHECK, "write them as a list of int32"),
    Rule(op_set("SELECT SELECT_V2"), _choice, "CheckSelectV2GpuDelegateCompatibility", _WHOLE),
    Rule(_RESIZES, _resize, _CHECK, "set one of the two"),
    Rule(frozenset({"SOFTMAX"}), softmax_beta, _CHECK, "scale the logits in the layer before it"),
    Rule(_PADS, _paddings, _CHECK, "pad height and width only, as 4×2 or 3×2"),
    Rule(frozenset({"MIRROR_PAD"}), _mirror, _CHECK, "pad with zeros or by reflection"),
    Rule(_REDUCTIONS, _axes, _CHECK, _CONSTANT_FIX),
    Rule(_SLICES, _slice_rank, _CHECK, "keep to four dimensions"),
    Rule(
        frozenset({"STRIDED_SLICE"}),
        slice_masks,
        _CHECK,
        "slice with ranges, not with single indices",
    ),
    Rule(frozenset({"DEPTH_TO_SPACE", "SPACE_TO_DEPTH"}), _block, _CHECK, "leave the layer out"),
    Rule(op_set("SPLIT"), _one_part, "ML Drift: SplitOperationParser", "leave the layer out"),
    Rule(frozenset(), _scalar, "ML Drift: ElementwiseOperationParser", _CONSTANT_FIX),
    Rule(frozenset(), _twice, "ML Drift: ElementwiseOperationParser", "copy it first"),
    Rule(op_set("PRELU"), _one_dimension, "ML Drift in ai-edge-litert 2.3.0", "keep the batch"),
    Rule(_PADS | _SLICES, _long_list, "ML Drift: CreateVectorCopyData", "write it as int32"),
    Rule(frozenset(BIAS), _computed_bias, "ML Drift: ReadNonConstantTensor", _CONSTANT_FIX),
    Rule(frozenset(), _activation, "IsActivationSupported", "use an activation layer of its own"),
)


def predict_gpu(model: schema.ModelT) -> dict[int, Refusal]:
    """Predict why each op of the first subgraph that the GPU refuses is refused, by position."""
    nodes = list_nodes(model)
    tensors = model.subgraphs[0].tensors
    unpacked = frozenset(o.index for n in nodes if _unpacks(n) for o in n.outputs)
    sites = (Site(node, tensors, unpacked) for node in nodes)
    return {s.node.index: found for s in sites if (found := first_broken(GPU_RULES, s))}


def _unpacks(node: Node) -> bool:
    return node.op == "DEQUANTIZE" and all(operand.constant for operand in node.given())
