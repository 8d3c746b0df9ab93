"""Read a released `.tflite` in the spelling that the pipeline knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.loading.class_maps import open_class_maps
from portrait_tflite.convert.loading.custom_ops import translate_custom_ops
from portrait_tflite.convert.loading.flat_masks import unflatten_masks
from portrait_tflite.vocabulary import RewriteRecord


@dataclass(frozen=True)
class Released:
    """A file of built-in ops whose masks are pictures.

    Attributes:
        data: The very file where it was that already.
        records: What was changed.
    """

    data: bytes
    records: tuple[RewriteRecord, ...] = ()


def read_released(file: Path, *, scores: bool = False) -> Released:
    """Read a file, with known custom ops as built-in ones and its masks as `[1, h, w, c]`.

    Args:
        file: The `.tflite`.
        scores: Whether a class is asked for: a map of the best classes is read as what it was
            chosen from.

    Raises:
        UsageError: No such file, or not a `.tflite`.
        ConversionError: A custom op that is not known; it is named.
    """
    model = read_model(file)
    records = (*translate_custom_ops(model), *(open_class_maps(model) if scores else ()))
    records += unflatten_masks(model)
    return Released(serialize(model) if records else file.read_bytes(), records)
