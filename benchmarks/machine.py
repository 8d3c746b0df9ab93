"""Facts of this machine that a measurement must carry."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from portrait_tflite.vocabulary import Machine

# What kernels choose their code by, as Linux names it; x86, then arm64.
_EXTENSIONS = (
    "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8",
    "asimd", "asimdhp", "asimddp", "fphp", "i8mm", "sve", "sve2",
)  # fmt: skip

# Report's name: the distributions that may provide it.
_PACKAGES = {
    "portrait-tflite": ("portrait-tflite",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos"),
    "keras": ("keras",),
    "ai-edge-litert": ("ai-edge-litert",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
}


def read_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """Describe this machine.

    Args:
        cpuinfo: Linux's description of the processors. Where there is none, `isa` is empty.
    """
    facts = _first_processor(cpuinfo)
    flags = f"{facts.get('flags', '')} {facts.get('Features', '')}".split()
    return Machine(
        cpu=facts.get("model name") or _arm_name(facts) or platform.processor() or "unknown",
        isa=tuple(name for name in _EXTENSIONS if name in flags),
        cores=usable_cores(),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def read_versions() -> dict[str, str]:
    """Return versions of Python and the packages, by their metadata; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for name, distributions in _PACKAGES.items():
        found = next(filter(None, map(_installed, distributions)), None)
        if found:
            versions[name] = found
    return versions


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _first_processor(cpuinfo: Path) -> dict[str, str]:
    try:
        first = cpuinfo.read_text(errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _arm_name(facts: dict[str, str]) -> str:
    """Name an arm64 core by its numbers: Linux gives no model name there."""
    if "CPU part" not in facts:
        return ""
    return f"arm64 implementer {facts.get('CPU implementer', '?')} part {facts['CPU part']}"
