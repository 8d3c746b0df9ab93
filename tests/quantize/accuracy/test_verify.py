"""The accuracy gate: what it scores, and that deliberately broken variants trip it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from portrait_tflite.errors import UsageError
from portrait_tflite.metrics import iou
from portrait_tflite.quantize.accuracy.validation import Sample, load_validation
from portrait_tflite.quantize.accuracy.verify import verify_variants
from portrait_tflite.vocabulary import Accuracy, Drop, Fit, ModelSpec

Build = Callable[..., Path]
Floats = NDArray[np.float32]

SPEC = ModelSpec(height=48, width=48)


def red(inputs: Floats) -> Floats:
    """The float model: perfect on red rectangles."""
    return inputs[0, ..., 0]


def shifted(pixels: int) -> Callable[[Floats], Floats]:
    return lambda inputs: np.roll(red(inputs), pixels, axis=1)


def verify(
    folder: Path,
    variant: Callable[[Floats], Floats],
    *,
    reference: Callable[[Floats], Floats] = red,
    spec: ModelSpec = SPEC,
    max_drop: float = 1.0,
) -> Accuracy:
    return verify_variants(reference, {"int8": variant}, spec, load_validation(folder), max_drop)[
        "int8"
    ]


def test_the_float_model_itself_loses_nothing(red_folder: Build) -> None:
    accuracy = verify(red_folder(4), red)
    assert accuracy.passed
    assert accuracy.reason == ""
    assert accuracy.images == 4
    assert accuracy.labelled
    assert (accuracy.drop.iou, accuracy.drop.miou, accuracy.drop.boundary_f) == (0, 0, 0)
    assert accuracy.agreement_iou == accuracy.boundary_f == 1
    assert accuracy.mae == 0
    assert accuracy.iou > 0.95


def test_a_broken_variant_fails_by_its_miou_drop(red_folder: Build) -> None:
    accuracy = verify(red_folder(4), shifted(4))
    assert not accuracy.passed
    assert accuracy.drop.miou > 1
    assert f"mIoU drops by {accuracy.drop.miou:.2f} points, at most 1 allowed" in accuracy.reason
    assert accuracy.drop.boundary_f > 10
    assert accuracy.agreement_iou < 0.9


def test_max_drop_is_the_limit(red_folder: Build) -> None:
    folder = red_folder(4)
    drop = verify(folder, shifted(1)).drop.miou
    assert drop > 0
    assert verify(folder, shifted(1), max_drop=drop).passed
    assert not verify(folder, shifted(1), max_drop=drop * 0.99).passed


def test_drop_is_in_points_of_the_mean_over_images(red_folder: Build) -> None:
    accuracy = verify(red_folder(3), shifted(3))
    lost = [image.iou_float - image.iou for image in accuracy.worst]
    assert accuracy.drop.iou == pytest.approx(100 * np.mean(lost))


def test_without_labels_agreement_is_gated(red_folder: Build) -> None:
    folder = red_folder(4, labelled=False)
    same, moved = verify(folder, red), verify(folder, shifted(2), max_drop=100)
    assert same.passed
    assert not same.labelled
    assert same.iou == same.agreement_iou == 1
    assert not moved.passed
    assert "at least 0.98 is required" in moved.reason
    assert moved.drop.iou == pytest.approx(100 * (1 - moved.agreement_iou))


def test_a_float_model_under_the_floor_is_no_pass_whatever_the_drop(red_folder: Build) -> None:
    samples = load_validation(red_folder(3))

    def blue(inputs: Floats) -> Floats:
        return inputs[0, ..., 2]

    accuracy = verify_variants(
        blue, {"int8": blue}, SPEC, samples, 100, diagnose=lambda: "best would be --channels bgr"
    )["int8"]
    assert accuracy.drop.miou == 0
    assert not accuracy.passed
    assert "IoU of the float model is 0.0" in accuracy.reason
    assert accuracy.reason.endswith("best would be --channels bgr")


def test_without_labels_a_net_must_agree_as_well_as_with_itself(red_folder: Build) -> None:
    samples = [Sample(s.name, s.image) for s in load_validation(red_folder(4))]
    moved = {"other_kernels": shifted(1), "better": shifted(1), "worse": shifted(6)}
    alone = verify_variants(red, moved, SPEC, samples, 1)
    assert not any(accuracy.passed for accuracy in alone.values())
    scores = verify_variants(red, moved, SPEC, samples, 1, same_net="other_kernels")
    assert scores["better"].passed
    assert not scores["worse"].passed
    least = scores["other_kernels"].agreement_iou
    assert scores["worse"].reason.endswith(f"at least {least:.3g} is required")
    # One that agrees closely with itself asks for no more than always.
    close = verify_variants(red, {**moved, "same": red}, SPEC, samples, 1, same_net="same")
    assert close["better"].reason.endswith("at least 0.98 is required")


def test_a_net_that_agrees_as_well_but_for_chance_passes(red_folder: Build) -> None:
    samples = [Sample(s.name, s.image) for s in load_validation(red_folder(8))]

    def by_turns(first: int, second: int) -> Callable[[Floats], Floats]:
        turns = itertools.cycle([shifted(first), shifted(second)])
        return lambda inputs: next(turns)(inputs)

    kernels, other, worse = by_turns(0, 6), by_turns(7, 0), by_turns(7, 6)
    scores = verify_variants(
        red, {"kernels": kernels, "other": other, "worse": worse}, SPEC, samples, 1,
        same_net="kernels",
    )  # fmt: skip
    assert scores["other"].agreement_iou < scores["kernels"].agreement_iou
    assert scores["other"].passed
    assert not scores["worse"].passed


def test_masks_with_nan_fail_and_are_scored_as_background(red_folder: Build) -> None:
    def broken(inputs: Floats) -> Floats:
        mask = red(inputs).copy()
        mask[0, 0] = np.nan
        return mask

    folder = red_folder(2)
    variant, reference = verify(folder, broken), verify(folder, red, reference=broken)
    assert "this variant hold NaN or infinity on 2 of 2 images" in variant.reason
    assert "the float model hold NaN" in reference.reason
    assert np.isfinite(variant.mae)


def test_worst_images_come_first_and_are_few(red_folder: Build) -> None:
    folder = red_folder(12)
    calls = iter(range(100))

    def bad_on_the_fifth(inputs: Floats) -> Floats:
        return np.zeros_like(red(inputs)) if next(calls) == 4 else red(inputs)

    accuracy = verify(folder, bad_on_the_fifth)
    assert len(accuracy.worst) == 8
    assert accuracy.worst[0].image == "04.png"
    assert accuracy.worst[0].iou == 0
    assert accuracy.worst[0].iou_float > 0.9
    # Equal losses are ordered by name.
    assert [image.image for image in accuracy.worst[1:4]] == ["00.png", "01.png", "02.png"]


def test_median_images_lose_as_much_as_half_of_the_others_do(red_folder: Build) -> None:
    calls = iter(range(100))

    def worse_and_worse(inputs: Floats) -> Floats:
        return shifted(next(calls))(inputs)

    accuracy = verify(red_folder(7), worse_and_worse)
    lost = [image.iou_float - image.iou for image in accuracy.worst]
    middle = [image.iou_float - image.iou for image in accuracy.median]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > lost[2] > lost[3] > lost[4] > lost[-1]
    assert middle == lost[3:5]
    assert middle[0] == np.median(lost)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_have_a_median_too(red_folder: Build, count: int) -> None:
    accuracy = verify(red_folder(count), shifted(1))
    assert len(accuracy.median) == min(count, 2)
    assert set(accuracy.median) <= set(accuracy.worst)


def test_scores_are_at_the_labels_resolution(red_folder: Build) -> None:
    folder = red_folder(3, height=96, width=128)
    coarse = ModelSpec(height=8, width=8)
    accuracy = verify(folder, red, spec=coarse)
    # A mask of 8×8 cannot draw a 96×128 label exactly, though it equals it at 8×8.
    assert 0.7 < accuracy.iou < 0.999


@pytest.mark.parametrize("fit", list(Fit))
def test_every_fit_scores_a_perfect_model_well(red_folder: Build, fit: Fit) -> None:
    accuracy = verify(red_folder(4), red, spec=ModelSpec(height=64, width=64, fit=fit))
    assert accuracy.boundary_f == pytest.approx(1, abs=0.02)
    assert accuracy.iou > (0.6 if fit is Fit.CROP else 0.95)


def test_masks_may_have_another_resolution_than_the_input(red_folder: Build) -> None:
    accuracy = verify(red_folder(3), lambda inputs: red(inputs)[::2, ::2])
    assert accuracy.agreement_iou > 0.8
    assert accuracy.iou > 0.8


def test_results_do_not_depend_on_timing(red_folder: Build) -> None:
    folder = red_folder(20)

    def hesitating(inputs: Floats) -> Floats:
        time.sleep(float(inputs[0, 0, 0, 0]) * 0.01)
        return shifted(1)(inputs)

    assert verify(folder, hesitating) == verify(folder, shifted(1))


def test_the_reference_is_run_once_where_it_is_a_variant_too(red_folder: Build) -> None:
    calls: list[int] = []

    def counting(inputs: Floats) -> Floats:
        calls.append(1)
        return red(inputs)

    samples = load_validation(red_folder(3))
    verify_variants(counting, {"float32": counting, "int8": red}, SPEC, samples, 1)
    assert len(calls) == 3


def test_progress_counts_every_image_and_unreadable_ones_are_left_out(red_folder: Build) -> None:
    folder = red_folder(3, labelled=False)
    (folder / "images" / "01.png").write_bytes(b"no picture")
    seen: list[tuple[int, int]] = []
    scores = verify_variants(
        red, {"int8": red}, SPEC, load_validation(folder), 1, lambda n, of: seen.append((n, of))
    )
    assert scores["int8"].images == 2
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"1 files, none of them readable"):
        verify_variants(red, {"int8": red}, SPEC, [Sample("a.png", path)], 1)


def test_a_mask_of_another_size_deep_in_the_set_is_found(red_folder: Build) -> None:
    import cv2

    folder = red_folder(12)
    cv2.imwrite(str(folder / "masks" / "11.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(UsageError, match=r"11\.png of 5×5"):
        verify(folder, red)


def test_agreement_is_iou_of_the_two_masks_at_the_nets_resolution(red_folder: Build) -> None:
    folder = red_folder(1)
    masks: list[Floats] = []

    def recording(inputs: Floats) -> Floats:
        masks.append(shifted(3)(inputs))
        masks.append(red(inputs))
        return masks[0]

    assert verify(folder, recording).agreement_iou == iou(masks[0], masks[1])


def test_the_interval_holds_the_drop_and_is_the_same_every_time(red_folder: Build) -> None:
    folder = red_folder(12)
    calls = iter(range(1000))

    def worse_and_worse(inputs: Floats) -> Floats:
        return shifted(next(calls) % 12 // 2)(inputs)

    first, again = verify(folder, worse_and_worse), verify(folder, worse_and_worse)
    assert first.interval == again.interval
    assert first.interval is not None
    for name in (field.name for field in fields(Drop)):
        interval, drop = getattr(first.interval, name), getattr(first.drop, name)
        assert interval.low < drop < interval.high
    same = verify(folder, red).interval
    assert same is not None
    assert (same.miou.low, same.miou.high) == (0, 0)


def test_one_image_has_no_interval(red_folder: Build) -> None:
    assert verify(red_folder(1), shifted(1)).interval is None


def test_every_image_is_kept_with_all_its_scores(red_folder: Build) -> None:
    accuracy = verify(red_folder(5), shifted(2))
    assert [one.image for one in accuracy.images_scored] == [f"{n:02}.png" for n in range(5)]
    for name in (
        "iou", "miou", "boundary_f", "boundary_f_fine", "mae", "sad", "agreement_iou", "label_mae",
        "label_sad",
    ):  # fmt: skip
        values = [getattr(one, name) for one in accuracy.images_scored]
        assert np.mean(values) == pytest.approx(getattr(accuracy, name))
    lost = [one.miou_float - one.miou for one in accuracy.images_scored]
    assert accuracy.drop.miou == pytest.approx(100 * np.mean(lost))


def test_foreground_drift_is_in_points_of_the_picture(red_folder: Build) -> None:
    def larger(inputs: Floats) -> Floats:
        mask = red(inputs).copy()
        mask[:, :12] = 1  # a quarter of the width, of which some was person
        return mask

    folder = red_folder(4)
    accuracy = verify(folder, larger)
    gained = [one.foreground - one.foreground_float for one in accuracy.images_scored]
    assert accuracy.foreground_drift == pytest.approx(100 * np.mean(gained))
    assert 0 < accuracy.foreground_drift <= 25
    assert verify(folder, red).foreground_drift == 0


def test_sums_and_means_of_differences(red_folder: Build) -> None:
    def softer(inputs: Floats) -> Floats:
        return red(inputs) * np.float32(0.75)

    accuracy = verify(red_folder(3), softer)
    person = np.mean([one.foreground_float for one in accuracy.images_scored])
    assert accuracy.mae == pytest.approx(0.25 * person, abs=0.01)
    assert accuracy.sad == pytest.approx(accuracy.mae * 48 * 48 / 1000)
    assert accuracy.label_mae == pytest.approx(0.25 * person, abs=0.02)
    assert accuracy.label_sad == pytest.approx(accuracy.label_mae * 48 * 48 / 1000)


def test_what_is_lost_of_differences_is_beyond_the_float_models(red_folder: Build) -> None:
    def softer(inputs: Floats) -> Floats:
        return red(inputs) * np.float32(0.75)

    def softest(inputs: Floats) -> Floats:
        return red(inputs) * np.float32(0.5)

    folder = red_folder(6)
    accuracy = verify(folder, softest, reference=softer)
    person = np.mean([one.foreground_float for one in accuracy.images_scored])
    lost = accuracy.drop
    assert lost.mae == pytest.approx(100 * accuracy.mae)
    assert lost.label_mae == pytest.approx(25 * person, abs=0.5)  # and not the half that is missing
    for share, total in ((lost.mae, lost.sad), (lost.label_mae, lost.label_sad)):
        assert total == pytest.approx(share / 100 * 48 * 48 / 1000)
    better = verify(folder, softer, reference=softest).drop
    assert better.label_mae == pytest.approx(-lost.label_mae)
    assert better.mae == pytest.approx(lost.mae)


def test_without_labels_there_is_no_difference_to_them(red_folder: Build) -> None:
    accuracy = verify(red_folder(3, labelled=False), shifted(1))
    assert accuracy.label_mae is accuracy.label_sad is None
    assert accuracy.drop.label_mae is accuracy.drop.label_sad is None
    assert accuracy.interval is not None
    assert accuracy.interval.label_mae is accuracy.interval.label_sad is None
    assert {one.label_mae for one in accuracy.images_scored} == {None}
    assert accuracy.mae > 0


def test_the_fine_boundary_is_the_pictures_own(red_folder: Build) -> None:
    folder = red_folder(3, height=480, width=640)
    coarse = verify(folder, red, spec=ModelSpec(height=24, width=32))
    # Every step of a mask of 24×32 is 20 pixels of the picture, of which 4 are tolerated.
    assert coarse.boundary_f > 0.9
    assert coarse.boundary_f_fine < coarse.boundary_f
