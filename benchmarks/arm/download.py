"""Fetches pinned files; what is there already with the right hash is not fetched again."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from portrait_tflite.benchmarks.arm.pins import DebianPackage, Wheel
from portrait_tflite.benchmarks.arm.stamp import hash_file
from portrait_tflite.errors import UnavailableError

_TIMEOUT_S = 60
_PIP_TIMEOUT_S = 900
# The emulated machine's: Debian 12's Python and C library.
_PYTHON = "3.11"
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def fetch_packages(
    packages: Sequence[DebianPackage],
    mirrors: Sequence[str],
    folder: Path,
    say: Callable[[str], None],
) -> list[Path]:
    """Fetch Debian packages into `folder`, from the first mirror that has each as pinned.

    Raises:
        UnavailableError: None has; the message says why the last did not.
    """
    return [_fetch_package(package, mirrors, folder, say) for package in packages]


def fetch_wheels(wheels: Sequence[Wheel], folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Fetch wheels for aarch64 with pip, which knows this machine's index and proxy.

    Raises:
        UnavailableError: No pip, no network, or another file than the pinned one.
    """
    return [_find_wheel(wheel, folder) or _fetch_wheel(wheel, folder, say) for wheel in wheels]


def _fetch_package(
    package: DebianPackage, mirrors: Sequence[str], folder: Path, say: Callable[[str], None]
) -> Path:
    target = folder / package.file
    if target.is_file() and hash_file(target) == package.sha256:
        return target
    say(f"fetching {package.file}")
    reason = ""
    for mirror in mirrors:
        try:
            data = _read(mirror + package.path)
        except OSError as error:  # urllib's errors are OSErrors
            reason = f"{mirror}: {error}"
            continue
        target.write_bytes(data)
        if hash_file(target) == package.sha256:
            return target
        target.unlink()
        reason = f"{mirror}: a file with another hash"
    raise UnavailableError(
        f"{package.file} from a Debian mirror is required. Received: {reason}. "
        "Check the network and run it again: what is fetched stays."
    )


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
        data: bytes = response.read()
    return data


def _find_wheel(wheel: Wheel, folder: Path) -> Path | None:
    pattern = f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl"
    return next((file for file in folder.glob(pattern) if hash_file(file) == wheel.sha256), None)


def _fetch_wheel(wheel: Wheel, folder: Path, say: Callable[[str], None]) -> Path:
    name = f"{wheel.name} {wheel.version} for aarch64"
    say(f"fetching {name}")
    requirements = folder / "requirements.txt"
    requirements.write_text(wheel.requirement)
    reason = _pip_download(requirements, folder)
    found = _find_wheel(wheel, folder)
    if found is None:
        raise UnavailableError(
            f"{name} from pip is required. Received: {reason[:200] or 'another file'}. "
            "Check the network and run it again: what is fetched stays."
        )
    return found


def _pip_download(requirements: Path, folder: Path) -> str:
    """Download what a file lists, hashes checked; return what went wrong, or ""."""
    platforms = [part for name in _PLATFORMS for part in ("--platform", name)]
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--python-version", _PYTHON),
        *(*platforms, "--dest", str(folder), "--requirement", str(requirements)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"no answer within {_PIP_TIMEOUT_S} s"
    said = done.stderr.strip().splitlines()
    errors = [line for line in said if "ERROR" in line] or said[-1:] or ["nothing was said"]
    return errors[0] if done.returncode else ""
