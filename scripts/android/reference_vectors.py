"""Writes what the Android app's tests are held against: our own pre- and post-processing.

    python scripts/android/reference_vectors.py

Vectors go to `android_demo/core/src/test/resources/vectors`: `index.json` and raw little-endian
numbers. Tiny networks with their goldens go to `android_demo/engine/src/test/resources/nets`.

`index.json`: `cases` (a frame as the camera stores it → the network's input; the network's output →
the mask of the upright frame), `effects` (a frame and its matte → what is shown), `edges` and
`smoothing`. A frame is rotated clockwise by `rotation` degrees, then mirrored; its `planes` are
YUV_420_888, BT.601 full range, and the four pixels of a square share their chroma.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
from effect_vectors import edge_vector, effect_vectors, smoothing_vector
from frame_vectors import frame_vector
from vector_cases import EFFECTS, FRAMES
from vector_files import VectorFiles

_RESOURCES = "src/test/resources"
_ANDROID = Path(__file__).parents[2] / "android_demo"
VECTORS = _ANDROID / "core" / _RESOURCES / "vectors"
NETS = _ANDROID / "engine" / _RESOURCES / "nets"


def write_vectors(folder: Path) -> None:
    """Write `index.json` and the files it names to an empty folder."""
    files = VectorFiles(folder)
    index = {
        "schema": 1,
        "cases": [frame_vector(case, files) for case in FRAMES],
        "effects": [each for case in EFFECTS for each in effect_vectors(case, files)],
        "edges": [edge_vector(case, files) for case in EFFECTS],
        "smoothing": [smoothing_vector(case, files) for case in EFFECTS],
    }
    text = json.dumps(index, indent=2)
    (folder / "index.json").write_text(text + "\n", encoding="utf-8")


@click.command()
def main() -> None:
    """Write the vectors and the tiny networks anew."""
    from tiny_nets import write_nets

    for folder, write in ((VECTORS, write_vectors), (NETS, write_nets)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        click.echo(f"{folder}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
