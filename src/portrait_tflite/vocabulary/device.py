"""What a phone hands back: field names are those of its result file (schema 1)."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_tflite.vocabulary.measuring import BenchmarkResult
from portrait_tflite.vocabulary.names import Delegate


@dataclass(frozen=True)
class Phone:
    """A phone; `soc` is its chip and `android` its version."""

    manufacturer: str
    model: str
    soc: str
    android: str
    abi: str
    cores: int

    @property
    def name(self) -> str:
        """Maker and model, once where the model begins with the maker."""
        if self.model.lower().startswith(self.manufacturer.lower()):
            return self.model
        return f"{self.manufacturer} {self.model}"


@dataclass(frozen=True)
class PhoneApp:
    """The app that measured; `runtime` is TensorFlow Lite's version."""

    version: str
    runtime: str


@dataclass(frozen=True)
class PhoneModel:
    """The model that was measured; `sha256` is of its model.json."""

    name: str
    sha256: str


@dataclass(frozen=True)
class SelfTest:
    """A golden case on a delegate.

    Attributes:
        golden: Its number; None where none was run.
        iou: Of the phone's mask with the host's.
        max_step: The most that a stored number differs by; of floats in units of 1/255.
        passed: Whether `model.json`'s tolerance holds; None where it promises nothing, or the
            phone has no such delegate.
        unavailable: Why the delegate did not run it; "" where it did.
        error: What went wrong; "" for nothing.
    """

    variant: str
    delegate: Delegate
    threads: int
    golden: int | None
    iou: float | None
    max_step: float | None
    passed: bool | None
    unavailable: str = ""
    error: str = ""


@dataclass(frozen=True)
class DeviceResult:
    """The whole result file."""

    device: Phone
    app: PhoneApp
    model: PhoneModel
    self_test: tuple[SelfTest, ...]
    benchmarks: tuple[BenchmarkResult, ...]
