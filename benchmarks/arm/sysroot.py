"""Unpacks what was fetched into a small arm64 Debian with LiteRT; needs no root."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

from portrait_tflite.benchmarks.arm.tools import find_tool
from portrait_tflite.errors import UnavailableError

ROOT, SITE = "root", "site"

# Of the runtime's wheel: what the interpreter does not load, most of its bytes.
_LEFT_OUT = (
    "ai_edge_litert/aot/",
    "ai_edge_litert/libLiteRt",
    "ai_edge_litert/tools/",
    "ai_edge_litert/vendors/",
)

# LiteRT chooses its kernels by this file and crashes where it describes no ARM core. Of a
# Cortex-A76, as Linux prints it.
_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc \
dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""


def unpack(packages: Iterable[Path], wheels: Iterable[Path], folder: Path) -> None:
    """Unpack Debian packages and wheels into `folder`, and describe the processor.

    Raises:
        UnavailableError: No dpkg, or it refuses a package.
    """
    root, site = folder / ROOT, folder / SITE
    for package in packages:
        _unpack_package(package, root)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site, [name for name in archive.namelist() if _is_wanted(name)])
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text(_CPUINFO)


def _is_wanted(name: str) -> bool:
    return not name.startswith(_LEFT_OUT) and "/tests/" not in name


def _unpack_package(package: Path, root: Path) -> None:
    command = [find_tool("dpkg"), "-x", str(package), str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise UnavailableError(f"dpkg must unpack {package.name}. Received: {said[:200]}")
