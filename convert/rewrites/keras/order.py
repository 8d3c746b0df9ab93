"""The rewrites of the Keras graph in their order."""

from __future__ import annotations

from portrait_tflite.convert.rewrites.keras.activation_by_hand import ActivationByHand
from portrait_tflite.convert.rewrites.keras.affine_before import FoldAffineBefore
from portrait_tflite.convert.rewrites.keras.affine_behind import (
    AffineAsDepthwise,
    FoldAffineBehind,
    SplitAffine,
)
from portrait_tflite.convert.rewrites.keras.bilinear_upsampling import PointwiseBeforeBilinear
from portrait_tflite.convert.rewrites.keras.channel_rounding import RoundChannels
from portrait_tflite.convert.rewrites.keras.channel_shuffle import ChannelShuffle
from portrait_tflite.convert.rewrites.keras.dense_as_convolution import DenseAsConvolution
from portrait_tflite.convert.rewrites.keras.earlier_cropping import EarlierCropping
from portrait_tflite.convert.rewrites.keras.exponential_activation import (
    ExponentialActivation,
)
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.grouped_as_depthwise import GroupedAsDepthwise
from portrait_tflite.convert.rewrites.keras.mask_head import SelectChannel, TwoClassHead
from portrait_tflite.convert.rewrites.keras.merged_frames import MergeFrames
from portrait_tflite.convert.rewrites.keras.nearest_convolution import (
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import NearestUpsampling
from portrait_tflite.convert.rewrites.keras.normalization import Normalization
from portrait_tflite.convert.rewrites.keras.one_spelling import OneSpelling
from portrait_tflite.convert.rewrites.keras.packed_columns import PackedColumns
from portrait_tflite.convert.rewrites.keras.padding_into_same import PaddingIntoSame
from portrait_tflite.convert.rewrites.keras.patches import MergePatches, PatchesAsDepth
from portrait_tflite.convert.rewrites.keras.pixel_shuffle import PixelShuffle
from portrait_tflite.convert.rewrites.keras.sigmoid_by_hand import SigmoidByHand
from portrait_tflite.convert.rewrites.keras.site import KerasRewrite
from portrait_tflite.convert.rewrites.keras.smooth_activation import SmoothActivation
from portrait_tflite.convert.rewrites.keras.strided_pooling import StridedPooling
from portrait_tflite.convert.rewrites.keras.training_layers import DropTrainingLayers
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution
from portrait_tflite.convert.rewrites.keras.wide_concatenation import WideConcatenation

# The order matters; each line says why it stands where it does.
REWRITES: tuple[KerasRewrite, ...] = (
    DropTrainingLayers(),  # first: a dropout between two layers hides every other pattern
    OneSpelling(),  # before all that look for layers
    MergeFrames(),  # before what reads a padding
    PaddingIntoSame(),  # before all that look for convolutions
    DenseAsConvolution(),  # likewise
    GroupedAsDepthwise(),  # likewise
    MergePatches(),  # likewise; behind DenseAsConvolution, which leaves it one kind of product
    PatchesAsDepth(),  # what reads patches otherwise
    ActivationByHand(),  # before the folds, which would take its numbers apart
    SigmoidByHand(),  # before the folds, which would take its halves along
    SmoothActivation(),  # behind those that read a swish; before the fuses, which take ReLU6 along
    ExponentialActivation(),  # before the folds, which take its scale and shift along
    Normalization(),  # before the folds, which take its scale and shift along
    TwoClassHead(),  # before SelectChannel, which would keep the softmax's convolution whole
    SelectChannel(),
    FoldAffineBehind(),  # before activations: it stands between convolution and ReLU
    SplitAffine(),  # as free as the fold into one producer
    FoldAffineBefore(),  # behind the folds into producers, which cost nothing and always hold
    AffineAsDepthwise(),  # what is left of them; before activations, which fuse into it
    FuseActivation(),  # before the upsamplings, which carry the activation along
    ChannelShuffle(),  # behind the fuses: then nothing is between it and the convolution
    PixelShuffle(),
    EarlierCropping(),  # behind the folds and fuses; before what takes upsamplings apart
    StridedPooling(),  # behind the folds and fuses: nothing is left between it and the pooling
    RoundChannels(),  # where convolutions are all folded, and before they become others
    RoundChannels("round_channels_between", second=True),
    PointwiseBeforeBilinear(),  # takes the activation off again where it must
    NearestUpsamplingConvolution(),  # before the plain form: the merged one is cheaper
    NearestUpsampling(),
    TransposedConvolution(),
    PackedColumns(),  # behind those that make convolutions, or take activations along
    WideConcatenation(),  # last: others look for what a Concatenate as given has for inputs
)
