"""Stands in for `adb`, with a phone and the app behind it: arguments, outputs, exit codes.

What adb says of serials, states and files was read off adb 29.0.6 (Debian) and its binary, its
refusals in `Android/data` off reports of users. The phone's shell is this machine's, with the
phone's own commands before the others (phone.py). The folder `ADB_STAND_IN` holds `script.json`
(what is attached, how phone and app behave), `phone/` (its storage), `commands/` and `calls.jsonl`
(what was asked).
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import phone

HOME = Path(os.environ["ADB_STAND_IN"])
SCRIPT = json.loads((HOME / "script.json").read_text())
PHONE = HOME / "phone"
FULL = "No space left on device"
ROOTS = ("/sdcard/", "/data/local/tmp/")


def main() -> None:
    """Answer one call."""
    arguments = sys.argv[1:]
    with (HOME / "calls.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    print(SCRIPT.get("server_on_stdout", ""), end="", flush=True)
    print(SCRIPT.get("server_on_stderr", ""), end="", flush=True, file=sys.stderr)
    if SCRIPT.get("broken") in (True, arguments[0]):
        fail("ADB server didn't ACK\n* failed to start daemon\nerror: cannot connect to daemon")
    if arguments == ["--version"]:
        print("Android Debug Bridge version 1.0.41\nVersion 29.0.6-debian")
        print("Installed as /usr/lib/android-sdk/platform-tools/adb")
        return
    if arguments == ["devices"]:
        print("List of devices attached")
        for serial, state in SCRIPT["attached"].items():
            print(f"{serial}\t{state}")
        print()
        return
    assert arguments[0] == "-s", arguments
    serial, command, *rest = arguments[1:]
    require_device(serial, [command, *rest])
    {"install": install, "push": push, "pull": pull, "shell": shell}[command](rest)


def fail(text: str, status: int = 1) -> NoReturn:
    """End as adb does where it cannot do it."""
    print(text, file=sys.stderr)
    sys.exit(status)


def require_device(serial: str, words: list[str]) -> None:
    """Fail where the phone is gone: from a call on that holds a text, for some or for good."""
    state = SCRIPT["attached"].get(serial)
    lost_at, said = SCRIPT.get("lost_at"), " ".join(words)
    log = HOME / "lost"
    times = len(log.read_text()) if log.exists() else 0
    if lost_at and (times or lost_at in said) and times < SCRIPT.get("lost_times", 1000):
        log.write_text("x" * (times + 1))
        state = None
    if state is None:
        fail(f"error: device '{serial}' not found")
    assert state == "device", "the state is to be looked at first"


def on_phone(path: str) -> Path:
    return PHONE / path.lstrip("/")


def denied(command: str, path: str) -> bool:
    part = SCRIPT.get("denied", {}).get(command)
    return part is not None and part in path


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
    said = f"adb: error: failed to copy '{source}/a' to '{target}/a': remote"
    if denied("push", target):
        fail(f"{said} secure_mkdirs failed: Permission denied")
    if SCRIPT.get("full") == "push":
        place.mkdir(parents=True)
        (place / "model.json").write_text("{")
        print(f"{said} {FULL}")
        sys.exit(1)
    place.mkdir(parents=True)
    for file in source.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    print(f"{source}/: {len(list(place.iterdir()))} files pushed, 0 skipped. 31.4 MB/s (1 s)")


def pull(rest: list[str]) -> None:
    source, target = on_phone(rest[0]), Path(rest[1])
    if denied("pull", rest[0]):  # as users have seen it end
        print(f"{rest[0]}: 0 files pulled, 0 skipped.")
        return
    if not source.is_file():
        fail(f"adb: error: failed to stat remote object '{rest[0]}': No such file or directory")
    target.write_bytes(source.read_bytes())
    print(f"{rest[0]}: 1 file pulled, 0 skipped. 12.3 MB/s")


def shell(rest: list[str]) -> None:
    """Run a line as the phone's shell does, on the folder that stands for its storage."""
    import subprocess

    (line,) = rest
    if line.split()[0] in phone.OWN and not set("&|;") & set(line):
        phone.run(shlex.split(line))  # without a process of its own: tests have many of them
        return
    for root in ROOTS:
        line = line.replace(root, f"{PHONE}{root}")
    ended = subprocess.run(
        ["/bin/sh", "-c", line],
        env={**os.environ, "PATH": f"{HOME / 'commands'}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    print(ended.stdout.replace(str(PHONE), ""), end="")
    print(ended.stderr.replace(str(PHONE), ""), end="", file=sys.stderr)
    sys.exit(ended.returncode)
