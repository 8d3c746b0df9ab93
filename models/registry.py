"""The zoo's register: every net by name, with its preprocessing and its packaged weights."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import ModelSpec

if TYPE_CHECKING:
    import keras

DEFAULT_NET = "portrait"
WEIGHTS_LICENCE = "CC-BY-NC-4.0, see WEIGHTS_LICENSE"
WEIGHTS_FOLDER = Path(__file__).parent / "weights"

# Net modules; each registers itself when imported. Only then is Keras loaded.
_MODULES = ("portrait", "hodzic_unet", "hodzic_mobilenetv2")
_nets: dict[str, Net] = {}


@dataclass(frozen=True)
class Net:
    """A net of the zoo.

    Attributes:
        name: What the command line calls it.
        build: `(height, width, **options) -> keras.Model`, with random weights.
        spec: Its preprocessing at its native size.
        paper: Where it is described.
        multiple: Height and width must be multiples of it.
        weights: File of packaged weights, or "".
    """

    name: str
    build: Callable[..., keras.Model]
    spec: ModelSpec
    paper: str
    multiple: int
    weights: str = ""

    def build_at(self, height: int, width: int, **form: str) -> keras.Model:
        """Build the net for a size, in one of its forms.

        Raises:
            UsageError: The size is no multiple of `multiple`, or there is no such form.
        """
        if height % self.multiple or width % self.multiple:
            raise UsageError(
                f"{self.name} cannot be built for --size {height}x{width}: both must be multiples "
                f"of {self.multiple}."
            )
        try:
            return self.build(height, width, **form)
        except ValueError as error:
            said = str(error).splitlines()[0]
            raise UsageError(f"{self.name} cannot be built as asked: {said}") from error

    @property
    def licence(self) -> str:
        """Licence of the packaged weights, "" where there are none."""
        return WEIGHTS_LICENCE if self.weights_path else ""

    @property
    def weights_path(self) -> Path | None:
        """The packaged weights, or None where there are none."""
        path = WEIGHTS_FOLDER / self.weights
        return path if self.weights and path.is_file() else None


def register(net: Net) -> None:
    """Add a net to the zoo.

    Raises:
        ValueError: The name is taken.
    """
    if net.name in _nets:
        raise ValueError(f"a net's name must be new. Received: {net.name!r}, already registered.")
    _nets[net.name] = net


def all_nets() -> dict[str, Net]:
    """Return every net of the zoo by name, in a fixed order."""
    for module in _MODULES:
        importlib.import_module(f"portrait_tflite.models.{module}")
    return dict(_nets)


def find_net(name: str) -> Net:
    """Look a net up.

    Raises:
        UsageError: There is none of that name; the message lists the known ones.
    """
    nets = all_nets()
    if name in nets:
        return nets[name]
    close = difflib.get_close_matches(name, nets, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(
        f"a model file or a net of the zoo ({', '.join(nets)}) is required. "
        f"Received: {name!r}, which is neither.{hint}"
    )
