"""What to know before a variant is shipped that looks good on paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portrait_tflite.convert.rewrites.flatbuffer.identity_add import LOST_SKIP
from portrait_tflite.report.formats import count
from portrait_tflite.report.io_card import io_card
from portrait_tflite.report.roles import shipped_variants
from portrait_tflite.vocabulary import (
    Activation,
    ModelSpec,
    Precision,
    Report,
    RewriteRecord,
    Variant,
)

# A quantized probability may go beyond 0 and 1 by what calibration rounds; logits go farther.
_BEYOND = 0.25


def cautions(report: Report) -> tuple[str, ...]:
    """List the warnings of the variants, one line each."""
    of_variants = tuple(
        f"{name}: {line}"
        for name, variant in shipped_variants(report).items()
        for line in (*_of_variant(name, variant), *_logits(variant, report.model.spec))
    )
    return (*of_variants, *_lost_skips(report.rewrites))


def _of_variant(name: str, variant: Variant) -> Iterator[str]:
    if name == Precision.INT16X8:
        yield (
            "XNNPACK takes no 16-bit activations: every op runs on the built-in kernels, slower "
            "than float32 on most phones; take int8 where its accuracy does"
        )
    if name == Precision.DYNAMIC:
        outside = len(variant.audit.xnnpack.outside)
        yield (
            "only its weights are int8; activations are quantized anew in every run, by the range "
            "of one picture, which has ruined convolutional networks. "
            f"{count(outside, 'op')} outside XNNPACK here; take int8"
        )
    if name == Precision.FLOAT16:
        yield _arithmetic(variant)


def _arithmetic(variant: Variant) -> str:
    if variant.half_precision:
        return (
            "ARM CPUs compute it in float16, other CPUs in float32: the accuracy here is float32's"
        )
    return "ARM CPUs compute it in float32, for nothing in it allows them less"


def _logits(variant: Variant, network: ModelSpec) -> Iterator[str]:
    """Warn of a quantized mask that holds more than probabilities, where no activation is known."""
    if (variant.spec or network).output.activation is not Activation.NONE:
        return
    card = io_card(variant, network).output
    if card.lowest is None or card.highest is None:
        return
    if card.lowest < -_BEYOND or card.highest > 1 + _BEYOND:
        several = variant.output.shape[-1] > 1
        wanted = "softmax (or sigmoid)" if several else "sigmoid"
        yield (
            f"its mask goes from {card.lowest:.4g} to {card.highest:.4g}, which is no probability, "
            "and was scored as one, the person from 0.5 on; if it is logits, convert again with "
            f"--activation {wanted}"
        )


def _lost_skips(rewrites: Sequence[RewriteRecord]) -> Iterator[str]:
    """Tell of the sums that one operand had no say in: calibration or training went wrong there."""
    layers = [record.layer for record in rewrites if record.reason == LOST_SKIP]
    if layers:
        skips = "a skip" if len(layers) == 1 else f"{len(layers)} skips"
        yield (
            f"{skips} that int8 has lost, at {', '.join(layers)}: one operand of the sum "
            "never reaches half a step of it, and was dropped; see whether the float network needs "
            "it, and calibrate on more pictures, or train, if it does"
        )
