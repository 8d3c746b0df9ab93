"""The report on a terminal: what came out, what it cost, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from portrait_tflite.report import formats
from portrait_tflite.report.accuracy_figures import miou_interval
from portrait_tflite.report.cautions import cautions
from portrait_tflite.report.changes import fitted_rewrites, how_near, selection_notes
from portrait_tflite.report.fine_tuning import approximation_notes
from portrait_tflite.report.io_card import card_lines
from portrait_tflite.report.measurements import measured_parts
from portrait_tflite.report.remedies import climb_lines
from portrait_tflite.report.roles import (
    DELEGATE_NAMES,
    audit_of,
    delegate_for,
    shipped_variants,
)
from portrait_tflite.report.spec import OWN_ROWS, describe_others, describe_state
from portrait_tflite.report.tables import FittingTable
from portrait_tflite.vocabulary import (
    DRAWN,
    Delegate,
    DelegateAudit,
    Level,
    Report,
    Variant,
)

_NAMED_PLACES = 3


def summarize(report: Report, out: str, failures: tuple[str, ...]) -> RenderableType:
    """Lay out a report for people."""
    return Group(*_parts(report, out, failures))


def _parts(report: Report, out: str, failures: tuple[str, ...]) -> Iterator[RenderableType]:
    yield _variants(report)
    yield from _lines("Video", filter(None, [describe_state(report)]))
    yield from _lines("Other inputs", filter(None, [describe_others(report)]))
    yield from _lines("Not scored", _not_scored(report))
    if report.benchmarks or report.arm_cost:
        yield from measured_parts(report.machine, report.benchmarks, report.arm_cost, per_op=False)
    yield from _lines("Input and output", card_lines(report))
    yield from _lines("Mind", iter(cautions(report)))
    yield from _lines("Rewrites", _rewrites(report))
    yield from _lines("Outside the delegate", _outside(report))
    yield from _lines("Calibration", _calibration(report))
    yield from _lines("Remedies", climb_lines(report))
    yield from _lines("Worst images", _worst(report))
    if failures:
        yield Text("Not passed", style="bold red")
        yield from (Text(f"  {failure}") for failure in failures)
    yield from _lines("Next", _next_steps(report, out))


def _variants(report: Report) -> RenderableType:
    labelled = any(v.accuracy and v.accuracy.labelled for v in report.variants.values())
    title = f"{report.model.name}: {report.model.parameters:,} parameters, "
    title += f"{report.model.macs / 1e6:,.0f} M MACs; scored on {report.scored_on}"
    title += ", on the built-in kernels" if report.scored_with is Delegate.CPU else ""
    rows = [_cells(name, v, labelled=labelled) for name, v in report.variants.items()]
    return FittingTable(title, rows, spare=("KiB", "runtime", "95 %"))


def _cells(name: str, variant: Variant, *, labelled: bool) -> dict[str, str]:
    accuracy = variant.accuracy
    value = (accuracy.miou if labelled else accuracy.agreement_iou) if accuracy else None
    return {
        "variant": name,
        "KiB": f"{variant.bytes / 1024:,.0f}",
        "XNNPACK": _partitions(variant.audit.xnnpack),
        "GPU list": _completeness(variant.audit.gpu),
        "mIoU" if labelled else "agreement": f"{value:.4f}" if value is not None else "–",
        "drop, points": f"{accuracy.drop.miou:+z.2f}" if accuracy and labelled else "–",
        "95 %": miou_interval(accuracy) if accuracy and labelled else "–",
        "runtime": f"≥ {variant.min_runtime}",
        "gate": _verdict(variant),
    }


def _not_scored(report: Report) -> Iterator[str]:
    for name, variant in report.variants.items():
        if variant.accuracy is None and any(v.accuracy for v in report.variants.values()):
            yield f"{name}: the network has several outputs, and a plain conversion's order differs"


def _rewrites(report: Report) -> Iterator[str]:
    # The CPU's and the GPU's plan may both rewrite a layer: it counts once.
    places = dict.fromkeys(
        (r.layer, r.level, r.rewrite, r.chosen, r.exact) for r in report.rewrites
    )
    counts = Counter(place[1:] for place in places)
    for (level, rewrite, chosen, exact), count in counts.items():
        form = "" if chosen == rewrite else f" → {chosen}"
        where = "in the finished file" if level is Level.FLATBUFFER else "in the Keras graph"
        kind = "" if exact else f", {how_near(level)}"
        yield f"{count} × {rewrite}{form} {where}{kind}"
    yield from selection_notes(report)
    if report.rewritten:
        error = report.rewritten
        yield (
            f"whole net before and after: {error.max_rel_error:.1e} of the largest value, "
            f"{error.images} images"
        )
        if error.rounding:
            yield (
                f"from the same network in float64 the original is {error.rounding.original:.1e} "
                f"away, the rewritten one {error.rounding.rewritten:.1e}"
            )
    when = " before fine-tuning" if report.fine_tuning else ""
    for record in fitted_rewrites(report):
        costs = ", ".join(f"{c.form} {formats.estimate(c.cost)}" for c in record.candidates)
        yield (
            f"{record.layer}: {record.chosen} is another function, off by up to "
            f"{record.max_rel_error:.1%} of the largest value{when} (estimated Mcyc: {costs})"
        )
    yield from approximation_notes(report)
    for skipped in report.skipped:
        if "failed" in skipped.reason or "undone" in skipped.reason or skipped.rewrite == "all":
            yield f"kept {skipped.layer}: {skipped.reason}"


def _outside(report: Report) -> Iterator[str]:
    """The ops that leave the delegate a variant is meant for; alike ones on one line."""
    for name, variant in shipped_variants(report).items():
        delegate = delegate_for(name)
        alike: dict[tuple[str, str, str], list[str]] = {}
        for op in audit_of(variant, delegate).outside:
            alike.setdefault((op.op, op.reason, op.fix), []).append(op.layer or op.tensor)
        for (kind, reason, fix), places in alike.items():
            count = f"{len(places)} × " if len(places) > 1 else ""
            yield (
                f"{name}, {DELEGATE_NAMES[delegate]}: {count}{kind} ({_some(places)}): "
                f"{reason}. {_left_there(report, kind, places) or fix}"
            )


def _left_there(report: Report, kind: str, places: Sequence[str]) -> str:
    """Say why an op that has a form inside was left outside; "" where it has none."""
    known = (s.reason for s in report.skipped if s.layer in places)
    reasons = (reason.removeprefix(f"{kind}: ") for reason in known if reason.startswith(kind))
    return next(reasons, "")


def _some(places: Sequence[str]) -> str:
    more = len(places) - _NAMED_PLACES
    return ", ".join(places[:_NAMED_PLACES]) + (f" and {more} more" if more > 0 else "")


def _calibration(report: Report) -> Iterator[str]:
    if report.calibration:
        yield f"{report.calibration.images} images of {report.calibration.source}"
        for check in report.calibration.checks:
            if not check.passed:
                yield f"{check.level}: {check.name}: {check.detail}"


def _worst(report: Report) -> Iterator[str]:
    for name, variant in report.variants.items():
        if name == "int8" and variant.accuracy:
            for image in variant.accuracy.worst[:3]:
                yield f"{image.image}: IoU {image.iou_float:.3f} → {image.iou:.3f}"


def _next_steps(report: Report, out: str) -> Iterator[str]:
    yield f"everything is in {out}; report.json has it all, model.json what an app needs"
    if report.model.spec.others:
        if report.scored_on == DRAWN:
            yield f"drawn portraits and noise prove little: {OWN_ROWS}"
    elif not any(v.accuracy and v.accuracy.labelled for v in report.variants.values()):
        yield "no labels were given: --validation DIR (images/ and masks/) measures the accuracy"
    elif report.scored_on == DRAWN:
        yield "drawn portraits are no photographs: --validation DIR measures the accuracy on yours"
    if any(v.accuracy and not v.accuracy.passed for v in shipped_variants(report).values()):
        yield "compare the worst images above; more or better calibration pictures help most often"


def _lines(title: str, lines: Iterator[str]) -> Iterator[RenderableType]:
    collected = list(lines)
    if collected:
        yield Text(title, style="bold")
        yield from (Text(f"  {line}") for line in collected)


def _partitions(audit: DelegateAudit) -> str:
    count = "?" if audit.partitions is None else audit.partitions
    return f"{count}" if audit.complete else f"{count}, {len(audit.outside)} outside"


def _completeness(audit: DelegateAudit) -> str:
    return "complete" if audit.complete else f"{len(audit.outside)} outside"


def _verdict(variant: Variant) -> str:
    if variant.accuracy is None:
        return "–"
    return "passed" if variant.accuracy.passed else "failed"
