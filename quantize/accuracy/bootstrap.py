"""How far a mean over images would move on other images of the same kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DRAWS = 2000
_SEED = 0
_AT_ONCE = 2_000_000  # numbers that are drawn at once, 16 MB
_TAILS = (2.5, 97.5)  # percent


def bootstrap_interval(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 95 % interval of the mean of each column of `[images, columns]`.

    Images are drawn anew with replacement, whole rows at a time, so that columns keep their
    relation (Efron 1979, percentile interval). Same values, same interval.

    Returns:
        `[2, columns]`: the lower and the upper ends.
    """
    rng = np.random.default_rng(_SEED)
    count = len(values)
    step = max(1, _AT_ONCE // (count * values.shape[1]))
    means = [
        values[rng.integers(0, count, (min(step, _DRAWS - start), count))].mean(axis=1)
        for start in range(0, _DRAWS, step)
    ]
    return np.asarray(np.percentile(np.concatenate(means), _TAILS, axis=0))
