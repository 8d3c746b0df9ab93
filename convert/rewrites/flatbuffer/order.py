"""The rewrites of finished files in their order."""

from __future__ import annotations

from portrait_tflite.convert.rewrites.flatbuffer.add_in_range import AddInRange
from portrait_tflite.convert.rewrites.flatbuffer.as_reshape import (
    AsReshape,
    PackToConcatenation,
    SliceThenReshape,
    TileToConcatenation,
)
from portrait_tflite.convert.rewrites.flatbuffer.average_pool import AveragePool
from portrait_tflite.convert.rewrites.flatbuffer.borders import ConstantBorder, MirroredBorder
from portrait_tflite.convert.rewrites.flatbuffer.cancel import Cancel, MergePair
from portrait_tflite.convert.rewrites.flatbuffer.channel_line import (
    ChannelLine,
    MergeChannelLine,
)
from portrait_tflite.convert.rewrites.flatbuffer.choice_to_numbers import ChoiceToNumbers
from portrait_tflite.convert.rewrites.flatbuffer.columns_as_channels import ColumnsAsChannels
from portrait_tflite.convert.rewrites.flatbuffer.concatenation import ConcatenateOneScale
from portrait_tflite.convert.rewrites.flatbuffer.convolution_before_bilinear import (
    ConvolutionBeforeBilinear,
)
from portrait_tflite.convert.rewrites.flatbuffer.dead_channels import DeadChannels
from portrait_tflite.convert.rewrites.flatbuffer.dilated_convolution import DilatedConvolution
from portrait_tflite.convert.rewrites.flatbuffer.drop_dead import DropDead
from portrait_tflite.convert.rewrites.flatbuffer.every_pixel import EveryPixel
from portrait_tflite.convert.rewrites.flatbuffer.exact_multiplier import ExactMultiplier
from portrait_tflite.convert.rewrites.flatbuffer.flatten_bias import FlattenBias
from portrait_tflite.convert.rewrites.flatbuffer.float_islands import (
    ClampBeforeQuantize,
    MoveStoredNumbers,
)
from portrait_tflite.convert.rewrites.flatbuffer.fold_constants import (
    FoldConstants,
    ShareConstants,
)
from portrait_tflite.convert.rewrites.flatbuffer.fuse_clamp import FuseClamp
from portrait_tflite.convert.rewrites.flatbuffer.identity_add import IdentityAdd
from portrait_tflite.convert.rewrites.flatbuffer.line_into_convolution import LineIntoConvolution
from portrait_tflite.convert.rewrites.flatbuffer.maximum_as_pooling import MaximumAsPooling
from portrait_tflite.convert.rewrites.flatbuffer.merge_pad import MergePad
from portrait_tflite.convert.rewrites.flatbuffer.minmax_to_quantize import MinmaxToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.moved_scale import ReadAnew, ScaleIntoWeights
from portrait_tflite.convert.rewrites.flatbuffer.nearest_chain import NearestChain
from portrait_tflite.convert.rewrites.flatbuffer.nearest_convolution import NearestConvolution
from portrait_tflite.convert.rewrites.flatbuffer.nearest_to_copies import NearestToCopies
from portrait_tflite.convert.rewrites.flatbuffer.packed_line import PackedLine
from portrait_tflite.convert.rewrites.flatbuffer.pointwise_before_nearest import (
    PointwiseBeforeNearest,
)
from portrait_tflite.convert.rewrites.flatbuffer.relu_to_quantize import ReluToQuantize
from portrait_tflite.convert.rewrites.flatbuffer.requantization import (
    DropRequantize,
    FuseRequantize,
)
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.convert.rewrites.flatbuffer.scalar_factor import ScalarFactor
from portrait_tflite.convert.rewrites.flatbuffer.select_to_leaky_relu import SelectToLeakyRelu
from portrait_tflite.convert.rewrites.flatbuffer.separate_clamp import SeparateClamp
from portrait_tflite.convert.rewrites.flatbuffer.softmax_of_stack import SoftmaxOfStack
from portrait_tflite.convert.rewrites.flatbuffer.softmax_to_logistic import SoftmaxToLogistic
from portrait_tflite.convert.rewrites.flatbuffer.sparse_kernel import SparseKernel
from portrait_tflite.convert.rewrites.flatbuffer.spelled_out import SpelledOut
from portrait_tflite.convert.rewrites.flatbuffer.split_to_slices import SplitToSlices
from portrait_tflite.convert.rewrites.flatbuffer.stack_to_parts import StackToParts
from portrait_tflite.convert.rewrites.flatbuffer.subsampling import Subsampling
from portrait_tflite.convert.rewrites.flatbuffer.through_float import ThroughFloat
from portrait_tflite.convert.rewrites.flatbuffer.to_leaky_relu import ToLeakyRelu
from portrait_tflite.convert.rewrites.flatbuffer.transpose_of_fewer import TransposeOfFewer
from portrait_tflite.convert.rewrites.flatbuffer.transposed_to_depth import TransposedToDepth
from portrait_tflite.convert.rewrites.flatbuffer.uneven_nearest import UnevenNearest

# The order matters; each line says why it stands where it does.
REGISTERED: tuple[FlatbufferRewrite, ...] = (
    DropDead(),  # first: the others need not look at it
    FoldConstants(),  # what is constant then is seen to be by all others
    FlattenBias(),  # touches a constant only, and the others do not look at it
    DeadChannels(),  # likewise
    DilatedConvolution(),  # before all that look for a convolution beside them
    SparseKernel(),  # touches a constant only, and what it leaves may be 1×1
    LineIntoConvolution(),  # before TransposedToDepth, which takes the bias along
    SeparateClamp(),  # before TransposedToDepth, whose form weighs less for what this one costs
    TransposedToDepth(),  # not exact, but FuseClamp must see a CONV_2D, which takes activations
    ScaleIntoWeights(),  # before all that cost: XNNPACK gives up on the file as it is
    ReadAnew(),  # what has no weights before it
    IdentityAdd(),  # before RELU: with the addition gone, a RELU behind it reads its operand
    AddInRange(),  # what of the refused additions is heard after all
    SelectToLeakyRelu(),  # before FuseClamp, which knows a RELU
    NearestChain(),  # before AsReshape and TILE, which would take the chain for theirs
    PointwiseBeforeNearest(),  # while the resize is one op
    NearestConvolution(),  # what is no 1×1
    ConvolutionBeforeBilinear(),
    NearestToCopies(),
    UnevenNearest(),  # what has no whole factors
    SoftmaxOfStack(),  # before StackToParts, which then finds numbers of four dimensions
    StackToParts(),  # before those that take its slices, UNPACK and PACK for theirs
    SliceThenReshape(),
    SplitToSlices(),
    AsReshape(),  # before Cancel, which then knows one kind of reshape
    TransposeOfFewer(),  # before Cancel, for which its reshapes leave something
    PackToConcatenation(),
    TileToConcatenation(),
    ClampBeforeQuantize(),  # before MoveStoredNumbers, for which it is in the way
    MoveStoredNumbers(),  # before Cancel and MergePair, which take pairs with nothing between
    Cancel(),  # before MergePair: what cancels needs no op at all
    MergePair(),
    MergePad(),  # before ConstantBorder: a pool's own border is no op
    ConstantBorder(),
    MirroredBorder(),
    FuseClamp(),  # before RELU: no op is better than a cheap one
    ReluToQuantize(),
    MinmaxToQuantize(),
    ConcatenateOneScale(),  # its requantizations may fuse
    DropRequantize(),  # before FuseRequantize, which turns ties that this one leaves
    FuseRequantize(),  # now that the clamps are requantizations, too
    ToLeakyRelu(),  # from here on roundings may differ: exact rewrites come first
    ScalarFactor(),
    Subsampling(),  # before AveragePool, which takes single pixels for any other window
    EveryPixel(),  # the same of a slice
    AveragePool(),
    SoftmaxToLogistic(),
    MergeChannelLine(),
    ChannelLine(),  # what could not be merged
    PackedLine(),  # what those made, and what came with the network
    ColumnsAsChannels(),  # after all that fuses into a convolution: a reshape would be in the way
    ChoiceToNumbers(),  # what no clamp and no slope is
    MaximumAsPooling(),  # before ThroughFloat, which takes it for more
    SpelledOut(),  # in float, too, from the beginning
    ThroughFloat(),  # what is still outside, and has a form in float
    ExactMultiplier(),  # after all that adds, moves or takes away a requantization
    ShareConstants(),  # last: the others add constants
)

# What is applied unasked.
REWRITES = tuple(rewrite for rewrite in REGISTERED if not rewrite.by_name)
