"""Which layers an int8 file's masks suffer from, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portrait_tflite.convert.files.flatbuffer import read_model
from portrait_tflite.convert.files.layer_names import name_layers
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork, quantize_network
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.sensitivity.layer_harms import THOROUGH, LayerHarms, Rounds
from portrait_tflite.quantize.sensitivity.probes import Probes
from portrait_tflite.quantize.sensitivity.tensor_errors import tensor_errors
from portrait_tflite.vocabulary import LayerError, OutputSpec

_OBSERVED = 4  # pictures: every tensor of both files is in memory for each


def sensitivity(
    network: RangedNetwork,
    frames: Sequence[Frames],
    output: OutputSpec | None = None,
    layers: Sequence[str] = (),
    on_share: Callable[[float], None] | None = None,
    rounds: Rounds = THOROUGH,
) -> tuple[LayerError, ...]:
    """Measure what each op of a network loses in int8, the worst first.

    Every op's constants and output are put in int8 alone, all else being float: that needs no
    labels, and shows each culprit where there are several. Only what is behind the op is run.

    Args:
        network: What is quantized; what it keeps in float loses nothing.
        frames: The calibration pictures, of which some are looked at.
        output: Which output is the mask; the first where None.
        layers: Names of the Keras layers where they are known.
        on_share: Called with the share of the work that is done, 0 to 1.
        rounds: On how many pictures which ops are looked at.
    """
    data, quantized = network.unrounded, quantize_network(network)
    probes = Probes(data, quantized)
    errors = tensor_errors(data, quantized, probes.pairs.values(), spread(frames, _OBSERVED))
    harms = LayerHarms(data, probes, frames, output or OutputSpec(), rounds)
    order = harms.measure(on_share or (lambda _: None))
    name_of = name_layers(read_model(data), layers)
    found = []
    for rank, index in enumerate(order, start=1):
        node, _ = probes.pairs[index]
        named, lost = name_of(node.tensor) or node.tensor, errors.get(index, (0.0, 0.0))
        found.append(LayerError(rank, named, node.op, node.tensor, index, *lost, *harms.of(index)))
    return tuple(found)
