"""Accuracy in words, and the table of every image."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

from portrait_tflite.report.accuracy_figures import (
    accuracy_csv,
    drop_words,
    flicker_words,
    interval_words,
    miou_interval,
)
from portrait_tflite.report.files import report_json
from portrait_tflite.vocabulary import Flicker, Interval


def test_a_row_for_every_image_and_variant(full_report: Any) -> None:
    scores = {name: v.accuracy for name, v in full_report.variants.items()}
    rows = list(csv.DictReader(io.StringIO(accuracy_csv(scores))))
    assert [row["variant"] for row in rows] == list(full_report.variants)
    assert rows[0]["image"] == "a.png"
    assert float(rows[0]["iou_float"]) == 0.9
    assert float(rows[0]["foreground"]) == 0.3
    assert (rows[0]["label_mae_float"], rows[0]["label_mae"]) == ("0.02", "0.03")
    assert (rows[0]["label_sad_float"], rows[0]["label_sad"]) == ("1.3", "1.9")


def test_names_with_commas_stay_whole(full_report: Any) -> None:
    accuracy = full_report.variants["int8"].accuracy
    named = replace(accuracy.images_scored[0], image='a, "b".png')
    text = accuracy_csv({"int8": replace(accuracy, images_scored=(named,))})
    assert next(csv.DictReader(io.StringIO(text)))["image"] == 'a, "b".png'


def test_images_are_not_in_report_json(full_report: Any) -> None:
    accuracy = report_json(full_report)["variants"]["int8"]["accuracy"]
    assert "images_scored" not in accuracy
    assert accuracy["interval"]["miou"] == {"low": 0.02, "high": 0.11}
    assert set(accuracy["interval"]) == set(accuracy["drop"])
    assert accuracy["boundary_f_fine"] == 0.79


def test_words(full_report: Any) -> None:
    accuracy = full_report.variants["int8"].accuracy
    assert miou_interval(accuracy) == "0.02 to 0.11"
    assert interval_words(Interval(-0.5, 1)) == "−0.50 to 1.00"
    assert miou_interval(replace(accuracy, interval=None)) == "–"
    assert drop_words(accuracy) == (
        "0.05 (0.00 to 0.10) points of IoU, −0.10 (−0.20 to 0.00) of boundary F and "
        "0.20 (0.10 to 0.30) of the fine one lost; MAE 0.40 (0.30 to 0.50) points, "
        "SAD 0.262 (0.200 to 0.330) thousand pixels; 0.01 (−0.01 to 0.03) points of MAE and "
        "0.007 (−0.007 to 0.020) thousand pixels of SAD farther from the labels; "
        "0.30 points of the picture less person"
    )
    assert "labels" not in drop_words(replace(accuracy, labelled=False))
    assert flicker_words(Flicker(1, 0.001, 0.02)) == (
        "2.000 % of still pixels change sides from frame to frame, 0.100 % with the float model "
        "(1 pair of frames)"
    )
