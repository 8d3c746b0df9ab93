"""The rewrites of finished files in their order."""

from __future__ import annotations

from portrait_tflite.convert.rewrites.flatbuffer.add_in_range import AddInRange
from portrait_tflite.convert.rewrites.flatbuffer.as_reshape import (
    AsReshape,
    PackToConcatenation,
    TileToConcatenation,
)
from portrait_tflite.convert.rewrites.flatbuffer.average_pool import AveragePool
from portrait_tflite.convert.rewrites.flatbuffer.cancel import Cancel, MergePair
from portrait_tflite.convert.rewrites.flatbuffer.channel_line import (
    ChannelLine,
    MergeChannelLine,
)
from portrait_tflite.convert.rewrites.flatbuffer.flatten_bias import FlattenBias
from portrait_tflite.convert.rewrites.flatbuffer.fold_constants import (
    FoldConstants,
    ShareConstants,
)
from portrait_tflite.convert.rewrites.flatbuffer.fuse_clamp import FuseClamp
from portrait_tflite.convert.rewrites.flatbuffer.hard_swish import HardSwish
from portrait_tflite.convert.rewrites.flatbuffer.identity_add import IdentityAdd
from portrait_tflite.convert.rewrites.flatbuffer.merge_pad import MergePad
from portrait_tflite.convert.rewrites.flatbuffer.minmax_to_quantize import MinmaxToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import NearestChain
from portrait_tflite.convert.rewrites.flatbuffer.nearest_to_copies import NearestToCopies
from portrait_tflite.convert.rewrites.flatbuffer.pointwise_before_nearest import (
    PointwiseBeforeNearest,
)
from portrait_tflite.convert.rewrites.flatbuffer.relu_to_quantize import ReluToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.convert.rewrites.flatbuffer.scalar_factor import ScalarFactor
from portrait_tflite.convert.rewrites.flatbuffer.softmax_to_logistic import SoftmaxToLogistic
from portrait_tflite.convert.rewrites.flatbuffer.split_sign import SplitSign, ToLeakyRelu

# The order matters; each line says why it stands where it does.
REWRITES: tuple[FlatbufferRewrite, ...] = (
    FoldConstants(),  # first: what is constant then is seen to be by all others
    FlattenBias(),  # touches a constant only, and the others do not look at it
    IdentityAdd(),  # before RELU: with the addition gone, a RELU behind it reads its operand
    AddInRange(),  # what of the refused additions is heard after all
    NearestChain(),  # before AsReshape and TILE, which would take the chain for theirs
    PointwiseBeforeNearest(),  # while the resize is one op
    NearestToCopies(),
    AsReshape(),  # before Cancel, which then knows one kind of reshape
    PackToConcatenation(),
    TileToConcatenation(),
    Cancel(),  # before MergePair: what cancels needs no op at all
    MergePair(),
    MergePad(),
    FuseClamp(),  # before RELU: no op is better than a cheap one
    ReluToQuantize(),
    MinmaxToQuantize(),
    ToLeakyRelu(),  # from here on roundings may differ: exact rewrites come first
    SplitSign(),
    ScalarFactor(),
    HardSwish(),
    AveragePool(),
    SoftmaxToLogistic(),
    MergeChannelLine(),
    ChannelLine(),  # what could not be merged
    ShareConstants(),  # last: the others add constants
)
