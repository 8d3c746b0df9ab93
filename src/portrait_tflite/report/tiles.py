"""The few figures that a report opens with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from portrait_tflite.report import formats
from portrait_tflite.report.arm_cost import compare_arm_cost
from portrait_tflite.report.roles import audit_of, delegate_for, main_variant
from portrait_tflite.vocabulary import Accuracy, Delegate, Precision, Report, Variant


@dataclass(frozen=True)
class Tile:
    """One figure: what it is, its value and unit, and what it is held against."""

    label: str
    value: str
    unit: str
    note: str


def tiles(report: Report) -> tuple[Tile, ...]:
    """Return the key figures of the main variant."""
    name = main_variant(report.variants)
    return tuple(_tiles(report, name)) if name else ()


def _tiles(report: Report, name: str) -> Iterator[Tile]:
    variant = report.variants[name]
    yield _size(report, name, variant)
    if variant.accuracy:
        yield _accuracy(report, variant.accuracy)
    yield _inside(name, variant)
    yield _cost(report, name)


def _size(report: Report, name: str, variant: Variant) -> Tile:
    value, unit = formats.size(variant.bytes).split(" ")
    full = report.variants.get(Precision.FLOAT32)
    note = ""
    if full and name != Precision.FLOAT32 and full.bytes:
        note = f"{formats.fixed(variant.bytes / full.bytes)} × float32"
    return Tile(f"{name} file", value, unit, note)


def _accuracy(report: Report, accuracy: Accuracy) -> Tile:
    if not accuracy.labelled:
        value = formats.fixed(accuracy.agreement_iou, 3)
        return Tile("agreement", value, "IoU", "with the masks it came from; no labels")
    lost = f"{formats.fixed(accuracy.drop.miou)} points lost, up to {report.max_drop:g} passes"
    return Tile("mIoU", formats.fixed(accuracy.miou, 3), "", lost)


def _inside(name: str, variant: Variant) -> Tile:
    delegate = delegate_for(name)
    audit = audit_of(variant, delegate)
    outside = formats.count(len(audit.outside), "op") if audit.outside else "no op"
    if delegate is Delegate.XNNPACK and audit.partitions is not None:
        unit = "partition" if audit.partitions == 1 else "partitions"
        return Tile("XNNPACK", str(audit.partitions), unit, f"{outside} outside")
    label = "GPU delegate" if delegate is Delegate.GPU else "built-in kernels"
    unit = "op outside" if len(audit.outside) == 1 else "ops outside"
    return Tile(label, str(len(audit.outside)), unit, "by its rules" if audit.outside else "")


def _cost(report: Report, name: str) -> Tile:
    compared = compare_arm_cost(report, name)
    if compared is None:
        return Tile("ARM cost", formats.MISSING, "", "not measured")
    against = [f"{formats.fixed(ratio)} × {other}" for other, ratio in compared.ratios.items()]
    note = "; ".join(filter(None, ("a bound", ", ".join(against))))
    return Tile("ARM cost", formats.millions(compared.cycles), "M cycles", note)
