"""What each variant of a report is for: shipped or compared with, and by which delegate it runs."""

from __future__ import annotations

from collections.abc import Collection

from portrait_tflite.vocabulary import Delegate, DelegateAudit, Precision, Report, Variant

AS_RELEASED = "as_released"  # a finished file before it was mended

DELEGATE_NAMES = {
    Delegate.CPU: "built-in kernels",
    Delegate.XNNPACK: "XNNPACK",
    Delegate.GPU: "GPU",
}

# The integer variants first: they are what a conversion is for, and what may lose accuracy.
_MAIN = (
    Precision.INT8,
    Precision.INT16X8,
    Precision.DYNAMIC,
    Precision.FLOAT16,
    Precision.FLOAT32,
)
# Best first: `naive_batch1` differs from ours by our work alone.
_BASELINES = ("naive_batch1", "naive", AS_RELEASED)


def is_shipped(name: str) -> bool:
    """Whether a variant is for an app; baselines are evidence only."""
    return name in list(Precision)


def shipped_variants(report: Report) -> dict[str, Variant]:
    """Return the variants for an app, by name."""
    return {name: variant for name, variant in report.variants.items() if is_shipped(name)}


def main_variant(names: Collection[str]) -> str | None:
    """Name the variant that a report is mostly about; None where none is for an app."""
    return next((precision.value for precision in _MAIN if precision in names), None)


def baseline(names: Collection[str]) -> str | None:
    """Name the baseline that claims are against; None where none was built."""
    return next((name for name in _BASELINES if name in names), None)


def delegate_for(name: str) -> Delegate:
    """Return the delegate that a variant is meant for; a baseline's is XNNPACK."""
    if name == Precision.FLOAT16:
        return Delegate.GPU
    return Delegate.CPU if name == Precision.INT16X8 else Delegate.XNNPACK


def audit_of(variant: Variant, delegate: Delegate) -> DelegateAudit:
    """Return what `delegate` makes of a variant."""
    audits = {
        Delegate.CPU: variant.audit.cpu,
        Delegate.XNNPACK: variant.audit.xnnpack,
        Delegate.GPU: variant.audit.gpu,
    }
    return audits[delegate]


def reference_name(report: Report) -> str:
    """Name what accuracy is measured against, for people and without an article."""
    return "released file" if AS_RELEASED in report.variants else "float model"
