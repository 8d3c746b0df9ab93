"""`portrait-tflite doctor`: what it finds, what it lacks, what it sets up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks import inventory
from portrait_tflite.benchmarks.arm import setup
from portrait_tflite.benchmarks.arm.setup import ArmStatus
from portrait_tflite.benchmarks.gpu import status as gpu_status
from portrait_tflite.benchmarks.gpu.status import GpuStatus
from portrait_tflite.benchmarks.machine import read_versions
from portrait_tflite.errors import UnavailableError
from portrait_tflite.tflite_runtime_python import PYTHON_VARIABLE

Run = Callable[..., Any]
Refuse = Callable[..., str]

NAMES = [
    "cpu", "xnnpack", "gpu", "ai-edge-litert", "tensorflow", "tflite-runtime", "litert-benchmark",
    "qemu-aarch64", "arm64-model", "adb", "chromium",
]  # fmt: skip


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[GpuStatus]:
    """Give the GPU that is found, to be replaced; none is started."""
    found = [GpuStatus(available=True, adapter="Card", accelerator="WebGPU")]
    monkeypatch.setattr(gpu_status, "gpu_status", lambda: found[-1])
    return found


def parts_of(said: Any) -> dict[str, dict[str, str]]:
    assert said.code == 0, said.err
    return {part["name"]: part for part in json.loads(said.out)["parts"]}


def test_json_has_machine_and_parts(run: Run, card: list[GpuStatus]) -> None:
    said = run("doctor", "--json")
    result = json.loads(said.out)
    assert set(result) == {"schema", "machine", "parts"}
    assert set(result["machine"]) == {"cpu", "isa", "cores", "os"}
    parts = parts_of(said)
    assert list(parts) == NAMES
    versions = read_versions()
    assert parts["tensorflow"]["version"] == versions["tensorflow"]
    for name in ("cpu", "xnnpack", "ai-edge-litert", "litert-benchmark"):
        assert parts[name]["verdict"] == "ok"
        assert versions["ai-edge-litert"] in parts[name]["version"]
    assert (parts["gpu"]["verdict"], parts["gpu"]["version"]) == ("ok", "Card, WebGPU")
    for part in parts.values():
        assert part["verdict"] in {"ok", "software only", "missing"}
        assert part["purpose"]
        # What is missing comes with what to do, what is there with its version.
        if part["verdict"] != "missing":
            assert part["version"]
        else:
            assert part["advice"]


def test_the_table_has_a_verdict_for_each_and_says_what_to_do(
    run: Run, card: list[GpuStatus]
) -> None:
    card.append(GpuStatus(available=True, adapter="SwiftShader", software=True))
    said = run("doctor")
    assert said.code == 0
    assert said.err == ""
    rows = {line.split()[0]: line for line in said.out.splitlines() if line.split()}
    assert set(NAMES) <= set(rows)
    assert "software only" in said.out
    _, advice = said.out.split("What to do\n")
    assert "gpu: its latency is no speed" in advice


def test_the_gpu_is_tried_for_real(run: Run, require_or_skip: Any) -> None:
    gpu = parts_of(run("doctor", "--json"))["gpu"]
    status = gpu_status.gpu_status()
    if not status.available:
        require_or_skip(status.reason)
    assert gpu["version"].startswith(status.adapter)
    assert gpu["verdict"] == ("software only" if status.software else "ok")


def test_a_bare_machine_is_no_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nowhere/icd.json")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PORTRAIT_TFLITE_CACHE", str(tmp_path))
    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "python"))
    monkeypatch.setattr(inventory, "read_versions", dict)
    parts = parts_of(run("doctor", "--json"))
    missing = {name: part["advice"] for name, part in parts.items() if part["verdict"] == "missing"}
    assert set(missing) == set(NAMES) - {"cpu", "xnnpack", "litert-benchmark"}
    assert missing["tensorflow"] == "pip install tensorflow"
    assert missing["adb"] == "Install Android's platform tools (Debian: apt install adb)."
    assert parts["adb"]["purpose"] == "phones: benchmark --device SERIAL"
    assert missing["chromium"] == "apt-get install chromium"
    assert "Received: none by the driver that is named" in missing["gpu"]
    assert "no such file" in missing["tflite-runtime"]
    assert all(len(advice.splitlines()) == 1 for advice in missing.values())


def test_a_program_that_fails_or_hangs_is_missing(
    run: Run, card: list[GpuStatus], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, script in {"adb": "exit 3", "chromium": "sleep 60"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(inventory, "_TIMEOUT_S", 3)
    parts = parts_of(run("doctor", "--json"))
    assert "adb ended with status 3; Install Android's" in parts["adb"]["advice"]
    assert "timed out" in parts["chromium"]["advice"]


def test_phones_stand_in_the_table(
    run: Run, card: list[GpuStatus], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adb = tmp_path / "adb"
    said = r"echo version 1.0.41; printf 'List of devices attached\nR5CT\tdevice\nX\toffline\n'"
    adb.write_text(f"#!/bin/sh\n{said}\n")
    adb.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    table, advice = run("doctor").out.split("What to do\n")
    assert "1.0.41, R5CT (device), X (offline)" in table
    assert "adb: X is offline. Connect it anew" in advice


@pytest.mark.parametrize("signal", ["SIGILL", "SIGSEGV"])
def test_kernels_that_crash_are_missing_and_nothing_else_is(
    run: Run,
    card: list[GpuStatus],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    signal: str,
) -> None:
    # What a CPU does that lacks an instruction of the runtime's: the process that runs it dies.
    (tmp_path / "crashing_worker.py").write_text(
        f"import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.{signal})"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started = inventory.WorkerProcess
    monkeypatch.setattr(
        inventory, "WorkerProcess", lambda **options: started("crashing_worker", **options)
    )
    parts = parts_of(run("doctor", "--json"))
    for name in ("cpu", "xnnpack"):
        assert parts[name]["verdict"] == "missing"
        assert f"crashed with {signal}" in parts[name]["advice"]
        assert "pip install --force-reinstall ai-edge-litert" in parts[name]["advice"]
    assert parts["tensorflow"]["verdict"] == "ok"


def test_a_look_that_falls_over_is_a_missing_part(
    run: Run, card: list[GpuStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.benchmarks import probe_net

    def fall() -> bytes:
        raise ValueError("no such schema")

    monkeypatch.setattr(probe_net, "build_probe", fall)
    parts = parts_of(run("doctor", "--json"))
    assert (parts["cpu"]["verdict"], parts["cpu"]["advice"]) == ("missing", "no such schema")
    assert parts["tensorflow"]["verdict"] == "ok"


def test_the_old_runtime_is_asked_for_with_what_it_needs(
    run: Run, card: list[GpuStatus], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv(PYTHON_VARIABLE, str(python))
    advice = parts_of(run("doctor", "--json"))["tflite-runtime"]["advice"]
    assert advice.endswith(f"{python} -m pip install 'tflite-runtime==2.14.0' 'numpy<2'")
    # Its pins are those of the project's own extra.
    needed = [need for need in metadata.requires("portrait-tflite") or () if "extra" in need]
    extra = {
        need.split(";")[0].strip()
        for need in needed
        if "'tflite-runtime'" in need or '"tflite-runtime"' in need
    }
    assert extra == set(advice.rpartition("install ")[2].replace("'", "").split())


def test_a_part_that_cannot_be_imported_is_missing(
    run: Run, card: list[GpuStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "portrait_tflite.benchmarks.gpu.status", None)
    assert "import of portrait_tflite" in parts_of(run("doctor", "--json"))["gpu"]["advice"]


def test_installing_says_what_it_does_and_then_looks(
    run: Run, card: list[GpuStatus], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ready = ArmStatus(True, "", tmp_path / "machine")

    def install(say: Callable[[str], None]) -> ArmStatus:
        say("fetching [1/2]")
        monkeypatch.setattr(setup, "status", lambda: ready)
        return ready

    monkeypatch.setattr(setup, "install", install)
    said = run("doctor", "--install", "arm64-model", "--json")
    assert said.err.splitlines()[0] == "fetching [1/2]"
    assert f"set up in {tmp_path}" in said.err.replace("\n", "")
    arm = parts_of(said)["arm64-model"]
    assert (arm["verdict"], arm["version"]) == ("ok", str(tmp_path / "machine"))


def test_what_cannot_be_set_up_is_exit_5(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def install(say: Callable[[str], None]) -> ArmStatus:
        raise UnavailableError("a network is required. Received: none.")

    monkeypatch.setattr(setup, "install", install)
    error = refuse("doctor", "--install", "arm64-model", code=5)
    assert error == "Error: a network is required. Received: none.\n"
    monkeypatch.setattr(setup, "install", lambda _: ArmStatus(False, "no compiler", tmp_path))
    error = refuse("doctor", "--install", "arm64-model", code=5)
    assert error == "Error: arm64-model could not be set up: no compiler\n"


def test_an_unknown_part_lists_the_known(refuse: Refuse) -> None:
    error = refuse("doctor", "--install", "gpu", code=2)
    assert error == "Error: --install must be arm64-model. Received: 'gpu'.\n"


def test_tensorflow_is_not_imported() -> None:
    script = (
        "import sys; from portrait_tflite.cli.main import _run; _run(['doctor'], debug=False); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
