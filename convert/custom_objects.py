"""Code that the user names with `--custom-objects FILE.py`: the only code that loading runs."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
        classes: `CUSTOM_OBJECTS`: by name in the model file, a layer class or function.
    """

    lambdas: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    classes: Mapping[str, Any] = field(default_factory=dict)


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
    """Run the user's file and take `LAMBDAS` and `CUSTOM_OBJECTS` from it; None gives neither.

    Raises:
        UsageError: There is no such file, it fails, or it defines neither of the two as a dict.
    """
    if path is None:
        return CustomObjects()
    names = _run(path)
    lambdas, classes = names.get("LAMBDAS", {}), names.get("CUSTOM_OBJECTS", {})
    for name, value in (("LAMBDAS", lambdas), ("CUSTOM_OBJECTS", classes)):
        if not isinstance(value, dict) or not all(map(callable, value.values())):
            raise UsageError(
                f"{name} in {path} must be a dict of names to functions or classes. "
                f"Received: {value!r:.80}."
            )
    if not lambdas and not classes:
        raise UsageError(
            f'{path} must define LAMBDAS = {{"layer": function}} or '
            'CUSTOM_OBJECTS = {"Name": class}. Received: a file with neither.'
        )
    return CustomObjects(lambdas, classes)


def _run(path: Path) -> dict[str, Any]:
    module = types.ModuleType(_MODULE)
    module.__file__ = str(path)
    sys.modules[_MODULE] = module  # dataclasses and pickling look their module up
    try:
        # Compiled here, not imported: importing leaves a __pycache__ beside the user's file.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except OSError as error:
        raise UsageError(
            f"--custom-objects takes a Python file. Received: {path} ({error.strerror})."
        ) from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--custom-objects {path} fails with {type(error).__name__}: {error}."
        ) from error
    return vars(module)
