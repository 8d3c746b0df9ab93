"""Accuracy in words and rows, for terminals, pages and `accuracy.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from portrait_tflite.report import formats
from portrait_tflite.vocabulary import Accuracy, Flicker, ImageDetail, Interval

# The figures of `Drop` and the digits they are written with: sums are in thousands of pixels.
_LOST = {
    "iou": 2, "miou": 2, "boundary_f": 2, "boundary_f_fine": 2, "mae": 2, "sad": 3, "label_mae": 2,
    "label_sad": 3,
}  # fmt: skip


@dataclass(frozen=True)
class LostFigure:
    """One figure of `Drop` in words, and where it lies with 95 % confidence."""

    lost: str
    interval: str


def accuracy_csv(scores: Mapping[str, Accuracy]) -> str:
    """Write every image's scores, a row for each variant; figures as they were measured."""
    text = io.StringIO()
    names = ["variant", *(each.name for each in fields(ImageDetail))]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for variant, accuracy in scores.items():
        writer.writerows({"variant": variant, **asdict(one)} for one in accuracy.images_scored)
    return text.getvalue()


def interval_words(interval: Interval | None, digits: int = 2) -> str:
    """Write where a figure lies: `0.02 to 0.11`."""
    if interval is None:
        return formats.MISSING
    return f"{formats.fixed(interval.low, digits)} to {formats.fixed(interval.high, digits)}"


def miou_interval(accuracy: Accuracy) -> str:
    """Write where the drop of mIoU lies with 95 % confidence, in points."""
    return interval_words(accuracy.interval.miou if accuracy.interval else None)


def lost_figures(accuracy: Accuracy) -> tuple[LostFigure, ...]:
    """Write all that is lost and where it lies, in the order of `Drop`."""
    return tuple(_lost_figure(accuracy, name, digits) for name, digits in _LOST.items())


def drop_words(accuracy: Accuracy) -> str:
    """Say what is lost besides mIoU, and how much more or less of a picture is person."""
    lost = {name: _lost_words(accuracy, name) for name in _LOST}
    drift = accuracy.foreground_drift or 0.0
    parts = [
        f"{lost['iou']} points of IoU, {lost['boundary_f']} of boundary F and "
        f"{lost['boundary_f_fine']} of the fine one lost",
        f"MAE {lost['mae']} points, SAD {lost['sad']} thousand pixels",
    ]
    if accuracy.labelled:
        parts.append(
            f"{lost['label_mae']} points of MAE and {lost['label_sad']} thousand pixels of SAD "
            "farther from the labels"
        )
    more = "more" if drift >= 0 else "less"
    return "; ".join([*parts, f"{formats.fixed(abs(drift))} points of the picture {more} person"])


def flicker_words(flicker: Flicker) -> str:
    """Say how much masks change where the picture does not, beside the float model."""
    return (
        f"{formats.percent(flicker.variant, 3)} of still pixels change sides from frame to frame, "
        f"{formats.percent(flicker.float_model, 3)} with the float model "
        f"({formats.count(flicker.pairs, 'pair')} of frames)"
    )


def _lost_figure(accuracy: Accuracy, name: str, digits: int) -> LostFigure:
    interval = getattr(accuracy.interval, name) if accuracy.interval else None
    lost = formats.fixed(getattr(accuracy.drop, name), digits)
    return LostFigure(lost, interval_words(interval, digits))


def _lost_words(accuracy: Accuracy, name: str) -> str:
    """Write one figure and where it lies: `0.05 (0.00 to 0.10)`."""
    figure = _lost_figure(accuracy, name, _LOST[name])
    return f"{figure.lost} ({figure.interval})"
