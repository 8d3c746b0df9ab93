"""Accuracy in words and rows, for terminals, pages and `accuracy.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, fields

from portrait_tflite.report import formats
from portrait_tflite.vocabulary import Accuracy, Flicker, ImageDetail, Interval


def accuracy_csv(scores: Mapping[str, Accuracy]) -> str:
    """Write every image's scores, a row for each variant; figures as they were measured."""
    text = io.StringIO()
    names = ["variant", *(each.name for each in fields(ImageDetail))]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for variant, accuracy in scores.items():
        writer.writerows({"variant": variant, **asdict(one)} for one in accuracy.images_scored)
    return text.getvalue()


def interval_words(interval: Interval | None) -> str:
    """Write where a figure lies: `0.02 to 0.11`."""
    if interval is None:
        return formats.MISSING
    return f"{formats.fixed(interval.low)} to {formats.fixed(interval.high)}"


def miou_interval(accuracy: Accuracy) -> str:
    """Write where the drop of mIoU lies with 95 % confidence, in points."""
    return interval_words(accuracy.interval.miou if accuracy.interval else None)


def drop_words(accuracy: Accuracy) -> str:
    """Say what is lost besides mIoU, and how much more or less of a picture is person."""
    drift = accuracy.foreground_drift or 0.0
    return (
        f"{formats.fixed(accuracy.drop.iou)} points of IoU and "
        f"{formats.fixed(accuracy.drop.boundary_f)} of boundary F lost, SAD "
        f"{formats.fixed(accuracy.sad, 3)} thousand pixels, {formats.fixed(abs(drift))} points of "
        f"the picture {'more' if drift >= 0 else 'less'} person"
    )


def flicker_words(flicker: Flicker) -> str:
    """Say how much masks change where the picture does not, beside the float model."""
    return (
        f"{formats.percent(flicker.variant, 3)} of still pixels change sides from frame to frame, "
        f"{formats.percent(flicker.float_model, 3)} with the float model "
        f"({formats.count(flicker.pairs, 'pair')} of frames)"
    )
