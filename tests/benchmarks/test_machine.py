"""Facts of the machine, read from descriptions of other machines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from portrait_tflite.benchmarks.machine import read_machine, read_versions, usable_cores

X86 = """processor\t: 0
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu sse4_2 avx avx2 fma f16c avx512f avx512_vnni amx_int8 aes

processor\t: 1
model name\t: Another
"""
ARM = """processor\t: 0
Features\t: fp asimd fphp asimddp i8mm crc32
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


def test_x86_names_the_extensions_that_kernels_choose_by(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(X86)
    machine = read_machine(path)
    assert machine.cpu == "Some CPU @ 2.00GHz"
    assert set(machine.isa) == {
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "amx_int8",
    }  # fmt: skip


def test_arm_has_numbers_for_a_name(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(ARM)
    machine = read_machine(path)
    assert machine.cpu == "arm64 implementer 0x41 part 0xd0b"
    assert set(machine.isa) == {"asimd", "fphp", "asimddp", "i8mm"}


def test_a_machine_without_cpuinfo_is_still_described(tmp_path: Path) -> None:
    machine = read_machine(tmp_path / "none")
    assert machine.isa == ()
    assert machine.cpu
    assert machine.cores == usable_cores() >= 1
    assert machine.os


def test_versions_are_read_without_importing_the_packages() -> None:
    versions = read_versions()
    assert {"python", "portrait-tflite", "numpy", "ai-edge-litert"} <= set(versions)
    heavy = "tensorflow", "keras", "cv2", "numpy"
    code = (
        "import sys; from portrait_tflite.benchmarks.machine import read_versions; "
        f"read_versions(); sys.exit(bool({set(heavy)} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
