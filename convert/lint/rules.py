"""The lint rules, one a line, and their application to a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from portrait_tflite.convert.lint.channels import odd_channels
from portrait_tflite.convert.lint.convolutions import (
    convolution_and_pool,
    costly_activation,
    dense_convolution,
    transposed_convolution,
)
from portrait_tflite.convert.lint.net import Net, open_net
from portrait_tflite.convert.lint.resolution import input_size, late_downsampling
from portrait_tflite.convert.lint.rule import LintRule
from portrait_tflite.convert.lint.splits import splitting_ops
from portrait_tflite.vocabulary import DelegateAudit, LintFinding

_ALWAYS = 0.0  # what passing between partitions costs is not in the table
_MUCH = 0.25  # every decoder ends at full resolution: only a large share is a finding

LINT_RULES: tuple[LintRule, ...] = (
    LintRule(
        "input_size",
        input_size,
        "take an input whose sides are multiples of 8 and of the net's stride: maps then halve "
        "evenly, and skips meet without padding or cropping",
        "U-Net (Ronneberger et al. 2015): even sizes at every pooling",
    ),
    LintRule(
        "late_downsampling",
        late_downsampling,
        "halve the resolution in the first layer, and resize the mask at the end, not the features",
        "ENet (Paszke et al. 2016): early downsampling",
        _MUCH,
    ),
    LintRule(
        "convolution_and_pool",
        convolution_and_pool,
        "let the convolution have the stride: the pooling throws most of its results away; "
        "`--rewrite strided` fits that to a trained net",
        "Striving for Simplicity (Springenberg et al. 2014): strides for pooling",
    ),
    LintRule(
        "odd_channels",
        odd_channels,
        "take multiples of 8: kernels compute whole tiles of channels; `--rewrite channels8` fits "
        "that to a trained net",
        "MobileNetV2's reference code: make_divisible(…, 8)",
    ),
    LintRule(
        "dense_convolution",
        dense_convolution,
        "take a depthwise and a 1×1 convolution in its place",
        "MobileNets (Howard et al. 2017): depthwise separable convolutions",
    ),
    LintRule(
        "transposed_convolution",
        transposed_convolution,
        "resize and then convolve; `--rewrite resize` fits that to a trained net",
        "Deconvolution and Checkerboard Artifacts (Odena et al. 2016)",
    ),
    LintRule(
        "costly_activation",
        costly_activation,
        "take ReLU or ReLU6, which runs inside of the convolution before it; `--rewrite relu6` "
        "puts it into a trained net",
        "MobileNetV3 (Howard et al. 2019): what h-swish costs",
    ),
    LintRule(
        "splitting_ops",
        splitting_ops,
        "keep to ops that the delegate takes: each of the others hands over twice",
        "ShuffleNet V2 (Ma et al. 2018): fragments cost speed; LiteRT: delegates",
        _ALWAYS,
    ),
)


def lint_model(
    data: bytes,
    xnnpack: DelegateAudit,
    layers: Iterable[str] = (),
    rules: Sequence[LintRule] = LINT_RULES,
) -> tuple[LintFinding, ...]:
    """Look in a `.tflite` for what the guides of mobile nets would have otherwise.

    Figures are the cost table's: what is not in it counts nothing.

    Args:
        data: The file.
        xnnpack: What XNNPACK makes of it.
        layers: Names of the Keras layers, where they are known.
        rules: Those to apply.

    Returns:
        The findings, by their rules' order.

    Raises:
        UsageError: Not a `.tflite`.
    """
    net = open_net(data, xnnpack, layers)
    return tuple(finding for rule in rules for finding in _apply(rule, net))


def _apply(rule: LintRule, net: Net) -> Iterator[LintFinding]:
    for found in rule.find(net):
        share = found.mcycles / net.mcycles
        if share >= rule.least_share:
            yield LintFinding(
                rule=rule.name,
                places=found.places,
                finding=found.finding,
                advice=rule.advice,
                source=rule.source,
                mcycles=found.mcycles,
                share=share,
                changes=found.changes,
            )
