from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from portrait_tflite import metrics

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12)


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape = draw(shapes)
    values = hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32))
    return draw(values), draw(values)


def square(top: int, left: int, side: int = 20, size: int = 64) -> NDArray[np.float32]:
    mask = np.zeros((size, size), np.float32)
    mask[top : top + side, left : left + side] = 1
    return mask


@settings(deadline=None, max_examples=50)
@given(mask_pairs())
def test_every_metric_is_symmetric_and_within_its_range(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    a, b = pair
    for metric in (metrics.iou, metrics.mean_iou, metrics.boundary_f, metrics.mae):
        assert metric(a, b) == metric(b, a)
        assert 0 <= metric(a, b) <= 1


@settings(deadline=None, max_examples=30)
@given(mask_pairs())
def test_a_mask_agrees_with_itself(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    mask = pair[0]
    assert metrics.iou(mask, mask) == metrics.mean_iou(mask, mask) == 1
    assert metrics.boundary_f(mask, mask, tolerance_px=0) == 1
    assert metrics.mae(mask, mask) == 0


@settings(deadline=None, max_examples=30)
@given(mask_pairs())
def test_booleans_score_as_the_masks_that_they_were_cut_from(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    a, b = pair
    assert metrics.overlap(a, b) == metrics.overlap(a >= 0.5, b)


def test_iou_of_known_overlaps() -> None:
    a, b = square(0, 0, 20), square(0, 10, 20)
    assert metrics.iou(a, b) == pytest.approx(200 / 600)
    background = (64 * 64 - 600) / (64 * 64 - 200)
    assert metrics.mean_iou(a, b) == pytest.approx((200 / 600 + background) / 2)


def test_empty_and_full_masks() -> None:
    empty, full = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    assert metrics.iou(empty, empty) == metrics.mean_iou(empty, empty) == 1
    assert metrics.mean_iou(full, full) == 1
    assert metrics.iou(empty, full) == metrics.mean_iou(empty, full) == 0
    assert metrics.boundary_f(empty, full) == 1  # neither has a boundary: only areas differ
    assert metrics.boundary_f(empty, square(2, 2, 3, size=8)) == 0


def test_half_counts_as_person() -> None:
    half = np.full((4, 4), 0.5, np.float32)
    assert metrics.iou(half, np.ones((4, 4), np.float32)) == 1


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_boundary_within_tolerance_is_matched(shift: int) -> None:
    assert metrics.boundary_f(square(20, 20), square(20, 20 + shift)) == 1


def test_boundary_beyond_tolerance_is_not_matched() -> None:
    moved = metrics.boundary_f(square(20, 20), square(20, 23), tolerance_px=2)
    # The upper and lower edges still lie on each other, the left and right ones do not.
    assert 0.5 < moved < 0.75
    assert metrics.boundary_f(square(4, 4), square(40, 40)) == 0


def test_boundary_is_matched_within_a_disc_and_not_a_square() -> None:
    a, b = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    a[7:, 7:], b[9:, 9:] = 1, 1
    corner_only = metrics.boundary_f(a, b, tolerance_px=2)
    assert corner_only < 1


def test_mae_of_soft_masks() -> None:
    a, b = np.full((4, 4), 0.25, np.float32), np.full((4, 4), 0.75, np.float32)
    assert metrics.mae(a, b) == pytest.approx(0.5)


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape.*Received"):
        metrics.iou(np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32))


def boundary_by_definition(mask: NDArray[np.float32]) -> list[tuple[int, int]]:
    person = mask >= 0.5
    height, width = person.shape
    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if any(
            y + dy < height and x + dx < width and person[y, x] != person[y + dy, x + dx]
            for dy, dx in ((0, 1), (1, 0), (1, 1))
        )
    ]


@settings(deadline=None, max_examples=40)
@given(mask_pairs(), st.integers(0, 3))
def test_boundary_f_is_its_definition_by_brute_force(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]], tolerance: int
) -> None:
    one, other = map(boundary_by_definition, pair)
    if not one or not other:
        expected = float(one == other)
    else:

        def matched(mine: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> float:
            near = [
                any((y - v) ** 2 + (x - u) ** 2 <= tolerance**2 for v, u in theirs) for y, x in mine
            ]
            return sum(near) / len(near)

        precision, recall = matched(one, other), matched(other, one)
        both = precision + recall
        expected = 2 * precision * recall / both if both else 0.0
    assert metrics.boundary_f(*pair, tolerance_px=tolerance) == pytest.approx(expected)


@pytest.mark.parametrize("size", [200, 400, 1600])
def test_the_fine_boundary_tolerates_a_share_of_the_diagonal(size: int) -> None:
    whole = square(size // 4, size // 4, size // 2, size)
    # 0.7 % of the side is 0.5 % of the diagonal.
    near, far = (np.roll(whole, round(share * size), axis=1) for share in (0.006, 0.012))
    assert metrics.boundary_f_fine(whole, near) == 1
    assert metrics.boundary_f_fine(whole, far) < 0.6
    assert metrics.boundary_f_fine(whole, whole) == 1


def test_the_fine_boundary_wants_one_shape() -> None:
    with pytest.raises(ValueError, match="one shape"):
        metrics.boundary_f_fine(square(0, 0), square(0, 0, size=32))
