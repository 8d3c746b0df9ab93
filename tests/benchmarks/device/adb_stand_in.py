"""Stands in for `adb`, with a phone and the app behind it: arguments, outputs, exit codes.

What adb says of serials, states and files was read off adb 29.0.6 (Debian) and its binary; the
rest off Android's `am`, `pm`, `pidof` and `ls`. The folder `ADB_STAND_IN` holds `script.json` (what
is attached, how the app behaves), `phone/` (its storage) and `calls.jsonl` (what was asked).
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

HOME = Path(os.environ["ADB_STAND_IN"])
SCRIPT = json.loads((HOME / "script.json").read_text())
PACKAGE = "io.github.portrait_tflite.demo"
FULL = "No space left on device"


def main() -> None:
    """Answer one call."""
    arguments = sys.argv[1:]
    with (HOME / "calls.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    if SCRIPT.get("broken"):
        fail("adb: error: cannot connect to daemon", 1)
    if arguments == ["devices"]:
        print("* daemon not running; starting now at tcp:5037", file=sys.stderr)
        print("List of devices attached")
        for serial, state in SCRIPT["attached"].items():
            print(f"{serial}\t{state}")
        print()
        return
    assert arguments[0] == "-s", arguments
    serial, command, *rest = arguments[1:]
    require_device(serial, command)
    {"install": install, "push": push, "pull": pull, "shell": shell}[command](rest)


def fail(text: str, status: int = 1) -> NoReturn:
    """End as adb does where it cannot do it."""
    print(text, file=sys.stderr)
    sys.exit(status)


def require_device(serial: str, command: str) -> None:
    state = SCRIPT["attached"].get(serial)
    if SCRIPT.get("lost_at") == command or SCRIPT.get("lost_at") == " ".join(sys.argv[3:])[:40]:
        state = None
    if state is None:
        fail(f"error: device '{serial}' not found")
    assert state == "device", "the state is to be looked at first"


def on_phone(path: str) -> Path:
    return HOME / "phone" / path.lstrip("/")


def install(rest: list[str]) -> None:
    assert rest[0] == "-r"
    apk = Path(rest[1])
    print("Performing Streamed Install")
    if not apk.is_file():
        fail(f"adb: failed to stat {apk}: No such file or directory")
    failure = SCRIPT.get("install_fails")
    if failure and SCRIPT.get("old_adb"):
        print(f"Failure [{failure}]")
    elif failure:
        fail(f"adb: failed to install {apk}: Failure [{failure}]")
    else:
        (HOME / "installed").touch()
        print("Success")


def push(rest: list[str]) -> None:
    source, target = Path(rest[0]), rest[1]
    place = on_phone(target)
    if place.exists():  # then it would go below it
        place = place / source.name
    if SCRIPT.get("full"):
        place.mkdir(parents=True)
        (place / "model.json").write_text("{")
        print(f"adb: error: failed to copy '{source}/a' to '{target}/a': remote {FULL}")
        sys.exit(1)
    shutil.copytree(source, place)
    print(f"{source}/: {len(list(place.iterdir()))} files pushed, 0 skipped. 31.4 MB/s (1 s)")


def pull(rest: list[str]) -> None:
    source, target = on_phone(rest[0]), Path(rest[1])
    if SCRIPT.get("app") == "vanishes" or not source.is_file():
        print(
            f"adb: error: failed to stat remote object '{rest[0]}': No such file or directory",
            file=sys.stderr,
        )
        sys.exit(1)
    shutil.copyfile(source, target)
    print(f"{rest[0]}: 1 file pulled, 0 skipped. 12.3 MB/s")


def shell(rest: list[str]) -> None:
    words = shlex.split(" ".join(rest))
    commands = {"pm": pm, "rm": rm, "ls": ls, "am": am, "pidof": pidof, "logcat": logcat}
    if words[0] == "input":
        assert words == ["input", "keyevent", "KEYCODE_WAKEUP"]
        return
    commands[words[0]](words[1:])


def pm(words: list[str]) -> None:
    assert words == ["path", PACKAGE]
    if not (HOME / "installed").exists():
        sys.exit(1)
    print(f"package:/data/app/~~x==/{PACKAGE}-y==/base.apk")


def rm(words: list[str]) -> None:
    assert words[0] == "-rf"
    for word in words[1:]:
        shutil.rmtree(on_phone(word), ignore_errors=True)
        on_phone(word).unlink(missing_ok=True)


def ls(words: list[str]) -> None:
    if not on_phone(words[0]).exists():
        fail(f"ls: {words[0]}: No such file or directory")
    print(words[0])


def pidof(words: list[str]) -> None:
    assert words == [PACKAGE]
    if not (HOME / "running").exists():
        sys.exit(1)
    print("4711")


def logcat(words: list[str]) -> None:
    assert words == ["-d", "-s", "PortraitBenchmark:*"]
    print("--------- beginning of main")
    log = HOME / "logcat"
    print(log.read_text() if log.exists() else "", end="")


def am(words: list[str]) -> None:
    if words[0] == "force-stop":
        (HOME / "running").unlink(missing_ok=True)
        return
    assert words[:4] == ["start", "-W", "-n", f"{PACKAGE}/.BenchmarkActivity"]
    if not (HOME / "installed").exists() or SCRIPT.get("app") == "too_old":
        print("Starting: Intent { cmp=… }\nError type 3")
        print(f"Error: Activity class {{{words[3]}}} does not exist.")
        return  # with status 0, as `am` has it
    print("Starting: Intent { cmp=… }\nStatus: ok\nComplete")
    measure(extras(words[4:]))


def extras(words: list[str]) -> dict[str, Any]:
    kinds = {"--es": str, "--ei": int, "--ef": float}
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {key: kinds[kind](value) for kind, key, value in triples}


def measure(given: dict[str, Any]) -> None:
    """Do what the app does, or what the script has it do instead."""
    behaviour = SCRIPT.get("app", "finishes")
    results = on_phone(f"/sdcard/Android/data/{PACKAGE}/files/results")
    model = on_phone(f"/sdcard/Android/data/{PACKAGE}/files/models/{given['model']}/model.json")
    results.mkdir(parents=True, exist_ok=True)
    part = results / f"{given['run']}.json.part"
    text = json.dumps(result_of(given, model, behaviour))
    part.write_text(text[: len(text) // 2] if behaviour in ("killed", "half") else text)
    if behaviour == "hangs":
        (HOME / "running").touch()
    elif behaviour == "logs":
        log = f"11-22 02:00:00.0 471 480 E PortraitBenchmark: failed {given['run']} storage is full"
        (HOME / "logcat").write_text(log + "\n")
        (HOME / "running").touch()
    elif behaviour == "slow":
        (HOME / "running").touch()
        if os.fork() == 0:
            time.sleep(0.5)
            part.rename(results / f"{given['run']}.json")
            os._exit(0)
    elif behaviour != "killed":
        part.rename(results / f"{given['run']}.json")


def result_of(given: dict[str, Any], model: Path, behaviour: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "schema": 2 if behaviour == "newer" else 1,
        "device": {
            "manufacturer": "Acme", "model": "Acme One", "soc": "T1000", "android": "14",
            "abi": "arm64-v8a", "cores": 8,
        },
        "app": {"version": "0.1.0", "runtime": "2.16.1"},
        "model": {"name": "net", "sha256": hashlib.sha256(model.read_bytes()).hexdigest()},
        "self_test": [],
        "benchmarks": [],
    }  # fmt: skip
    if behaviour == "another_model":
        result["model"]["sha256"] = "0" * 64
    if behaviour == "fails":
        return result | {"error": "model.json is of schema 7. Update the app."}
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


main()
