"""Sets up the emulated arm64 machine that ARM cost is counted on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from portrait_tflite.benchmarks.arm.cache import locked, machine_folder
from portrait_tflite.benchmarks.arm.download import fetch_packages, fetch_wheels
from portrait_tflite.benchmarks.arm.emulator import Emulator, EmulatorError, Program
from portrait_tflite.benchmarks.arm.pins import read_pins
from portrait_tflite.benchmarks.arm.stamp import find_damage, write_stamp
from portrait_tflite.benchmarks.arm.sysroot import ROOT, SITE, unpack
from portrait_tflite.benchmarks.arm.tools import (
    compile_counter,
    find_qemu,
    find_tool,
    install_tools,
    qemu_version,
)
from portrait_tflite.errors import UnavailableError

INSTALL_HINT = "run `portrait-tflite doctor --install arm64-model`"

_TRIAL_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class ArmStatus:
    """Whether ARM cost can be counted here.

    Attributes:
        reason: What is missing and how to get it; "" where it is ready.
        folder: Where the emulated machine is, or would be.
        details: Versions of what was found.
    """

    ready: bool
    reason: str
    folder: Path
    details: dict[str, str] = field(default_factory=dict)


def status(full: bool = False) -> ArmStatus:
    """Say whether ARM cost can be counted on this machine, and what is missing.

    Args:
        full: Read every file of the emulated machine and compare its hash; else only sizes.
    """
    folder = machine_folder()
    try:
        qemu = find_qemu()
        find_tool("cc")
    except UnavailableError as error:
        return ArmStatus(False, str(error), folder)
    pins = read_pins()
    details = {
        "qemu": qemu_version(qemu),
        **{wheel.name: wheel.version for wheel in pins.wheels},
    }
    damage = find_damage(folder, pins.digest, full=full)
    reason = damage and f"the emulated arm64 machine: {damage}; {INSTALL_HINT}"
    return ArmStatus(not damage, reason, folder, details)


def require_program() -> Program:
    """Return what to start, compiling the counting plugin on first use.

    Raises:
        UnavailableError: ARM cost cannot be counted here; says why and what to do.
    """
    now = status(full=True)  # under a second, where a count takes many
    if not now.ready:
        raise UnavailableError(now.reason)
    return _program(now.folder)


def install(say: Callable[[str], None]) -> ArmStatus:
    """Set up the emulated machine, or repair it; does nothing where it is whole.

    About 40 MB are fetched, 130 MB stay. It is built beside its place and tried before it is moved
    there. What was fetched stays until then, so that a second call goes on where one ended.

    Args:
        say: Called with a line on what is being done.

    Raises:
        UnavailableError: Something is missing that cannot be fetched from here.
    """
    install_tools(say)
    folder = machine_folder()
    with locked(folder, say):
        if not status(full=True).ready:
            _build(folder, say)
    return status()


def _build(folder: Path, say: Callable[[str], None]) -> None:
    pins = read_pins()
    fetched, draft = (folder.with_name(f"{folder.name}.{part}") for part in ("fetched", "draft"))
    fetched.mkdir(exist_ok=True)
    packages = fetch_packages(pins.packages, pins.mirrors, fetched, say)
    wheels = fetch_wheels(pins.wheels, fetched, say)
    say("unpacking")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    unpack(packages, wheels, draft)
    say("trying it")
    _try_out(draft)
    write_stamp(draft, pins.digest)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    shutil.rmtree(fetched)


def _try_out(folder: Path) -> None:
    """Start the machine once; that also leaves compiled Python, which quickens later starts."""
    try:
        with Emulator(_program(folder), _TRIAL_TIMEOUT_S, compiling=True) as emulator:
            emulator.hello()
            counted = emulator.marks()
    except EmulatorError as error:
        raise UnavailableError(f"an emulator that starts is required. Received: {error}") from error
    if not counted.instructions:
        raise UnavailableError("an emulator that counts is required. Received: no instructions.")


def _program(folder: Path) -> Program:
    return Program(find_qemu(), compile_counter(folder), folder / ROOT, folder / SITE)
