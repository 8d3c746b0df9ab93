"""Which GPU to measure on: a real one where Vulkan finds it, else a software one, named as such."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.errors import UnavailableError

# The loader's own variables, the newer first: a file that describes a driver.
DRIVER_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
INSTALL = "apt-get install libvulkan1 chromium (its SwiftShader is a software adapter)"

# Chromium and what is built from it bring SwiftShader along. Tried: Debian's package.
_SWIFTSHADER = "vk_swiftshader_icd.json"
_BROWSERS = (
    "/usr/lib/chromium",
    "/usr/lib/chromium-browser",
    "/usr/lib64/chromium-browser",
    "/opt/google/chrome",
)
_DOWNLOADED_BROWSERS = ".cache/ms-playwright/chromium-*/chrome-linux*"
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Adapter:
    """A GPU, or a program that stands for one.

    Attributes:
        name: As its driver names it.
        software: Whether a CPU does the work: good for function and numerics, never for speed.
        driver: File that describes the driver to Vulkan's loader; empty for what it finds itself.
    """

    name: str
    software: bool
    driver: str = ""


def find_adapter() -> Adapter:
    """Choose the adapter to measure on.

    A driver that the user named in `VK_DRIVER_FILES` or `VK_ICD_FILENAMES` is the only choice.

    Raises:
        UnavailableError: There is none; the message says why and what to install.
    """
    named = next(filter(None, map(os.environ.get, DRIVER_VARIABLES)), "")
    try:
        found = list_adapters()
    except UnavailableError:
        # One driver that crashes the loader must not hide SwiftShader, which needs none of them.
        brought = None if named else _bring_swiftshader()
        if brought:
            return brought
        raise
    hardware = next((adapter for adapter in found if not adapter.software), None)
    # Before what the loader found: LiteRT refuses Mesa's llvmpipe, and takes SwiftShader.
    chosen = hardware or (None if named else _bring_swiftshader()) or next(iter(found), None)
    if chosen:
        return chosen
    where = f"by the driver that is named: {named}" if named else "on this machine"
    raise UnavailableError(
        f"a Vulkan adapter is required for the GPU delegate. Received: none {where}. "
        + ("Name one that is there." if named else f"Install one: {INSTALL}.")
    )


def list_adapters(driver: str = "") -> list[Adapter]:
    """List what Vulkan's loader finds by `driver`, or by itself.

    Raises:
        UnavailableError: There is no loader, or a driver made it crash.
    """
    command = [sys.executable, "-m", "portrait_tflite.benchmarks.gpu.vulkan"]
    environment = driver_environment(driver)
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(_loader_message(f"{type(error).__name__}")) from error
    if ended.returncode:
        raise UnavailableError(_loader_message(f"it ended with status {ended.returncode}"))
    answer = json.loads(ended.stdout.splitlines()[-1])  # drivers print what they like before
    if "error" in answer:
        raise UnavailableError(_loader_message(answer["error"]))
    return [Adapter(name, software, driver) for name, software in answer["adapters"]]


def driver_environment(driver: str) -> dict[str, str]:
    """Return this process's environment with `driver` as the only one, if it is not empty."""
    if not driver:
        return dict(os.environ)
    return {**os.environ, **dict.fromkeys(DRIVER_VARIABLES, driver)}


def _loader_message(said: str) -> str:
    return (
        f"a Vulkan loader that works is required for the GPU delegate. Received: {said}. "
        f"Install one: {INSTALL}."
    )


def _bring_swiftshader() -> Adapter | None:
    """Return the first that starts of those that came with browsers."""
    for driver in _find_swiftshader():
        with suppress(UnavailableError):
            if brought := list_adapters(str(driver)):
                return brought[0]
    return None


def _find_swiftshader() -> Iterator[Path]:
    folders = [Path(folder) for folder in _BROWSERS]
    folders += sorted(Path.home().glob(_DOWNLOADED_BROWSERS), reverse=True)  # the newest first
    return (found for folder in folders if (found := folder / _SWIFTSHADER).is_file())
