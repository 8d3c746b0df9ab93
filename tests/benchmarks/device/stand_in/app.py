"""The app behind the stand-in for adb: what it writes and logs, or what the script has it do."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["ADB_STAND_IN"])
PACKAGE = "io.github.portrait_tflite.demo"
FILES = HOME / "phone" / "sdcard" / "Android" / "data" / PACKAGE / "files"
OWN = HOME / "made_by_the_app"
RUNNING = HOME / "running"


def start(given: dict[str, Any], script: dict[str, Any]) -> None:
    """Do what the app does; of an order that only opens its folder, the script says `opening`."""
    opening = given["runs"] == 0
    behaviour = script.get("opening" if opening else "app", "finishes")
    RUNNING.touch()
    if behaviour == "killed":
        RUNNING.unlink()
    if FILES.parent.exists() and not OWN.exists():
        raise SystemExit("whoever makes the app's folder before the app does shuts it out")
    OWN.touch()
    results = FILES / "results"
    results.mkdir(parents=True, exist_ok=True)
    result = result_of(given, behaviour)
    if behaviour in ("no_room", "says_done"):
        end = {"no_room": "failed {} storage is full", "says_done": "done {} /elsewhere"}[behaviour]
        log(end.format(given["run"]))
        return
    text = json.dumps(result)
    part = results / f"{given['run']}.json.part"
    cut = behaviour in ("killed", "killed_later", "half")
    part.write_text(text[: len(text) // 2] if cut else text)
    if behaviour == "ends_between":
        RUNNING.unlink()
    elif behaviour == "slow":
        later(0.5)
    elif behaviour not in ("killed", "killed_later", "hangs"):
        finish()
        log(f"failed {given['run']} {result['error']}" if "error" in result else "")


def be_seen(looks: int) -> None:
    """Run for some looks; at the next one the phone has ended the app."""
    seen = HOME / "seen"
    count = len(seen.read_text()) if seen.exists() else 0
    seen.write_text("x" * min(count + 1, looks))
    if count == looks:
        RUNNING.unlink(missing_ok=True)


def finish() -> None:
    """Give what was written the name of a whole result."""
    for part in FILES.glob("results/*.part"):
        part.rename(part.with_suffix(""))


def later(seconds: float) -> None:
    """Finish in a process of its own, which holds nobody up."""
    if os.fork():
        return
    for stream in range(3):
        os.close(stream)
    time.sleep(seconds)
    finish()
    os._exit(0)


def log(text: str) -> None:
    with (HOME / "logcat").open("a") as lines:
        lines.write(f"11-22 02:00:00.0  4711  4720 I PortraitBenchmark: {text}\n")


def home_of(given: dict[str, Any]) -> Path:
    return FILES / "models" / str(given["model"])


def fault(given: dict[str, Any]) -> str:
    """Say why the app does not run an order: it is none, or it cannot read the model."""
    if given["runs"] == 0:
        return "The extra runs must be a number, as --ei runs 50. Received: 0, Integer."
    home = home_of(given)
    shut = [path for path in [home, *home.rglob("*")] if not path.stat().st_mode & stat.S_IROTH]
    return f"model.json cannot be read: {shut[0].name} (Permission denied)." if shut else ""


def result_of(given: dict[str, Any], behaviour: str) -> dict[str, Any]:
    """Write a result as the app does."""
    result: dict[str, Any] = {
        "schema": 2 if behaviour == "newer" else 1,
        "device": {
            "manufacturer": "Acme", "model": "Acme One", "soc": "T1000", "android": "14",
            "abi": "arm64-v8a", "cores": 8,
        },
        "app": {"version": "0.1.0", "runtime": "2.16.1"},
        "model": {"name": "", "sha256": ""},
        "self_test": [],
        "benchmarks": [],
    }  # fmt: skip
    error = "model.json is of schema 7. Update the app." if behaviour == "fails" else fault(given)
    if error:
        return result | {"error": error}
    digest = hashlib.sha256((home_of(given) / "model.json").read_bytes()).hexdigest()
    result["model"] = {"name": "net", "sha256": digest}
    if behaviour == "another_model":
        result["model"]["sha256"] = "0" * 64
    for variant in given["variants"].split(","):
        for delegate in given["delegates"].split(","):
            passed = not (behaviour == "wrong_masks" and delegate == "xnnpack")
            result["self_test"].append(
                {"variant": variant, "delegate": delegate, "threads": 1, "golden": 0,
                 "iou": 1.0 if passed else 0.7, "max_step": 0.0 if passed else 90.0,
                 "passed": passed, "unavailable": ""}
            )  # fmt: skip
            threads = [1] if delegate == "gpu" else map(int, given["threads"].split(","))
            result["benchmarks"] += [cell(variant, delegate, n, given, behaviour) for n in threads]
    return result


def cell(
    variant: str, delegate: str, threads: int, given: dict[str, Any], behaviour: str
) -> dict[str, Any]:
    ms = 40.0 / threads / (1 if delegate == "cpu" else 4)
    latency = {"median": ms, "mean": ms, "p90": ms * 1.1, "p95": ms * 1.2, "min": ms, "mad": 0.1}
    row: dict[str, Any] = {
        "variant": variant, "delegate": delegate, "threads": threads, "precision": variant,
        "partitions": 1 if delegate == "xnnpack" else None, "runs": given["runs"], "processes": 1,
        "warmup": 5, "latency_ms": latency, "init_ms": 3.5, "first_ms": ms * 2,
        "peak_rss_mb": 90.0, "stable": True, "warnings": [], "remark": "", "unavailable": "",
        "thermal": {"before": "none", "after": "light"},
        "battery_c": {"before": 25.5, "after": 27.0},
        "frame_ms": {"camera": latency, "preprocess": latency, "inference": latency,
                     "effect": None},
        "samples_ms": [ms] * given["runs"],
    }  # fmt: skip
    if behaviour == "not_a_number":
        row["first_ms"] = "fast"
    said = ""
    if delegate == "gpu" and behaviour == "no_gpu":
        said = "unavailable"
    if behaviour == "unknown_op":
        said = "error"
    if said:
        row |= {"latency_ms": None, "samples_ms": [], "frame_ms": None, "first_ms": None}
        row[said] = "this phone has no OpenCL." if said == "unavailable" else "Frobnicate is no op."
    return row
