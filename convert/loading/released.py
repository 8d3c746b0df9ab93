"""Read a released `.tflite` in the spelling that the pipeline knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.loading.asked_output import keep_output
from portrait_tflite.convert.loading.class_maps import open_class_map
from portrait_tflite.convert.loading.custom_ops import translate_custom_ops
from portrait_tflite.convert.loading.fixed_sizes import fix_sizes, size_inputs
from portrait_tflite.convert.loading.flat_masks import unflatten_masks
from portrait_tflite.vocabulary import RewriteRecord


@dataclass(frozen=True)
class Released:
    """A file of built-in ops and fixed sizes whose masks are pictures.

    Attributes:
        data: The very file where it was that already.
        records: What was changed.
        output: Which of its outputs is the one that was asked for; None where none was.
        as_released: The file before its sizes were fixed, where nothing else was changed; else
            None.
    """

    data: bytes
    records: tuple[RewriteRecord, ...] = ()
    output: int | None = None
    as_released: bytes | None = None


def read_released(
    file: Path,
    output: int | None = None,
    *,
    scores_of: int | None = None,
    size: tuple[int, int] | None = None,
) -> Released:
    """Read a file with known custom ops as built-in ones, sizes fixed, and masks `[1, h, w, c]`.

    Args:
        file: The `.tflite`.
        output: Which output is asked for: the others are left out. None keeps all.
        scores_of: Which output a class is asked of: where that is a map of the best classes, it
            is read as what it was chosen from.
        size: Height and width of the picture, for a file that takes any.

    Raises:
        UsageError: No such file, not a `.tflite`, or one that takes any size without `size`.
        ConversionError: A custom op that is not known; it is named.
    """
    model = read_model(file)
    records: tuple[RewriteRecord, ...] = ()
    # First: what is left out may have ops that nobody here knows.
    if output is not None:
        output, records = keep_output(model, output)
    records += translate_custom_ops(model)
    sized = size_inputs(model, size, file.name)
    as_released = serialize(model) if records or sized else file.read_bytes()
    fixed = fix_sizes(model, file.name)
    masks: tuple[RewriteRecord, ...] = ()
    if scores_of is not None:
        masks += open_class_map(model, scores_of if output is None else output)
    masks += unflatten_masks(model)
    if not (fixed or masks):
        return Released(as_released, records, output)
    before = as_released if fixed and not masks else None
    return Released(serialize(model), (*records, *fixed, *masks), output, before)


def asked_for_class(output: int | None, channel: int | None) -> int | None:
    """Return the output of which `--output-channel` asks for a class; None where it does not."""
    return None if channel is None else output or 0
