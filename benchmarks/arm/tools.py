"""Programs of this machine that ARM cost needs: QEMU, a C compiler, dpkg."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from portrait_tflite.errors import UnavailableError

INSTALL_COMMAND = "apt-get install qemu-user gcc libc6-dev"

_QEMU = "qemu-aarch64"
_PACKAGES = ("qemu-user", "gcc", "libc6-dev")
_SOURCE = Path(__file__).with_name("counter.c")
_FLAGS = ("-O2", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden")
_API_1 = range(6, 9)  # releases of QEMU whose plugins have the interface that counter.c declares
_TIMEOUT_S = 60


def find_qemu() -> str:
    """Find an emulator of aarch64 programs that takes plugins.

    Raises:
        UnavailableError: Another kind of machine, no such emulator, or none with plugins.
    """
    _require_platform()
    qemu = shutil.which(_QEMU)
    if qemu is None:
        raise _missing(_QEMU)
    version = _run([qemu, "--version"])
    release = re.search(r"version (\d+)", version)
    if release is None or int(release[1]) not in _API_1 or "-plugin" not in _run([qemu, "-h"]):
        first = version.split("\n", 1)[0]
        raise UnavailableError(
            f"{_QEMU} 6 to 8 with -plugin is required, as Debian 12's qemu-user. Received: {first}."
        )
    return qemu


def find_tool(name: str) -> str:
    """Find `cc` or `dpkg`.

    Raises:
        UnavailableError: There is none.
    """
    path = shutil.which(name)
    if path is None:
        raise _missing(name)
    return path


def install_tools(say: Callable[[str], None]) -> None:
    """Install what is missing with apt, where this process may.

    Raises:
        UnavailableError: Something is missing and cannot be installed from here.
    """
    try:
        find_qemu()
        find_tool("cc")
        find_tool("dpkg")
    except UnavailableError:
        apt = shutil.which("apt-get")
        if (shutil.which(_QEMU) and shutil.which("cc")) or not apt or os.geteuid() != 0:
            raise
        say(f"installing {', '.join(_PACKAGES)}")
        _apt_install(apt)


def compile_counter(folder: Path) -> Path:
    """Compile the counting plugin into `folder`, unless it is there already.

    Raises:
        UnavailableError: No compiler, or one that does not compile it.
    """
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    target = folder / f"counter-{digest}.so"
    if target.is_file():
        return target
    draft = folder / f"counter-{digest}.{os.getpid()}.so"
    try:
        _compile(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def qemu_version(qemu: str) -> str:
    """Return the release of an emulator."""
    found = re.search(r"version ([\d.]+)", _run([qemu, "--version"]))
    return found[1] if found else "unknown"


def _require_platform() -> None:
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise UnavailableError(
            f"Linux on x86_64 is required for ARM cost. Received: {system} on {machine}."
        )


def _compile(target: Path) -> None:
    command = [find_tool("cc"), *_FLAGS, "-o", str(target), str(_SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
        failed, said = done.returncode != 0, done.stderr
    except subprocess.TimeoutExpired:
        failed, said = True, f"it did not end in {_TIMEOUT_S} s"
    if failed:
        said = (said.strip().splitlines() or ["nothing was said"])[0]
        raise UnavailableError(
            f"a C compiler with the C library's headers is required. Received: {said[:200]}. "
            f"Install: {INSTALL_COMMAND}"
        )


def _apt_install(apt: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = [apt, "install", "-y", "--no-install-recommends", *_PACKAGES]
    for step in ([apt, "update"], command):
        done = subprocess.run(step, capture_output=True, text=True, env=environment)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            raise UnavailableError(
                f"{_QEMU} and a C compiler are required. Received: {' '.join(step)} failed: "
                f"{said[:200]}"
            )


def _missing(name: str) -> UnavailableError:
    return UnavailableError(
        f"{name} is required for ARM cost. Received: none on PATH. Install: {INSTALL_COMMAND}"
    )


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
