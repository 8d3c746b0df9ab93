"""Code that the user names with `--custom-objects FILE.py`: the only code that loading runs."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras

from portrait_tflite.errors import UsageError

_MODULE = "portrait_tflite_custom_objects"


@dataclass(frozen=True)
class CustomObjects:
    """What such a file offers.

    Attributes:
        lambdas: `LAMBDAS`: by name of the Lambda layer, the function that stands in for it.
        classes: `CUSTOM_OBJECTS`: by name in the model file, a layer class or function; and every
            layer class of the file by its own name.
        rewrites: `REWRITES`: rewrites of the user's own, not yet looked at.
    """

    lambdas: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    classes: Mapping[str, Any] = field(default_factory=dict)
    rewrites: tuple[Any, ...] = ()


class FunctionLayer(keras.layers.Layer):
    """A Lambda layer whose function came from the user; clones with its function."""

    def __init__(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments)

    # A saved call of a Lambda layer may bring `mask` and `training` along.
    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        return self.function(inputs, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().get_config()
        return {**config, "function": self.function, "arguments": self.arguments}


def read_custom_objects(path: Path | None) -> CustomObjects:
    """Run the user's file and take its layers, `LAMBDAS`, `CUSTOM_OBJECTS` and `REWRITES` from it.

    A file that did not change since is not run again. What it registers with Keras, Keras finds by
    itself. None gives nothing.

    Raises:
        UsageError: There is no such file, it fails, or it defines none of the three as it must.
    """
    if path is None:
        return CustomObjects()
    names, registers = _run(path, _read(path))
    lambdas, classes = names.get("LAMBDAS", {}), names.get("CUSTOM_OBJECTS", {})
    for name, value in (("LAMBDAS", lambdas), ("CUSTOM_OBJECTS", classes)):
        if not isinstance(value, dict) or not all(map(callable, value.values())):
            raise UsageError(
                f"{name} in {path} must be a dict of names to functions or classes. "
                f"Received: {value!r:.80}."
            )
    rewrites = names.get("REWRITES", ())
    if not isinstance(rewrites, list | tuple):
        raise UsageError(
            f"REWRITES in {path} must be a tuple of rewrites. Received: {rewrites!r:.80}. "
            "See docs/writing-a-rewrite.md."
        )
    classes = {**_layer_classes(names), **classes}
    if not lambdas and not classes and not rewrites and not registers:
        raise UsageError(
            f'{path} must define layers, LAMBDAS = {{"layer": function}}, '
            'CUSTOM_OBJECTS = {"Name": class} or REWRITES = (rewrite,). '
            "Received: a file with none of them."
        )
    return CustomObjects(lambdas, classes, tuple(rewrites))


def _layer_classes(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layers and models that a file defines or imports, without those of Keras."""
    classes = (value for value in names.values() if isinstance(value, type))
    return {
        one.__name__: one
        for one in classes
        if issubclass(one, keras.Layer) and not one.__module__.startswith("keras.")
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"--custom-objects takes a Python file. Received: {path} ({error.strerror})."
        ) from error


# Its rewrites are wanted before the model is read, and its layers then.
@lru_cache(maxsize=1)
def _run(path: Path, code: bytes) -> tuple[dict[str, Any], bool]:
    """Return the names of the file, and whether it registered something with Keras."""
    registered = dict(keras.saving.get_custom_objects())
    module = types.ModuleType(_MODULE)
    module.__file__ = str(path)
    sys.modules[_MODULE] = module  # dataclasses and pickling look their module up
    try:
        # Compiled here, not imported: importing leaves a __pycache__ beside the user's file.
        exec(compile(code, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--custom-objects {path} fails with {type(error).__name__}: {error}."
        ) from error
    return vars(module), keras.saving.get_custom_objects() != registered
