"""A list of every file of a folder with its size and hash, to notice damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

STAMP = "stamp.json"

_Entry = tuple[int, str]  # bytes, SHA-256


def write_stamp(folder: Path, digest: str) -> None:
    """List all files below `folder`, and what it was made from."""
    files = {
        str(path.relative_to(folder)): (path.stat().st_size, hash_file(path))
        for path in _files(folder)
    }
    (folder / STAMP).write_text(json.dumps({"pins": digest, "files": files}))


def find_damage(folder: Path, digest: str, *, full: bool) -> str:
    """Say what is wrong with a folder, or "".

    Args:
        digest: What it should be made from.
        full: Compare the contents of files too, not their sizes alone.
    """
    if not folder.is_dir():
        return "it is not set up"
    try:
        stamp = json.loads((folder / STAMP).read_text())
        made_from, files = str(stamp["pins"]), dict[str, _Entry](stamp["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{folder / STAMP} is damaged or missing"
    if made_from != digest:
        return "it was set up by another version"
    damaged = next((n for n, e in files.items() if not _is_whole(folder / n, e, full)), None)
    return f"{folder / damaged} is damaged or missing" if damaged else ""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink())


def _is_whole(path: Path, entry: _Entry, full: bool) -> bool:
    size, digest = entry
    try:
        return path.stat().st_size == size and (not full or hash_file(path) == digest)
    except OSError:
        return False
