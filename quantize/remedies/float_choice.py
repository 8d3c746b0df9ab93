"""Which of the layers to blame stay in float: several at once, then one by one, then without some.

What int8 loses in one layer may hide what it loses in another: two tensors in a row that both
ruin the masks gain nothing one at a time. So the worst are tried together first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portrait_tflite.quantize.remedies.float_trials import Trial
from portrait_tflite.vocabulary import LayerError

_LITTLE = 0.05  # of what masks lose: who gains less is one too many, ...
_PATIENCE = 4  # ... and after so many in a row nobody is left to blame
_NO_WORSE = 0.2  # points that one step may lose, since tensors in a row help only together


def choose_layers(
    trial: Trial,
    worst: Sequence[LayerError],
    enough: float,
    on_share: Callable[[float], None],
) -> list[LayerError]:
    """Choose what stays in float; empty where nothing helps, or nothing fits the budget.

    Args:
        trial: Tries them.
        worst: The candidates, the worst first.
        enough: Points of mIoU lost at which no more are added.
        on_share: Called with the share of the work that is done.
    """
    together = _best_start(trial, worst, enough)
    on_share(0.3)
    chosen = _grown(trial, together, worst, enough, lambda share: on_share(0.3 + 0.5 * share))
    kept = _spared(trial, chosen, enough)
    gained = trial.attempt(kept).harm.points < trial.attempt([]).harm.points
    return kept if gained else []


def _best_start(trial: Trial, worst: Sequence[LayerError], enough: float) -> list[LayerError]:
    """Take the worst 0, 1, 2, 4, 8 or all: the fewest that are enough, or else the best."""
    sizes = [0, *(2**power for power in range(len(worst).bit_length())), len(worst)]
    best, least = list[LayerError](), trial.attempt([]).harm.points
    for size in dict.fromkeys(sizes):
        if least <= enough:
            break
        tried = trial.attempt(worst[:size])
        if trial.affordable(tried) and tried.harm.points < least:
            best, least = list(worst[:size]), tried.harm.points
    return best


def _grown(
    trial: Trial,
    start: Sequence[LayerError],
    worst: Sequence[LayerError],
    enough: float,
    on_share: Callable[[float], None],
) -> list[LayerError]:
    """Add layer after layer, the worst first, while that helps and is affordable."""
    chosen, idle = list(start), 0
    best = trial.attempt(chosen).harm.points
    for done, error in enumerate(worst, start=1):
        if best <= enough or idle == _PATIENCE:
            break
        if trial.names(chosen).issuperset(trial.names([error])):
            continue
        tried = trial.attempt([*chosen, error])
        idle = 0 if tried.harm.points <= (1 - _LITTLE) * best else idle + 1
        if trial.affordable(tried) and tried.harm.points <= best + _NO_WORSE:
            chosen, best = [*chosen, error], tried.harm.points
        on_share(done / len(worst))
    return chosen


def _spared(trial: Trial, chosen: Sequence[LayerError], enough: float) -> list[LayerError]:
    """Leave out again what gains nothing beside the others, the least to blame first."""
    kept = list(chosen)
    most = max((1 + _LITTLE) * trial.attempt(kept).harm.points, enough)
    for error in sorted(chosen, key=lambda error: -error.rank):
        others = [other for other in kept if other is not error]
        # Not even in part: a file may need more partitions for fewer layers in float.
        if others and (tried := trial.attempt(others)).harm.points <= most:
            kept = others if trial.affordable(tried) else kept
    return kept
