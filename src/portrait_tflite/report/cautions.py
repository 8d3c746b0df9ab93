"""What to know before a variant is shipped that looks good on paper."""

from __future__ import annotations

from collections.abc import Iterator

from portrait_tflite.report.formats import count
from portrait_tflite.report.roles import shipped_variants
from portrait_tflite.vocabulary import Precision, Report, Variant


def cautions(report: Report) -> tuple[str, ...]:
    """List the warnings of the variants, one line each."""
    return tuple(
        f"{name}: {line}"
        for name, variant in shipped_variants(report).items()
        for line in _of_variant(name, variant)
    )


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
