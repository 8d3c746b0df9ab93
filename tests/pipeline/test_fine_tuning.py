"""When fine-tuning is refused, and which plans share a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from portrait_tflite.cache_folder import CACHE_VARIABLE
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.fine_tuning import _shared, int8_tuning
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.pipeline.unlabelled import (
    may_approximate,
    may_train_for_int8,
    read_unlabelled,
    require_reason,
)
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.quantize.built import Built, Trainable, Treatable
from portrait_tflite.quantize.calibration import load_calibration, manifest
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.pictures import PictureRequest, Pictures
from portrait_tflite.quantize.remedies.finetuning import FineTuningForInt8
from portrait_tflite.vocabulary import (
    Approximation,
    Delegate,
    IoType,
    Level,
    ModelSpec,
    Precision,
    RemedyName,
    RewriteRecord,
    StateSpec,
)

RESIZE = RewriteRequest(approximate=frozenset({Approximation.RESIZE}))
SPEC = ModelSpec(32, 32)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of twelve pictures of noise."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        picture = rng.integers(0, 256, (24, 20, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    return folder


@contextmanager
def progress(total: int, description: str) -> Iterator[Callable[..., None]]:
    yield lambda *_: None


def _request(folder: Path | None, rewrite: RewriteRequest = RESIZE) -> ConvertRequest:
    return ConvertRequest("net.keras", rewrite=rewrite, finetune=folder)


def _plan(*layers: str, exact: bool = False) -> Rewritten:
    records = tuple(
        RewriteRecord("transposed_convolution", Level.KERAS, layer, exact, 0, 0, "x", (), "")
        for layer in layers
    )
    return Rewritten(None, records, ())  # type: ignore[arg-type]


def test_there_must_be_something_to_recover(photos: Path) -> None:
    exact = replace(_request(photos, RewriteRequest()), variants=(Precision.FLOAT16,))
    with pytest.raises(UsageError, match=r"--rewrite with one of resize, .* Received: none"):
        require_reason(exact)
    require_reason(_request(None, RewriteRequest()))
    require_reason(replace(exact, rewrite=RESIZE))
    planned = RewriteRequest(plans={})
    assert may_approximate(planned)
    require_reason(replace(exact, rewrite=planned))


def test_int8_is_a_reason_unless_the_remedy_is_left_out(photos: Path) -> None:
    int8 = _request(photos, RewriteRequest())
    require_reason(int8)
    named = replace(int8, remedies=(RemedyName.RANGES, RemedyName.FINETUNING))
    require_reason(named)
    assert may_train_for_int8(named)
    for remedies in ((), (RemedyName.RANGES,)):
        assert not may_train_for_int8(replace(int8, remedies=remedies))
        with pytest.raises(UsageError, match="or --int8 with the remedy finetuning is required"):
            require_reason(replace(int8, remedies=remedies))


@pytest.mark.parametrize(
    ("source", "said"),
    [("net.keras", "--finetune DIR with unlabelled"), ("net.tflite", "a Keras model is required")],
)
def test_the_remedy_needs_pictures(source: str, said: str) -> None:
    request = replace(_request(None), source=source)
    require_reason(request)
    with pytest.raises(UsageError, match=f"{said}.* for --remedies finetuning. Received"):
        require_reason(replace(request, remedies=(RemedyName.FINETUNING,)))


def test_a_folder_without_pictures_is_refused_at_once(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="folder of images is required.*none"):
        require_reason(_request(tmp_path / "none"))
    for path in sorted(photos.iterdir())[:3]:
        path.unlink()
    with pytest.raises(UsageError, match=r"--finetune must be a folder with 10 .* with 9\."):
        require_reason(_request(photos))


def test_pictures_that_are_scored_on_are_left_out(photos: Path) -> None:
    names = sorted(photos.iterdir())
    scored = Pictures(None, [Sample(path.name, path) for path in names[:2]], "")
    unlabelled = read_unlabelled(_request(photos), SPEC, scored, progress)
    assert unlabelled is not None
    assert unlabelled.pictures.shape == (10, 32, 32, 3)
    scored = Pictures(None, [Sample(path.name, path) for path in names[:3]], "")
    with pytest.raises(UsageError, match="with 9 that can be read and are not scored on"):
        read_unlabelled(_request(photos), SPEC, scored, progress)


def test_a_cache_that_cannot_be_written_is_refused_at_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(UsageError, match=r"--finetune needs a cache folder .*file cannot"):
        require_reason(_request(photos))
    require_reason(_request(None))


def test_a_manifest_brings_the_seed_of_the_run_that_it_repeats(
    photos: Path, tmp_path: Path
) -> None:
    first = load_calibration(photos, SPEC, count=8, seed=5)
    written = tmp_path / "calibration.json"
    written.write_text(json.dumps(manifest(first)))
    again = load_calibration(written, SPEC, count=8)
    by_five = replace(_request(photos), pictures=PictureRequest(seed=5))
    expected = read_unlabelled(by_five, SPEC, Pictures(None, [], ""), progress)
    found = read_unlabelled(_request(photos), SPEC, Pictures(again, [], ""), progress)
    by_none = read_unlabelled(_request(photos), SPEC, Pictures(None, [], ""), progress)
    assert expected is not None
    assert found is not None
    assert by_none is not None
    assert found.seed == expected.seed == 5
    assert np.array_equal(found.pictures, expected.pictures)
    assert not np.array_equal(found.pictures, by_none.pictures)
    network = RangedNetwork(b"", {})
    trainable = Trainable(None)  # type: ignore[arg-type]
    treatable = Treatable(network, [], [], IoType.INT8, (), trainable=trainable)
    built = {str(Precision.INT8): Built(b"", treatable=treatable)}
    remedy = int8_tuning(_request(photos), found, None, SPEC, built)  # type: ignore[arg-type]
    assert isinstance(remedy, FineTuningForInt8)
    assert remedy.options.seed == 5


def test_a_network_with_a_state_is_refused(photos: Path) -> None:
    spec = ModelSpec(32, 32, state=StateSpec(1))
    with pytest.raises(UsageError, match="look at one picture alone"):
        read_unlabelled(_request(photos), spec, Pictures(None, [], ""), progress)
    assert read_unlabelled(_request(None), spec, Pictures(None, [], ""), progress) is None


def test_equal_plans_share_a_run_and_exact_ones_have_none() -> None:
    cpu, gpu = Delegate.XNNPACK, Delegate.GPU
    assert _shared({cpu: _plan("a", "b"), gpu: _plan("a", "b")}) == [(cpu, gpu)]
    assert _shared({cpu: _plan("a"), gpu: _plan("b")}) == [(cpu,), (gpu,)]
    assert _shared({cpu: _plan("a", exact=True), gpu: _plan("a")}) == [(gpu,)]
    assert _shared({cpu: _plan("a", exact=True), gpu: _plan()}) == []
