"""Setting up without tools or network, with wrong files, over a damaged or unfinished machine."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.benchmarks.arm.cache import CACHE_VARIABLE, locked, machine_folder
from portrait_tflite.benchmarks.arm.count import ArmCell, count_files
from portrait_tflite.benchmarks.arm.emulator import Program
from portrait_tflite.benchmarks.arm.pins import Pins, read_pins
from portrait_tflite.benchmarks.arm.stamp import STAMP, find_damage, write_stamp
from portrait_tflite.errors import UnavailableError
from portrait_tflite.vocabulary import Delegate

NOBODY = "http://127.0.0.1:9/"  # the port of "discard": nobody listens


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place for a machine that is not set up yet."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return machine_folder()


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every program be there."""
    monkeypatch.setattr(setup, "install_tools", lambda _: None)
    monkeypatch.setattr(setup, "find_qemu", lambda: "qemu-aarch64")
    monkeypatch.setattr(setup, "qemu_version", lambda _: "7.2.22")
    monkeypatch.setattr(setup, "find_tool", lambda name: name)


@pytest.fixture
def small_machine(folder: Path, tools: None) -> Path:
    """Give a folder that passes for a machine, with one file."""
    (folder / "root").mkdir(parents=True)
    (folder / "root" / "file").write_bytes(b"as it was")
    write_stamp(folder, read_pins().digest)
    assert setup.status(full=True).ready
    return folder


def ignore(text: str) -> None:
    """Hear what is being done."""


# Tools


def test_no_qemu_on_path_is_a_reason_for_every_cell(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(file.parent))
    delegates = [Delegate.CPU, Delegate.XNNPACK]
    for cost in count_files([ArmCell("net", file, delegate) for delegate in delegates]):
        assert cost.cycles is None
        assert cost.unavailable == (
            "qemu-aarch64 is required for ARM cost. Received: none on PATH. "
            "Install: apt-get install qemu-user gcc libc6-dev"
        )
    with pytest.raises(UnavailableError, match="none on PATH"):
        setup.install(ignore)
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("script", "received"),
    [
        ("echo qemu-aarch64 version 9.2.0; echo -plugin", "version 9.2.0"),
        ("echo qemu-aarch64 version 7.2.0", "version 7.2.0"),  # a static build takes no plugins
        ("exit 1", "Received: ."),
    ],
)
def test_an_emulator_that_does_not_fit_is_refused(
    script: str, received: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "qemu-aarch64"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = setup.status().reason
    assert reason.startswith("qemu-aarch64 6 to 8 with -plugin is required")
    assert received in reason


def test_no_network_at_set_up(folder: Path, tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = read_pins()
    alone = Pins((NOBODY,), pins.packages, pins.wheels, pins.digest)
    monkeypatch.setattr(setup, "read_pins", lambda: alone)
    with pytest.raises(UnavailableError, match="refused.*Check the network") as caught:
        setup.install(ignore)
    assert len(str(caught.value).splitlines()) == 1
    assert setup.status().reason.endswith(f"it is not set up; {setup.INSTALL_HINT}")


# The cache


def _change(path: Path) -> None:
    path.write_bytes(b"as it is.")


@pytest.mark.parametrize("damage", [_change, Path.unlink])
def test_a_damaged_file_is_noticed_before_counting(
    damage: Callable[[Path], None], small_machine: Path, file: Path
) -> None:
    damage(small_machine / "root" / "file")
    (cost,) = count_files([ArmCell("net", file, Delegate.CPU)])
    assert cost.unavailable == (
        f"the emulated arm64 machine: {small_machine}/root/file is damaged or missing; "
        "run `portrait-tflite doctor --install arm64-model`"
    )


@pytest.mark.parametrize("text", ["", "[]", '{"pins": "x"}', '{"pins": "x", "files": 3}'])
def test_a_damaged_list_of_files_is_noticed(text: str, small_machine: Path) -> None:
    (small_machine / STAMP).write_text(text)
    assert "stamp.json is damaged or missing" in setup.status().reason


def test_another_versions_machine_is_noticed(small_machine: Path) -> None:
    assert find_damage(small_machine, "other", full=False) == "it was set up by another version"


def test_sizes_alone_are_quick_to_compare(small_machine: Path) -> None:
    digest = json.loads((small_machine / STAMP).read_text())["pins"]
    _change(small_machine / "root" / "file")
    assert find_damage(small_machine, digest, full=False) == ""
    assert find_damage(small_machine, digest, full=True)


def test_an_interrupted_set_up_leaves_what_was_there(
    small_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    _change(small_machine / "root" / "file")
    monkeypatch.setattr(setup, "fetch_packages", lambda *_: [])
    monkeypatch.setattr(setup, "fetch_wheels", lambda *_: [])
    monkeypatch.setattr(setup, "unpack", interrupt)
    with pytest.raises(KeyboardInterrupt):
        setup.install(ignore)
    assert (small_machine / "root" / "file").read_bytes() == b"as it is."


def test_a_damaged_machine_is_built_again(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(packages: object, wheels: object, draft: Path) -> None:
        for part in (program.root, program.site):
            shutil.copytree(part, draft / part.name, symlinks=True)

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(setup, "fetch_packages", lambda *_: [])
    monkeypatch.setattr(setup, "fetch_wheels", lambda *_: [])
    monkeypatch.setattr(setup, "unpack", unpack)
    folder = machine_folder()
    folder.mkdir()
    (folder / "left from before").touch()
    said: list[str] = []
    assert setup.install(said.append).ready
    assert said == ["unpacking", "trying it"]
    assert not (folder / "left from before").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"arm64-model", "arm64-model.lock"}
    assert setup.install(said.append).ready  # there is nothing to do
    assert len(said) == 2


def test_a_machine_that_does_not_start_is_not_installed(
    program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "fetch_packages", lambda *_: [])
    monkeypatch.setattr(setup, "fetch_wheels", lambda *_: [])
    monkeypatch.setattr(setup, "unpack", lambda *_: None)
    with pytest.raises(UnavailableError, match="an emulator that starts is required"):
        setup.install(ignore)
    assert not folder.exists()


def test_two_do_not_set_up_the_same_folder(folder: Path) -> None:
    said: list[str] = []
    entered = threading.Event()

    def second() -> None:
        with locked(folder, said.append):
            entered.set()

    with locked(folder, ignore):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.3)
    thread.join(10)
    assert entered.is_set()
    assert said == ["waiting for another process that is setting up the same folder"]


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with (
        pytest.raises(UnavailableError, match=f"Name another one in {CACHE_VARIABLE}"),
        locked(machine_folder(), ignore),
    ):
        pass


@pytest.mark.parametrize("variable", [CACHE_VARIABLE, "XDG_CACHE_HOME"])
def test_a_relative_cache_folder_is_below_this_one(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv(variable, "here")
    assert machine_folder().is_relative_to(tmp_path / "here")
