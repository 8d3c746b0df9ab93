"""Chatter is swallowed at the level of descriptors, and shown where it helps."""

from __future__ import annotations

import logging
import os
import sys

import pytest

from portrait_tflite import quiet as module
from portrait_tflite.quiet import quiet, set_verbose


@pytest.fixture(autouse=True)
def _not_verbose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(module.VERBOSE_VARIABLE, raising=False)


def _chatter() -> None:
    os.write(1, b"from C to stdout\n")
    os.write(2, b"from C to stderr\n")
    print("from Python")
    print("from Python to stderr", file=sys.stderr)
    logging.getLogger("some.library").warning("from a logger")


def test_swallows_both_descriptors_and_pythons_streams(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with quiet():
        _chatter()
    print("after")
    assert capfd.readouterr() == ("before\nafter\n", "")


def test_swallows_a_stream_that_is_no_descriptor(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print("Saved artifact at …")
    assert capsys.readouterr() == ("", "")


def test_nests(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        with quiet():
            _chatter()
        _chatter()
    print("after")
    assert capfd.readouterr().out == "after\n"


def _fail_loudly() -> None:
    with quiet():
        os.write(2, b"node 7 is to blame\n")
        raise RuntimeError("broken")


def test_an_exception_carries_what_was_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="broken") as caught:
        _fail_loudly()
    assert "node 7 is to blame" in caught.value.__notes__[0]
    print("streams are back")
    assert capfd.readouterr().out == "streams are back\n"


def test_an_exception_without_chatter_has_no_note() -> None:
    with pytest.raises(RuntimeError) as caught, quiet():
        raise RuntimeError
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("by_variable", [True, False])
def test_verbose_lets_everything_through(
    by_variable: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if by_variable:
        monkeypatch.setenv(module.VERBOSE_VARIABLE, "1")
    else:
        monkeypatch.setattr(module._State, "verbose", False)
        set_verbose(True)
    with quiet():
        os.write(1, b"heard\n")
    assert capfd.readouterr().out == "heard\n"


def test_a_handler_made_meanwhile_writes_to_the_real_stream(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """TensorFlow makes its own when it is imported."""
    logger = logging.getLogger("somebody")
    with quiet():
        handler = logging.StreamHandler()
        logger.addHandler(handler)
    try:
        logger.warning("heard")
        assert capsys.readouterr().err == "heard\n"
    finally:
        logger.removeHandler(handler)


def test_warnings_of_tensorflow_are_chatter() -> None:
    with quiet():
        pass
    assert not logging.getLogger("tensorflow").isEnabledFor(logging.WARNING)
