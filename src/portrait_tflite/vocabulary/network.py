"""What a network takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from portrait_tflite.vocabulary.names import Activation, Channels, Fit, Interpolation


@dataclass(frozen=True)
class OutputSpec:
    """Which of the network's outputs is the person mask.

    Attributes:
        index: Which output of the network.
        channel: Which channel of it is the person; 0 for a one-channel mask.
        activation: What is appended to logits; `none` where the output is a probability.
    """

    index: int = 0
    channel: int = 0
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class StateSpec:
    """What a network for video remembers: its last mask, fed back beside the next picture.

    Attributes:
        input: Which input of the network takes it.
        channel: Which channel of the picture's input takes it; None where it has its own input.
        initial: What the first picture is fed with.
        from_output: Which output of the network the next picture is fed with.
    """

    input: int
    channel: int | None = None
    initial: float = 0.0
    from_output: int = 0


@dataclass(frozen=True)
class OtherInput:
    """What a network takes besides the picture and its last mask, in real numbers.

    A trimap, a picture of the background, a threshold, features of the last picture.

    Attributes:
        input: Which input of the network takes it.
        name: What the input is called; calibration gives an array of this name.
        shape: Of one row, without the batch.
    """

    input: int
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelSpec:
    """How a picture becomes the network's input, and its output a mask.

    A byte `v` of a picture reaches the network as `(lo + v / 255 · (hi − lo) − mean) / std`.

    Attributes:
        height: Input height in pixels.
        width: Input width in pixels.
        channels: Colour order of the input.
        input_range: `(lo, hi)`: what bytes 0 and 255 become before mean and std.
        mean: Subtracted per channel, in units of `input_range`; empty for none.
        std: Divided by per channel, in units of `input_range`; empty for none.
        fit: How a picture of another shape meets the input's rectangle.
        interpolation: How it is resized.
        output: Which output is the mask.
        state: What it remembers from picture to picture; None for nothing.
        others: What else it takes.
    """

    height: int
    width: int
    channels: Channels = Channels.RGB
    input_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fit: Fit = Fit.STRETCH
    interpolation: Interpolation = Interpolation.BILINEAR
    output: OutputSpec = field(default_factory=OutputSpec)
    state: StateSpec | None = None
    others: tuple[OtherInput, ...] = ()

    @property
    def depth(self) -> int:
        """Channels of the picture's input: its colours, and the state where it lies beside them."""
        return self.channels.depth + (self.state is not None and self.state.channel is not None)

    @property
    def picture_input(self) -> int:
        """Which input of the network takes the picture: the first that takes nothing else."""
        taken = {other.input for other in self.others}
        if self.state is not None and self.state.channel is None:
            taken.add(self.state.input)
        return min(set(range(len(taken) + 1)) - taken)


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a `.tflite`; `scale` is 0.0 where it is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class ModelRecord:
    """The model that was converted; `licence` is of its weights, "" where it is not known."""

    source: str
    name: str
    parameters: int
    macs: int
    spec: ModelSpec
    licence: str = ""
