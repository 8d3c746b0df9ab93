"""Calibration pictures of an `.npy` or `.npz` file, and what a network takes besides.

uint8 `[n, h, w, 3]` are RGB pictures of any size, and prepared as files are. Floats
`[n, height, width, channels]` are what the network is fed with, as they are. So are the arrays of
its other inputs, which have these inputs' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from portrait_tflite.convert.network_inputs import IMAGES, plain_name
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats
from portrait_tflite.quantize.calibration.picture import Picture, StoredInput, StoredPicture
from portrait_tflite.tensor_values import Array
from portrait_tflite.vocabulary import ModelSpec

NPZ = ".npz"
ARRAYS = frozenset({".npy", NPZ})


def list_arrays(path: Path, spec: ModelSpec) -> list[Picture]:
    """List the pictures of an array file; an `.npy` is read from disk as they are asked for.

    Raises:
        UsageError: It cannot be read, its array is none of pictures, or one for another input is
            missing, unfit, or goes nowhere.
    """
    arrays = _read(path)
    names = {plain_name(name): name for name in arrays}
    if missing := [other.name for other in spec.others if other.name not in names]:
        raise _unfit(path, f"no {missing[0]!r} among {', '.join(arrays)}", spec)
    others = {other.name: arrays.pop(names[other.name]) for other in spec.others}
    array = arrays.pop(_name_in(path, list(arrays), spec))
    if arrays and (spec.others or spec.state):
        raise UsageError(
            f"arrays that are named as the network's inputs are required. Received: {path} with "
            f"{next(iter(arrays))!r}, which no input is called. Rename it, or leave it out."
        )
    rows = _rows(path, others, len(array), spec)
    places = [path.with_name(f"{path.name}#{number}") for number in range(len(array))]
    of_all = zip(places, array, rows, strict=True)
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] == 3:
        return [StoredPicture(place, one, beside) for place, one, beside in of_all]
    wanted = (spec.height, spec.width, spec.depth)
    if np.issubdtype(array.dtype, np.floating) and array.shape[1:] == wanted:
        return [StoredInput(place, one, spec, beside) for place, one, beside in of_all]
    raise UsageError(
        f"uint8 RGB pictures [n, h, w, 3], or floats [n, {wanted[0]}, {wanted[1]}, {wanted[2]}] as "
        f"the network takes them, are required. Received: {path} with {array.dtype} "
        f"{list(array.shape)}."
    )


def array_names(path: Path) -> tuple[str, ...]:
    """Return the names of an `.npz`'s arrays; none of what cannot be read, or is no `.npz`."""
    if path.suffix.lower() != NPZ:
        return ()
    try:
        with ZipFile(path) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, BadZipFile):
        return ()  # whoever reads it says so


def required_arrays(spec: ModelSpec) -> str:
    """Say what an `.npz` must hold for a network that takes more than the picture."""
    others = ", ".join(
        f"{other.name} [{', '.join(map(str, ('n', *other.shape)))}]" for other in spec.others
    )
    return f"an .npz with {IMAGES!r} and a float array for each other input, {others}"


def _rows(
    path: Path, others: Mapping[str, Array], count: int, spec: ModelSpec
) -> list[Mapping[str, Floats]]:
    """Return what each picture's row of the other inputs is, `[1, …]` each.

    Raises:
        UsageError: An array has another shape or length, or not all numbers.
    """
    for other in spec.others:
        found = others[other.name]
        if found.shape[1:] != other.shape or not np.issubdtype(found.dtype, np.floating):
            raise _unfit(path, f"{other.name!r} of {found.dtype} {list(found.shape)}", spec)
        if len(found) != count:
            raise _unfit(path, f"{len(found)} rows of {other.name!r} for {count} pictures", spec)
        if bad := int(np.sum(~np.isfinite(found.reshape(count, -1)).all(axis=1))):
            raise _unfit(path, f"NaN or infinity in {bad} rows of {other.name!r}", spec)
    whole = {name: np.asarray(array, np.float32) for name, array in others.items()}
    return [{name: rows[n : n + 1] for name, rows in whole.items()} for n in range(count)]


def _unfit(path: Path, received: str, spec: ModelSpec) -> UsageError:
    return UsageError(
        f"{required_arrays(spec)}, with as many rows as there are pictures, is required. "
        f"Received: {path} with {received}."
    )


def _read(path: Path) -> dict[str, Array]:
    try:
        # Pickled objects would be run.
        if path.suffix.lower() == ".npy":
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
            return {IMAGES: array if array.ndim else array[None]}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: np.atleast_1d(stored[name]) for name in stored.files}
    # A zip archive that is cut off, or of something else, raises what zipfile likes.
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, BadZipFile) as error:
        raise UsageError(
            f"an .npy or .npz file of pictures is required. Received: {path}, which cannot be read "
            f"({str(error).splitlines()[0][:120]})."
        ) from error


def _name_in(path: Path, names: list[str], spec: ModelSpec) -> str:
    """Name the pictures' array among those that are not another input's."""
    if len(names) == 1:
        return names[0]
    if IMAGES in names:
        return IMAGES
    wanted = f"an .npz with one array, or one called {IMAGES!r},"
    if spec.others:
        wanted = f"{required_arrays(spec)},"
    raise UsageError(
        f"{wanted} is required. Received: {path} with {', '.join(names[:5]) or 'none'}."
    )
