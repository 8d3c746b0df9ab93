"""How often XNNPACK's kernels and the built-in ones give another number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate


def count_differences(part: bytes, tried: Sequence[tuple[NDArray[Any], ...]]) -> int:
    """Count the numbers of its outputs that the two kernel sets compute differently.

    Args:
        part: A `.tflite` that XNNPACK loads.
        tried: What it is run on, one array per input each time.
    """
    built_in, xnnpack = (open_model(part, d) for d in (Delegate.CPU, Delegate.XNNPACK))
    return sum(
        int(np.count_nonzero(one != other))
        for arrays in tried
        for one, other in zip(built_in.run(*arrays), xnnpack.run(*arrays), strict=True)
    )
