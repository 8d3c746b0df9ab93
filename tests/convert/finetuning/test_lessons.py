"""Unlabelled pictures and the teacher's masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portrait_tflite.convert.finetuning import lessons as module
from portrait_tflite.convert.finetuning.lessons import make_lessons, read_pictures
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import ModelSpec

SPEC = ModelSpec(16, 16)
OPTIONS = FineTuningOptions(steps=20, batch_size=3)


@pytest.fixture
def folder(tmp_path: Path, pictures: Any) -> Path:
    for number, picture in enumerate(pictures[:12]):
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), picture[..., ::-1])
    return tmp_path


def _read(folder: Path, seed: int = 0) -> Any:
    return read_pictures(sorted(folder.iterdir()), SPEC, seed, folder)


def test_pictures_are_read_in_an_order_that_the_seed_sets(folder: Path, pictures: Any) -> None:
    first, again, other = _read(folder), _read(folder), _read(folder, 1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert {p.tobytes() for p in first} == {p.tobytes() for p in pictures[:12]}


def test_no_more_are_read_than_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 11 * 16 * 16 * 5)
    assert len(_read(folder)) == 11


def test_what_cannot_be_read_is_left_out(folder: Path) -> None:
    (folder / "broken.png").write_text("no picture")
    assert len(_read(folder)) == 12
    for name in ("00.png", "01.png", "02.png"):
        (folder / name).write_text("no picture")
    with pytest.raises(UsageError, match=r"--finetune must be .* 10 pictures .*with 9 that can"):
        _read(folder)


def test_a_tenth_is_held_out_by_what_it_shows(school: Any) -> None:
    train, held = school.lessons
    assert (len(train), len(held)) == (4 * 36, 4)
    copies = np.concatenate([school.pictures, held.pictures[:1]])
    train, held = make_lessons(copies, SPEC, school.teacher, OPTIONS)
    inside = {p.tobytes() for p in train.pictures}
    assert not any(p.tobytes() in inside for p in held.pictures)


def test_copies_of_one_picture_are_none_to_learn_from(school: Any) -> None:
    with pytest.raises(UsageError, match="12 copies of one"):
        make_lessons(school.pictures[:1].repeat(12, 0), SPEC, school.teacher, OPTIONS)


def test_chunks_are_all_pictures_in_order(school: Any) -> None:
    told: list[tuple[int, int]] = []
    options = FineTuningOptions(batch_size=100)
    _, held = make_lessons(
        school.pictures, SPEC, school.teacher, options, lambda *done: told.append(done)
    )
    assert told == [(100, 148), (148, 148)]
    chunks = list(held.chunks(3))
    assert [len(inputs) for inputs, _ in chunks] == [3, 1]
    np.testing.assert_array_equal(np.concatenate([m for _, m in chunks]), held.masks)


def test_rounds_are_the_same_each_time_and_unlike_each_other(school: Any) -> None:
    train, _ = school.lessons
    first, again, next_one = (list(train.batches(OPTIONS, n)) for n in (0, 0, 1))
    assert len(first) == 20
    assert first[0][0].shape == (3, 16, 16, 3)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    assert not np.array_equal(first[0][0], next_one[0][0])


def test_few_pictures_become_more_and_the_teacher_sees_each(school: Any) -> None:
    train, _ = school.lessons
    expected = np.asarray(school.teacher(train.pictures.astype(np.float32) / 255))
    np.testing.assert_allclose(train.masks, expected, atol=1e-3)
    assert len({p.tobytes() for p in train.pictures}) == 4 * 36


def test_enough_pictures_stay_as_they_are(school: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VIEWS", 40)
    train, _ = make_lessons(school.pictures, SPEC, school.teacher, OPTIONS)
    assert len(train) == 36


def test_a_view_is_a_part_of_the_picture_perhaps_mirrored() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.stack(np.meshgrid(ramp, ramp), axis=-1)
    mirrored = set()
    for seed in range(30):
        view = module._view(np.random.default_rng(seed), picture).astype(int)
        across = np.diff(view[..., 0], axis=1)
        mirrored.add(bool(across.mean() < 0))
        assert abs(across).max() <= 6  # nothing is torn
        assert (across <= 0).all() or (across >= 0).all()
        seen = np.ptp(view[..., 0]) / 255
        assert 1 / 1.3 - 0.05 < seen <= 1
    assert mirrored == {True, False}


def test_gray_pictures_keep_their_channel(pictures: Any) -> None:
    view = module._view(np.random.default_rng(0), pictures[0, ..., :1])
    assert view.shape == (16, 16, 1)
