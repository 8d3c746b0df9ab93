"""Where things lie that can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from portrait_tflite.cache_folder import CACHE_VARIABLE, cache_folder, require_cache
from portrait_tflite.errors import UsageError


def test_the_variable_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, "mine")
    assert cache_folder() == tmp_path / "mine"


def test_else_it_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "portrait-tflite"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home" / ".cache" / "portrait-tflite"


def test_what_cannot_be_written_is_refused_and_nothing_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "new" / "cache"))
    require_cache("--finetune")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").write_text("a file")
    with pytest.raises(UsageError, match=r"--finetune needs a cache .*new cannot.*Name another"):
        require_cache("--finetune")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(UsageError, match=CACHE_VARIABLE):
        require_cache("--finetune")
