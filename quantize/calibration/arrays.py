"""Calibration pictures of an `.npy` or `.npz` file.

uint8 `[n, h, w, 3]` are RGB pictures of any size, and prepared as files are. Floats
`[n, height, width, channels]` are what the network is fed with, as they are.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from portrait_tflite.errors import UsageError
from portrait_tflite.quantize.calibration.picture import Picture, StoredInput, StoredPicture
from portrait_tflite.tensor_values import Array
from portrait_tflite.vocabulary import ModelSpec

ARRAYS = frozenset({".npy", ".npz"})
_NAMED = "images"  # which array of several


def list_arrays(path: Path, spec: ModelSpec) -> list[Picture]:
    """List the pictures of an array file; an `.npy` is read from disk as they are asked for.

    Raises:
        UsageError: It cannot be read, or its array is none of pictures.
    """
    array = _read(path)
    places = [path.with_name(f"{path.name}#{number}") for number in range(len(array))]
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] == 3:
        return [StoredPicture(place, one) for place, one in zip(places, array, strict=True)]
    wanted = (spec.height, spec.width, spec.depth)
    if np.issubdtype(array.dtype, np.floating) and array.shape[1:] == wanted:
        return [StoredInput(place, one, spec) for place, one in zip(places, array, strict=True)]
    raise UsageError(
        f"uint8 RGB pictures [n, h, w, 3], or floats [n, {wanted[0]}, {wanted[1]}, {wanted[2]}] as "
        f"the network takes them, are required. Received: {path} with {array.dtype} "
        f"{list(array.shape)}."
    )


def _read(path: Path) -> Array:
    try:
        # Pickled objects would be run.
        if path.suffix.lower() == ".npy":
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            return array if array.ndim else array[None]
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return np.asarray(stored[_name_in(path, stored.files)])
    # A zip archive that is cut off, or of something else, raises what zipfile likes.
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, BadZipFile) as error:
        raise UsageError(
            f"an .npy or .npz file of pictures is required. Received: {path}, which cannot be read "
            f"({str(error).splitlines()[0][:120]})."
        ) from error


def _name_in(path: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    if _NAMED in names:
        return _NAMED
    raise UsageError(
        f"an .npz with one array, or one called {_NAMED!r}, is required. Received: {path} with "
        f"{', '.join(names[:5]) or 'none'}."
    )
