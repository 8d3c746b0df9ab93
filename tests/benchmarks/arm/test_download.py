"""Fetching: mirrors that refuse or hold another file, pip without an index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from portrait_tflite.benchmarks.arm import download
from portrait_tflite.benchmarks.arm.pins import DebianPackage, read_pins
from portrait_tflite.errors import UnavailableError

NOBODY = "http://127.0.0.1:9/"  # the port of "discard": nobody listens


def ignore(text: str) -> None:
    """Hear what is being done."""


def package_of(data: bytes) -> DebianPackage:
    return DebianPackage("pool/tool.deb", hashlib.sha256(data).hexdigest())


@pytest.fixture
def mirrors(tmp_path: Path) -> Callable[..., list[str]]:
    """Give a maker of mirrors that hold one package each."""

    def make(*contents: bytes) -> list[str]:
        for number, data in enumerate(contents):
            (tmp_path / f"{number}" / "pool").mkdir(parents=True)
            (tmp_path / f"{number}" / "pool" / "tool.deb").write_bytes(data)
        return [f"{tmp_path.as_uri()}/{number}/" for number in range(len(contents))]

    return make


def test_a_download_with_another_hash_is_not_kept(
    mirrors: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match=r"tool\.deb .* a file with another hash"):
        download.fetch_packages([package_of(b"right")], mirrors(b"wrong"), tmp_path, ignore)
    assert not (tmp_path / "tool.deb").exists()


def test_the_next_mirror_is_asked(mirrors: Callable[..., list[str]], tmp_path: Path) -> None:
    asked = [NOBODY, *mirrors(b"wrong", b"right")]
    (path,) = download.fetch_packages([package_of(b"right")], asked, tmp_path, ignore)
    assert path.read_bytes() == b"right"


def test_what_was_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "tool.deb").write_bytes(b"right")
    said: list[str] = []
    download.fetch_packages([package_of(b"right")], [NOBODY], tmp_path, said.append)
    assert said == []


def test_a_wheel_that_pip_cannot_get_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wheel = read_pins().wheels[0]
    with pytest.raises(UnavailableError, match=r"ai-edge-litert .* is required\. Received: ERROR"):
        download.fetch_wheels([wheel], tmp_path, ignore)
    (tmp_path / f"ai_edge_litert-{wheel.version}-cp311.whl").write_bytes(b"right")
    found = replace(wheel, sha256=hashlib.sha256(b"right").hexdigest())
    assert [path.suffix for path in download.fetch_wheels([found], tmp_path, ignore)] == [".whl"]
