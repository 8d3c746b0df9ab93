"""Android's `adb`: every call to a phone is made here, and every refusal becomes one sentence."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.errors import UnavailableError

PATIENCE_S = 60.0  # for what takes a moment
_COPYING_S = 600.0  # for files, over a slow cable or network

INSTALL = "Install Android's platform tools (Debian: apt install adb)."

# How adb itself begins where it could not reach the phone, or the phone refused.
_REFUSAL = re.compile(r"^(?:adb: )?(?:error: |failed to )|^adb: ", re.MULTILINE)

# What adb says first where it had to start its server, or to replace one of another version; on
# stdout or stderr, by its version.
_SERVER = re.compile(r"\A(?:(?:\* daemon|adb server) .*\n)+")

# Both paths of a copy, which say nothing that matters and fill the line.
_COPY = re.compile(r"failed to copy '.*' to '.*': (?=.)")

# What to do, by a part of what adb says.
_HINTS = {
    "unauthorized": "Unlock the phone and allow USB debugging on its screen.",
    "authorizing": "Unlock the phone and allow USB debugging on its screen.",
    "offline": "Connect it anew, or run `adb reconnect`.",
    "no permissions": "Give your user access to the USB device (udev rules), or run `adb` as one "
    "who has it.",
    "not found": "Connect it and see `adb devices`.",
    "no space left": "Free some storage on the phone.",
    "insufficient_storage": "Free some storage on the phone.",
    "update_incompatible": "Uninstall the app that is there: it is signed by another key.",
    "version_downgrade": "Uninstall the newer app that is there, or use that.",
    "user_restricted": "Allow installing over USB in the phone's developer options.",
    "no_matching_abis": "Use an APK with libraries for this phone's processor.",
    "older_sdk": "Use a phone with Android 8.0 or newer.",
    "more than one": "Disconnect the others.",
    "permission denied": "Some phones close the app's folder to adb: see docs/devices.md.",
    "not permitted": "Some phones close the app's folder to adb: see docs/devices.md.",
}


@dataclass(frozen=True)
class Answer:
    """What a command on the phone came to."""

    status: int
    out: str
    err: str = ""

    @property
    def reason(self) -> str:
        """What it said first of why it failed."""
        lines = [line.strip() for line in f"{self.err}\n{self.out}".splitlines() if line.strip()]
        return lines[0][:300] if lines else f"status {self.status}"


class AdbError(UnavailableError):
    """The phone could not be reached, or refused; the message says what to do.

    Attributes:
        reason: What adb or the phone said.
    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class Adb:
    """The `adb` on the PATH.

    Raises:
        UnavailableError: There is none.
    """

    def __init__(self) -> None:
        found = shutil.which("adb")
        if found is None:
            raise UnavailableError(
                "adb is required for a --device other than host, arm64-model and all: a phone. "
                f"Received: no adb on the PATH. {INSTALL}"
            )
        self._program = found

    def devices(self) -> dict[str, str]:
        """List what is attached: its state by its serial."""
        try:
            ended = self._run(["devices"], PATIENCE_S)
            failed = _reason(ended.stderr) if ended.returncode else ""
        except subprocess.TimeoutExpired:
            failed = f"no answer for {PATIENCE_S:g} s"
        if failed:
            raise UnavailableError(
                f"an adb that works is required. Received: {self._program}: {failed}. "
                "Try `adb kill-server`, then `adb devices`."
            )
        rows = (line.split("\t", 1) for line in ended.stdout.splitlines() if "\t" in line)
        return {serial: state.strip() for serial, state in rows}

    def phone(self, serial: str) -> Phone:
        """Give the phone of a serial, which is ready to be used.

        Raises:
            UnavailableError: It is not attached, or not ready.
        """
        attached = self.devices()
        if serial not in attached:
            listed = ", ".join(attached) or "none"
            raise UnavailableError(
                "--device must be host, arm64-model, all or the serial of a phone that adb lists. "
                f"Received: {serial}; listed: {listed}. Connect it and see `adb devices`."
            )
        if attached[serial] != "device":
            raise refusal("be used", serial, attached[serial])
        return Phone(self, serial)

    def ask(self, serial: str, what: str, arguments: Sequence[str], patience_s: float) -> Answer:
        """Run an adb command for a phone.

        Args:
            what: What the phone is to do, for the message: `adb: a phone that can WHAT`.

        Raises:
            AdbError: adb could not do it; not where a command on the phone merely failed.
        """
        try:
            ended = self._run(["-s", serial, *arguments], patience_s)
        except subprocess.TimeoutExpired:
            raise refusal(what, serial, f"no answer for {patience_s:g} s") from None
        said = f"{ended.stderr}\n{ended.stdout}"
        if ended.returncode and (arguments[0] != "shell" or _REFUSAL.search(ended.stderr)):
            raise refusal(what, serial, _reason(said))
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def _run(self, arguments: Sequence[str], patience_s: float) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [self._program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience_s,
            check=False,
        )
        ended.stdout = _SERVER.sub("", ended.stdout)
        ended.stderr = _SERVER.sub("", ended.stderr)
        return ended


class Phone:
    """A phone that is attached and ready; made by `Adb.phone`."""

    def __init__(self, adb: Adb, serial: str) -> None:
        self.serial = serial
        self._adb = adb

    def shell(self, what: str, *words: str, patience_s: float = PATIENCE_S) -> Answer:
        """Run a command on the phone; its status is in the answer."""
        # adb joins its arguments for the phone's shell.
        return self.script(what, shlex.join(words), patience_s=patience_s)

    def script(self, what: str, line: str, *, patience_s: float = PATIENCE_S) -> Answer:
        """Run a line of the phone's shell; its status is in the answer."""
        return self._adb.ask(self.serial, what, ["shell", line], patience_s)

    def require(self, what: str, line: str) -> None:
        """Run a line of the phone's shell, which must end well."""
        answer = self.script(what, line, patience_s=_COPYING_S)
        if answer.status:
            raise refusal(what, self.serial, answer.reason)

    def push(self, source: Path, target: str) -> None:
        """Copy a folder to a place that does not exist yet."""
        self._adb.ask(self.serial, "take the model", ["push", str(source), target], _COPYING_S)

    def pull(self, source: str, target: Path) -> None:
        """Copy a file from the phone."""
        self._adb.ask(self.serial, "give its result", ["pull", source, str(target)], _COPYING_S)

    def install(self, apk: Path) -> None:
        """Install an app, or replace the one that is there and keep its data."""
        what = "install the app"
        answer = self._adb.ask(self.serial, what, ["install", "-r", str(apk)], _COPYING_S)
        if "Failure [" in answer.out:  # old versions of adb end well all the same
            raise refusal(what, self.serial, _reason(answer.out))


def refusal(what: str, serial: str, reason: str) -> AdbError:
    """Make the error of what a phone did not do."""
    text = f"a phone that can {what} is required. Received: {serial}: {reason.rstrip('. ')}."
    return AdbError(f"{text} {what_to_do(reason)}".strip(), reason)


def what_to_do(reason: str) -> str:
    """Say how to go on after a state or refusal of adb's; "" where nothing is known."""
    lowered = reason.lower()
    return next((hint for part, hint in _HINTS.items() if part in lowered), "")


def _reason(said: str) -> str:
    """Take what matters out of adb's lines: the failure's name, or what stands behind `error:`."""
    failure = re.search(r"Failure \[(.+?)\]", said)
    if failure:
        return failure[1]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if _REFUSAL.search(line)]
    first = (errors or lines or ["no reason given"])[0]
    return _COPY.sub("", re.sub(r"^(?:adb: )?(?:error: )?", "", first))[:300]
