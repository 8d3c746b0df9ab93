"""The four stage folders at the root install as parts of the package, data included."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parent.parent
_PACKAGE = _ROOT / "src" / "portrait_tflite"
_STAGES = ("benchmarks", "convert", "models", "quantize")


@pytest.fixture(scope="module")
def setuptools() -> Any:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]


@pytest.mark.parametrize("stage", _STAGES)
def test_links_lead_to_the_stages(stage: str) -> None:
    link = _PACKAGE / stage
    assert link.is_symlink()
    assert str(link.readlink()) == f"../../{stage}"
    assert link.resolve() == _ROOT / stage
    assert (link / "__init__.py").is_file()


def test_every_package_is_listed(setuptools: Any) -> None:
    # rglob would not follow the links.
    on_disk = {"portrait_tflite"}
    for place in (_PACKAGE, *(_ROOT / stage for stage in _STAGES)):
        above = "portrait_tflite" if place == _PACKAGE else f"portrait_tflite.{place.name}"
        for init in place.rglob("__init__.py"):
            parts = init.parent.relative_to(place).parts
            on_disk.add(".".join((above, *parts)))
    assert set(setuptools["packages"]) == on_disk
    assert len(setuptools["packages"]) == len(on_disk)


def test_every_stage_is_mapped(setuptools: Any) -> None:
    assert setuptools["package-dir"] == {
        "": "src",
        **{f"portrait_tflite.{stage}": stage for stage in _STAGES},
    }


def test_every_data_file_is_installed(setuptools: Any) -> None:
    found = []
    for package, patterns in setuptools["package-data"].items():
        files = {entry.name: entry for entry in _walk(resources.files(package))}
        for pattern in patterns:
            matching = [name for name in files if Path(name).match(Path(pattern).name)]
            assert matching, f"{package}: {pattern} matches nothing"
            found += matching
            assert all(files[name].read_bytes() for name in matching if name != "py.typed")
    assert {"py.typed", "report.css", "portrait.weights.h5", "arm64.json"} <= set(found)


def test_no_data_file_is_forgotten(setuptools: Any) -> None:
    patterns = setuptools["package-data"]
    for place in (_PACKAGE, *(_ROOT / stage for stage in _STAGES)):
        package = "portrait_tflite" if place == _PACKAGE else f"portrait_tflite.{place.name}"
        for file in place.rglob("*"):
            if not file.is_file() or file.suffix in (".py", ".pyc"):
                continue
            relative = file.relative_to(place)
            assert any(relative.match(pattern) for pattern in patterns.get(package, [])), relative


def test_packaged_weights_are_small() -> None:
    weights = resources.files("portrait_tflite.models") / "weights" / "portrait.weights.h5"
    assert 0 < len(weights.read_bytes()) <= 2 * 2**20


def _walk(folder: Any) -> Any:
    for entry in folder.iterdir():
        if entry.is_file():
            yield entry
        elif entry.name in ("weights", "costs", "report", "templates", "arm"):
            yield from _walk(entry)
