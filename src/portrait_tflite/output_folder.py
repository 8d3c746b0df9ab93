"""An output folder that is either as it was or complete.

Files are written to a hidden folder beside their place and moved in one by one, the report last. A
run that is interrupted, or finds the disk full, leaves no half file and what was there as it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import REPORT_FILE

_STAGING = ".portrait-tflite-"


class OutputFolder:
    """A folder to write results to.

    Args:
        path: The folder; it need not exist.
        earlier: Names of the files that an earlier run wrote there; a new run replaces them all.
        force: Whether the folder may hold other things. Only those are replaced whose very names
            are written again.

    Raises:
        UsageError: The folder cannot be written, or holds other things.
    """

    def __init__(self, path: Path, earlier: Collection[str], *, force: bool = False) -> None:
        self.path = path
        self._earlier = frozenset(earlier)
        if path.exists() and not path.is_dir():
            raise UsageError(f"--out must be a folder. Received: {path}, a file.")
        others = [] if force else self._others()
        if others:
            raise UsageError(
                f"--out must be empty or hold results of this command. Received: {path}, with "
                f"{others[0]!r}. Name another folder, or add --force to write beside what is there."
            )
        self._require_writable()

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Give a folder to write to; its files are moved in when the block ends well.

        Raises:
            UsageError: The disk is full or the folder cannot be written.
        """
        with _explained(self.path):
            # Inside of a folder that exists: it may be a mount, which nothing can be moved into.
            home = _nearest_folder(self.path)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home))
        try:
            with _explained(self.path):
                yield staging
                self._move_in(staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _move_in(self, staging: Path) -> None:
        names = sorted(p.name for p in staging.iterdir())
        names.sort(key=REPORT_FILE.__eq__)  # last
        aside = staging / "before"
        made = [p for p in (self.path, *self.path.absolute().parents) if not p.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        replaced = self._earlier.union(names)
        old = [p for p in self.path.iterdir() if p.is_file() and p.name in replaced]
        try:
            # Renaming takes no space and half a moment; nothing is copied that could be cut off.
            aside.mkdir()
            for path in old:
                path.replace(aside / path.name)
            for name in names:
                (staging / name).replace(self.path / name)
        except BaseException:
            self._restore(staging, names, aside, made)
            raise

    def _restore(self, staging: Path, names: list[str], aside: Path, made: list[Path]) -> None:
        moved = [name for name in names if not (staging / name).exists()]
        for name in moved:
            (self.path / name).unlink()
        for path in aside.iterdir():
            path.replace(self.path / path.name)
        for folder in made:
            folder.rmdir()

    def _others(self) -> list[str]:
        if not self.path.is_dir():
            return []
        with _explained(self.path):
            names = [p.name for p in self.path.iterdir() if not p.name.startswith(_STAGING)]
        return sorted(name for name in names if name not in self._earlier)

    def _require_writable(self) -> None:
        home = _nearest_folder(self.path)
        if not (home.is_dir() and os.access(home, os.W_OK | os.X_OK)):
            raise UsageError(
                f"--out must be in a folder that can be written. Received: {self.path}; "
                f"{home} cannot. Name another folder."
            )


def _nearest_folder(path: Path) -> Path:
    """Return `path`, or its first parent that exists, which may be a file."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--out must have room and be writable. Received: {path} ({error.strerror or error}). "
            "Free some space or name another folder; nothing was changed."
        ) from error
