"""The phone's commands, each by the name it is called by: Android's own, and files' with refusals.

What they say was read off Android's `am`, `pm`, `pidof`, `logcat` and `settings`, and off toybox.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from app import PACKAGE, be_seen, finish, start

HOME = Path(os.environ["ADB_STAND_IN"])
SCRIPT = json.loads((HOME / "script.json").read_text())
TAG = "PortraitBenchmark"
PID = "4711"


def main() -> None:
    """Do what the command does that this program is called by."""
    run([Path(sys.argv[0]).name, *sys.argv[1:]])


def run(words: list[str]) -> None:
    """Do what a command does."""
    OWN.get(words[0], lambda rest: on_files(words[0], rest))(words[1:])


def fail(text: str, status: int = 1) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(status)


def on_files(name: str, words: list[str]) -> None:
    """Run the command of this machine, as far as the phone allows it."""
    part = SCRIPT.get("denied", {}).get(name)
    place = next((word for word in words if part is not None and part in word), None)
    if place and (name != "rm" or Path(place).exists()):  # what is not there, `rm -f` is silent of
        fail(f"{name}: {place}: Permission denied")
    if name == "cp" and SCRIPT.get("full") == "cp":
        fail("cp: xwrite: No space left on device")
    status = os.spawnv(os.P_WAIT, f"/bin/{name}", [name, *words])
    if name == "cp":
        close(Path(words[-1]))
    sys.exit(status)


def close(place: Path) -> None:
    """Leave a copy to the shell and its group, as Android does in the app's folder."""
    for path in [place, *place.rglob("*")]:
        path.chmod(0o770 if path.is_dir() else 0o660)


def pm(words: list[str]) -> None:
    assert words == ["path", PACKAGE]
    if not (HOME / "installed").exists():
        sys.exit(1)
    print(f"package:/data/app/~~x==/{PACKAGE}-y==/base.apk")


def send(words: list[str]) -> None:
    assert words == ["keyevent", "KEYCODE_WAKEUP"]
    if SCRIPT.get("no_input"):
        fail("java.lang.SecurityException: Injecting to another application requires INJECT_EVENTS")


def settings(words: list[str]) -> None:
    assert words == ["get", "global", "low_power"]
    print(SCRIPT.get("low_power", "null"))


def pidof(words: list[str]) -> None:
    assert words == ["-s", PACKAGE]
    if SCRIPT.get("app") == "ends_between":
        finish()
    if SCRIPT.get("app") == "killed_later":
        be_seen(looks=2)
    if not (HOME / "running").exists():
        sys.exit(1)
    print(PID)


def logcat(words: list[str]) -> None:
    of_process = ["--pid=" + PID] if len(words) == 4 else []
    assert words == ["-d", *of_process, "-s", f"{TAG}:*"]
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
    if SCRIPT.get("app") == "closed":
        print("Starting: Intent { cmp=… }")
        print("\nException occurred while executing 'start':", file=sys.stderr)
        fail("java.lang.SecurityException: Permission Denial: starting Intent not exported", 255)
    print("Starting: Intent { cmp=… }\nStatus: ok\nComplete")
    sys.stdout.flush()
    start(extras(words[4:]), SCRIPT)


def extras(words: list[str]) -> dict[str, Any]:
    kinds = {"--es": str, "--ei": int, "--ef": float}
    triples = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {key: kinds[kind](value) for kind, key, value in triples}


OWN = {
    "am": am,
    "pm": pm,
    "input": send,
    "pidof": pidof,
    "logcat": logcat,
    "settings": settings,
}
