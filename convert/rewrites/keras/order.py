"""The rewrites of the Keras graph in their order."""

from __future__ import annotations

from portrait_tflite.convert.rewrites.keras.batch_norm import (
    BatchNormAsDepthwise,
    FoldBatchNormBefore,
    FoldBatchNormBehind,
)
from portrait_tflite.convert.rewrites.keras.fused_activation import FuseActivation
from portrait_tflite.convert.rewrites.keras.mask_head import SelectChannel, TwoClassHead
from portrait_tflite.convert.rewrites.keras.nearest_upsampling import (
    NearestUpsampling,
    NearestUpsamplingConvolution,
)
from portrait_tflite.convert.rewrites.keras.site import KerasRewrite
from portrait_tflite.convert.rewrites.keras.training_layers import DropTrainingLayers
from portrait_tflite.convert.rewrites.keras.transposed_convolution import TransposedConvolution

# The order matters; each line says why it stands where it does.
REWRITES: tuple[KerasRewrite, ...] = (
    DropTrainingLayers(),  # first: a dropout between two layers hides every other pattern
    TwoClassHead(),  # before SelectChannel, which would keep the softmax's convolution whole
    SelectChannel(),
    FoldBatchNormBehind(),  # before activations: it stands between convolution and ReLU
    FoldBatchNormBefore(),  # behind the fold into the producer, which is always legal
    BatchNormAsDepthwise(),  # what is left of them; before activations, which fuse into it
    FuseActivation(),  # before the upsamplings, which carry the activation along
    NearestUpsamplingConvolution(),  # before the plain form: the merged one is cheaper
    NearestUpsampling(),
    TransposedConvolution(),
)
