"""Makes the model that the Android app carries: the packaged default net, int8 and float16.

    python scripts/android/packaged_assets.py

It is `portrait-tflite convert --int8 --fp16 --calibration synthetic --no-benchmark --assets DIR`.
What it was made from stands in `packaged_model.json` beside this script; a test compares.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from portrait_tflite.models.registry import DEFAULT_NET, find_net
from portrait_tflite.report.spec import spec_json
from portrait_tflite.vocabulary import Json

ASSETS = Path(__file__).parents[2] / "android_demo" / "app" / "src" / "main" / "assets" / "portrait"
RECORD = Path(__file__).with_name("packaged_model.json")


def made_from() -> Json:
    """Describe what the files are made from: the weights by their digest, and the spec."""
    net = find_net(DEFAULT_NET)
    assert net.weights_path
    weights = hashlib.sha256(net.weights_path.read_bytes()).hexdigest()
    return {"net": DEFAULT_NET, "weights_sha256": weights, "spec": spec_json(net.spec)}


@click.command()
def main() -> None:
    """Convert the packaged net into the app's assets."""
    from portrait_tflite.pipeline import ConvertRequest, convert_model
    from portrait_tflite.quantize.pictures import PictureRequest
    from portrait_tflite.vocabulary import Precision

    with tempfile.TemporaryDirectory() as scratch:
        converted = convert_model(
            ConvertRequest(
                DEFAULT_NET,
                out=Path(scratch) / "out",
                variants=(Precision.FLOAT16, Precision.INT8),
                pictures=PictureRequest("synthetic"),
                delegates=(),
                assets=ASSETS,
            ),
            _said,
        )
    if converted.failures:
        raise click.ClickException("; ".join(converted.failures))
    RECORD.write_text(json.dumps(made_from(), indent=2) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in ASSETS.iterdir())
    click.echo(f"{ASSETS}: {size / 1e6:.2f} MB")


@contextmanager
def _said(_: int, description: str) -> Iterator[Callable[..., None]]:
    """Print what is being done, and no progress."""
    click.echo(description, err=True)
    yield lambda *_: None


if __name__ == "__main__":
    main()
