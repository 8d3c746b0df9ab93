"""The output folder is as it was, or complete."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from portrait_tflite.errors import UsageError
from portrait_tflite.output_folder import OutputFolder

EARLIER = {"report.json", "net.tflite", "old.tflite"}


def write(folder: OutputFolder, **files: str) -> None:
    with folder.staged() as staging:
        for name, text in files.items():
            (staging / name.replace("_", ".")).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_makes_the_folder_and_its_parents(tmp_path: Path) -> None:
    write(OutputFolder(tmp_path / "a" / "b", EARLIER), report_json="1", net_tflite="2")
    assert contents(tmp_path) == {"a/b/report.json": "1", "a/b/net.tflite": "2"}


def test_the_report_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order, replace = [], Path.replace

    def noted(path: Path, target: Path) -> Path:
        order.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    write(OutputFolder(tmp_path / "out", EARLIER), report_json="1", a_json="2", z_tflite="3")
    assert order == ["a.json", "z.tflite", "report.json"]


def test_results_of_before_give_way(tmp_path: Path) -> None:
    write(OutputFolder(tmp_path, EARLIER), report_json="1", old_tflite="2")
    write(OutputFolder(tmp_path, EARLIER), report_json="3", new_tflite="4")
    assert contents(tmp_path) == {"report.json": "3", "new.tflite": "4"}


def test_other_things_are_refused_and_with_force_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "old.tflite").mkdir()  # named like one of ours, but none
    with pytest.raises(
        UsageError, match=r"with 'notes\.txt'\. Name another folder, or add --force"
    ):
        OutputFolder(tmp_path, EARLIER)
    write(OutputFolder(tmp_path, EARLIER, force=True), report_json="1")
    assert contents(tmp_path) == {"notes.txt": "mine", "report.json": "1"}
    assert (tmp_path / "old.tflite").is_dir()


def test_force_replaces_the_very_names_only_and_puts_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.json").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    before, replace = contents(tmp_path), Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        if target == tmp_path / "report.json":
            monkeypatch.undo()
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(OutputFolder(tmp_path, EARLIER, force=True), model_json="1", report_json="2")
    assert contents(tmp_path) == before
    write(OutputFolder(tmp_path, EARLIER, force=True), model_json="1", report_json="2")
    assert contents(tmp_path) == {"model.json": "1", "report.json": "2", "notes.txt": "mine too"}


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".portrait-tflite-abc").mkdir()
    write(OutputFolder(tmp_path, EARLIER), report_json="1")
    assert contents(tmp_path) == {"report.json": "1"}


@pytest.mark.parametrize("where", ["", "below", "below/deep"])
def test_a_file_in_the_way(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="Received: "):
        OutputFolder(tmp_path / "file" / where, EARLIER)


@pytest.mark.parametrize("exists", [False, True])
def test_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool) -> None:
    out = tmp_path / "out"
    if exists:
        out.mkdir()
    closed = out if exists else tmp_path
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != closed)
    with pytest.raises(UsageError, match=f"{closed} cannot"):
        OutputFolder(out, EARLIER)


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")]
)
def test_an_end_while_writing_changes_nothing(
    tmp_path: Path, exists: bool, error: BaseException
) -> None:
    out = tmp_path / "out"
    if exists:
        write(OutputFolder(out, EARLIER), report_json="1", net_tflite="2")
    before = contents(tmp_path)

    def cut_off() -> None:
        with OutputFolder(out, EARLIER).staged() as staging:
            (staging / "report.json").write_text("half")
            raise error

    with pytest.raises((KeyboardInterrupt, UsageError)) as caught:
        cut_off()
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)
    assert contents(tmp_path) == before
    assert out.exists() is exists
    assert list(tmp_path.rglob(".portrait-tflite-*")) == []


@pytest.mark.parametrize("moved", [0, 1, 2])
@pytest.mark.parametrize("exists", [False, True])
def test_an_end_while_moving_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, moved: int
) -> None:
    out = tmp_path / "deep" / "out"
    if exists:
        write(OutputFolder(out, EARLIER), report_json="1", net_tflite="2", old_tflite="3")
    before = contents(tmp_path)
    replace, new = Path.replace, iter(range(9))

    def interrupted(path: Path, target: Path) -> Path:
        if target.parent == out and next(new) == moved:
            monkeypatch.undo()
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(OutputFolder(out, EARLIER), report_json="4", net_tflite="5", x_json="6")
    assert contents(tmp_path) == before
    assert out.parent.exists() is exists
