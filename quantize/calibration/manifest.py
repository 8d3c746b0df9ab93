"""`calibration.json`: which pictures were calibrated on, to find the same ones again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from portrait_tflite.errors import UsageError
from portrait_tflite.progress import Progress, unwatched, watched
from portrait_tflite.quantize.calibration.picture import Picture
from portrait_tflite.vocabulary import SCHEMA, Check, Json

if TYPE_CHECKING:
    from portrait_tflite.quantize.calibration.calibration_set import CalibrationSet


@dataclass(frozen=True)
class Manifest:
    """What a `calibration.json` says.

    Attributes:
        source: What the pictures were taken from, as it was given; with `path`, where that was.
        sha256: Digest of the prepared pictures.
        count: Pictures that were asked for.
        entries: Names and digests of those that were taken, in order.
        held_out: The same of those that were kept for scoring, where they were of the same source.
    """

    source: str
    path: str
    sha256: str
    count: int
    seed: int
    entries: tuple[tuple[str, str], ...]
    held_out: tuple[tuple[str, str], ...] = ()

    def find_pictures(self, beside: Path) -> Path:
        """Return where the pictures are: where they were, or beside the manifest itself.

        Raises:
            UsageError: They are in neither place.
        """
        folder = beside.parent
        for place in (Path(self.path), folder / self.source, folder / Path(self.path).name):
            if place.exists():
                return place
        first = self.entries[0][0]
        if any((inside / first).is_file() for inside in (folder, folder / "images")):
            return folder
        raise UsageError(
            f"the pictures of {beside} are required where they were, or beside it. Received: "
            f"{self.path} (nothing there). Put them back, or copy the manifest to where they are "
            "now; their folder given to --calibration chooses anew."
        )

    def choose(self, pictures: Sequence[Picture], progress: Progress = unwatched) -> list[Picture]:
        """Return the very pictures that were taken, in their order.

        Raises:
            UsageError: One of them is missing, or is another one by now.
        """
        return _find(self.entries, pictures, progress)

    def hold_out(
        self, pictures: Sequence[Picture], progress: Progress = unwatched
    ) -> list[Picture]:
        """Return the very pictures that were kept for scoring.

        Raises:
            UsageError: One of them is missing, or is another one by now.
        """
        return _find(self.held_out, pictures, progress)

    def check(self, digest: str) -> Check:
        """Tell whether the prepared pictures are the same, too: another network's need not be."""
        same = digest == self.sha256
        detail = "the same pictures" if same else "the same pictures, prepared otherwise"
        return Check("as in the manifest", same, "warn", detail)


def manifest(calibration: CalibrationSet) -> Json:
    """Return what `calibration.json` holds: enough to find the very same pictures again."""
    origin = calibration.origin
    return {
        "schema": SCHEMA,
        **asdict(calibration.record),
        "source": origin.source,
        "path": origin.path,
        "count": origin.count,
        "seed": origin.seed,
        "entries": [asdict(entry) for entry in calibration.entries],
        "held_out": [asdict(entry) for entry in calibration.held_out],
    }


def read_manifest(path: Path) -> Manifest:
    """Read a `calibration.json`.

    Raises:
        UsageError: It cannot be read, or is something else.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        source = str(data["source"])
        return Manifest(
            source,
            str(data["path"]),
            str(data["sha256"]),
            int(data["count"]),
            int(data["seed"]),
            _named(data["entries"]),
            _named(data.get("held_out", [])),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the calibration.json that `convert` writes is required. Received: {path}, which "
            f"cannot be read ({type(error).__name__}: {error})."
        ) from error


def _named(entries: Sequence[Json]) -> tuple[tuple[str, str], ...]:
    return tuple((str(entry["name"]), str(entry["sha256"])) for entry in entries)


def _find(
    entries: Sequence[tuple[str, str]], pictures: Sequence[Picture], progress: Progress
) -> list[Picture]:
    """Return the pictures of these names, in their order, if they are still the same."""
    known = {picture.name: picture for picture in pictures}
    if missing := [name for name, _ in entries if name not in known]:
        raise _changed(len(entries), f"{len(missing)} missing, first {missing[0]}")
    with watched(entries, progress, "finding the manifest's pictures") as looked_at:
        for name, digest in looked_at:
            if known[name].digest() != digest:
                raise _changed(len(entries), f"another {name}")
    return [known[name] for name, _ in entries]


def _changed(count: int, what: str) -> UsageError:
    return UsageError(
        f"the {count} pictures of the manifest are required, unchanged. "
        f"Received: {what}. Give the folder itself to choose anew."
    )
