"""What is said of approximate forms: what they lose, and what fine-tuning gave back."""

from __future__ import annotations

from portrait_tflite.report import formats
from portrait_tflite.report.changes import fitted_rewrites
from portrait_tflite.vocabulary import FEW_UNLABELLED, FineTuning, Report


def approximation_notes(report: Report) -> tuple[str, ...]:
    """Warn of forms that are other functions, and say what fine-tuning came to."""
    if report.fine_tuning:
        return tuple(note for tuning in report.fine_tuning for note in _tuned(tuning))
    layers = len({record.layer for record in fitted_rewrites(report)})
    if not layers:
        return ()
    asked = (
        f"{formats.count(layers, 'layer')} became another function: fine-tune with --finetune DIR, "
        "a folder of unlabelled pictures, and look at the accuracy"
    )
    if report.calibration is not None:
        return (asked,)
    return (
        asked,
        "it was fitted to pictures that it is scored on, which flatters it: --calibration DIR "
        "fits it to others",
    )


def approximation_point(report: Report) -> str:
    """Say in one line which layers are other functions; "" where none is."""
    layers = list(dict.fromkeys(record.layer for record in fitted_rewrites(report)))
    if not layers:
        return ""
    more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
    named = f"{', '.join(layers[:3])}{more}: another function than before"
    if not report.fine_tuning:
        return f"{named}, fitted to it; --finetune DIR recovers what that loses"
    agreement = min(tuning.agreement_after for tuning in report.fine_tuning)
    return f"{named}, fine-tuned to an IoU of {formats.fixed(agreement, 4)} with its masks"


def _tuned(tuning: FineTuning) -> tuple[str, ...]:
    whose = " and ".join(tuning.delegates)
    trained = (
        f"fine-tuned for {whose} on {formats.count(tuning.images, 'unlabelled picture')} of "
        f"{tuning.source}: IoU with the network's own masks {tuning.agreement_before:.4f} → "
        f"{tuning.agreement_after:.4f}, {formats.count(tuning.held_out, 'picture')} held out, "
        f"{formats.count(tuning.rounds, 'round')}{_end(tuning)}"
    )
    before = (
        f"before fine-tuning the whole net differed by "
        f"{tuning.rewritten_before.max_rel_error:.1e} of the largest value"
    )
    if tuning.images + tuning.held_out >= FEW_UNLABELLED:
        return trained, before
    few = f"fine-tuning on fewer than {FEW_UNLABELLED} pictures learns them by heart: give it more"
    return trained, before, few


def _end(tuning: FineTuning) -> str:
    """Say why it ended, and what it was worth where that is nothing."""
    end = ", the last ones no better" if tuning.stopped_early else ""
    gained = tuning.agreement_after > tuning.agreement_before
    return end if gained else f"{end}; what was fitted agreed best, and stayed"
