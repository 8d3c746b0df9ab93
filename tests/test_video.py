"""Frames of a video: which is which, forwards and backwards, and what is no video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.video import FrameReader, spread_over


def test_frames_come_by_their_number(film: Callable[..., Path]) -> None:
    reader = FrameReader(film(90))
    assert reader.frames == 90
    # Forwards, backwards, the same again, and farther than is passed over.
    for number in (0, 3, 2, 2, 80, 10):
        frame = reader.read(number)
        assert frame is not None
        assert frame.shape == (48, 64, 3)
        assert abs(float(frame[..., 0].mean()) - 2 * number) < 4
        assert frame[..., 2].mean() < 10  # red counts up: RGB it is
    assert reader.read(1000) is None


def test_all_frames_in_turn(film: Callable[..., Path]) -> None:
    means = [float(frame[..., 0].mean()) for frame in FrameReader(film(12))]
    assert len(means) == 12
    assert means == sorted(means)


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_refused(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a video that OpenCV can decode.*clip\.mp4"):
        FrameReader(path)
    assert capfd.readouterr() == ("", "")


def test_places_are_spread_over_the_length() -> None:
    assert spread_over(10, 5) == [1, 3, 5, 7, 9]
    assert spread_over(3, 5) == [0, 1, 2]
    places = spread_over(1000, 7)
    assert len(set(places)) == 7
    assert max(places) < 1000
