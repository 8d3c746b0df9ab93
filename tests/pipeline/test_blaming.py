"""The layers that are named where an int8 file misses its gate."""

from __future__ import annotations

from portrait_tflite.pipeline.blaming import blame
from portrait_tflite.vocabulary import Harm, LayerError


def _error(rank: int, layer: str, points: float) -> LayerError:
    return LayerError(rank, layer, "CONV_2D", layer, rank, 1.0, 0.1, Harm(), Harm(points, 0.1))


def test_a_layer_of_two_ops_is_named_once_by_its_worst() -> None:
    errors = (_error(1, "mask", 12.5), _error(2, "mask", 1.5), _error(3, "up", 1.0))
    assert blame(errors) == "mask (12.50 points), up (1.00 points) harm most"


def test_three_layers_are_named_at_most() -> None:
    assert blame([_error(n, f"conv{n}", 5.0 - n) for n in range(1, 5)]).count("points") == 3


def test_one_layer_harms_alone_and_harmless_ones_are_not_named() -> None:
    assert blame((_error(1, "up", 1.0), _error(2, "down", 0.0))) == "up (1.00 points) harms most"
    assert blame((_error(1, "down", 0.0),)) == "no layer alone harms"
    assert blame(()) == ""
