"""What is laid into the app's folder on a phone and fetched from there.

Since Android 11 many phones refuse `adb push` into `Android/data` ("remote fchown failed", "remote
secure_mkdirs failed"), where adb's shell may copy. What that makes there belongs to the shell and
its group; the app reads it only after it was opened to all.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from portrait_tflite.benchmarks.device.adb import AdbError, Phone, refusal
from portrait_tflite.benchmarks.device.app import PACKAGE, ended, name_run
from portrait_tflite.benchmarks.device.staging import StagedModel

Tell = Callable[[str], None]
"""Takes a sentence for the user that is no error."""

FILES = f"/sdcard/Android/data/{PACKAGE}/files"
_DESK = "/data/local/tmp"  # where adb may always write, and no app looks
_TAKE = "take the model"
_GIVE = "give its result"


def result_path(run: str) -> str:
    """Say where the app leaves a run's result."""
    return f"{FILES}/results/{run}.json"


@contextmanager
def placed(phone: Phone, model: StagedModel, tell: Tell) -> Iterator[None]:
    """Lay a model where the app looks for it, and remove it afterwards.

    Raises:
        AdbError: The phone refuses every way, or has no room.
    """
    home = f"{FILES}/models/{model.name}"
    desk = f"{_DESK}/portrait-tflite-{model.name}"
    # Of a run that was killed here, and into which a folder would be copied.
    phone.require("make room for a model", f"rm -rf {shlex.join((home, desk))}")
    with removed(phone, tell, home):
        try:
            with removed(phone, tell, desk):
                _copy_by_shell(phone, model, desk, home)
        except AdbError as error:
            if not _is_denied(error.reason):
                raise
            _push_straight(phone, model, home, error.reason)
        yield


def _copy_by_shell(phone: Phone, model: StagedModel, desk: str, home: str) -> None:
    """Push to adb's own folder and let the phone's shell copy from there."""
    phone.push(model.folder, desk)
    # The folder itself is the app's to make: it could not enter one that the shell made.
    folder = "{ [ -d models ] || { mkdir models && chmod a+rx models; }; }"
    copy = shlex.join(("cp", "-r", desk, home))
    phone.require(_TAKE, f"cd {FILES} && {folder} && {copy} && {_opened(home)}")


def _push_straight(phone: Phone, model: StagedModel, home: str, denied: str) -> None:
    """Push into the app's folder: adb does that by a process of other rights than its shell's."""
    phone.require(_TAKE, f"rm -rf {shlex.quote(home)}")  # what a copy began
    try:
        phone.push(model.folder, home)
        phone.require(_TAKE, _opened(home))
    except AdbError as error:
        if not _is_denied(error.reason):
            raise
        reason = f"{denied}; pushed straight: {error.reason}"
        raise refusal(_TAKE, phone.serial, reason) from error


def _opened(place: str) -> str:
    return f"chmod -R a+rX {shlex.quote(place)}"


def _is_denied(reason: str) -> bool:
    return any(word in reason.lower() for word in ("permission denied", "not permitted"))


def read_result(phone: Phone, run: str, target: Path) -> None:
    """Copy a run's result to a file here, by the phone's shell or else by adb's own service.

    Raises:
        AdbError: The phone refuses both.
    """
    answer = phone.shell(_GIVE, "cat", result_path(run))
    if answer.status == 0:
        target.write_bytes(answer.out.encode())
        return
    phone.pull(result_path(run), target)
    if not target.is_file():  # adb may end well where it was denied
        raise refusal(_GIVE, phone.serial, answer.reason)


@contextmanager
def removed(phone: Phone, tell: Tell, *places: str) -> Iterator[None]:
    """Remove afterwards what is at some places, whatever happens.

    Args:
        tell: Told of what stays; that is no failure.
    """
    line = f"rm -rf {shlex.join(places)}"
    try:
        yield
    finally:
        try:
            answer = phone.script("clean up", line)
            if answer.status:
                goes = "It goes when the app is uninstalled."
                tell(f"Something stays on the phone: {answer.reason}. {goes}")
        except AdbError as error:
            by_hand = f"Then remove it by: adb -s {phone.serial} shell {line}"
            tell(f"Something may stay on the phone: {error.reason}. {by_hand}")


@contextmanager
def one_run(phone: Phone, tell: Tell) -> Iterator[str]:
    """Give the name of a run; afterwards end the app and remove what the run left."""
    run = name_run()
    with removed(phone, tell, result_path(run), f"{result_path(run)}.part"), ended(phone):
        yield run
