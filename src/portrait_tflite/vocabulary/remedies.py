"""What was done against a loss of accuracy, and which layers are to blame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemedyStep:
    """A step that quantization took to keep the accuracy, and what it gained and cost.

    Attributes:
        name: Of the remedy.
        gain: What the file loses less against float, in points of mIoU, without labels of
            agreement; negative where it lost more.
        cost: What it costs more by the cost table, in million cycles.
        kept: Whether the file has it; what loses more is undone.
        passed: Whether the gate held with it.
        loss: What the file lost with it, in points.
        mcycles_before: Predicted ARM cost without it, in million cycles.
        mcycles_after: The same with it.
        partitions_before: XNNPACK's without it.
        partitions_after: XNNPACK's with it.
        minutes: What it took.
        detail: What was done, or why nothing was.
        ran: False of what pictures were given for and the gate did not need.
    """

    name: str
    gain: float
    cost: float
    kept: bool
    passed: bool
    loss: float
    mcycles_before: float
    mcycles_after: float
    partitions_before: int
    partitions_after: int
    minutes: float
    detail: str = ""
    ran: bool = True


@dataclass(frozen=True)
class FloatLayer:
    """A layer that an integer variant keeps in float."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Harm:
    """What masks lose against the float network's.

    Attributes:
        points: Of mIoU.
        moved: Mean absolute difference, 0 to 1; tells apart what moves no pixel over the edge.
    """

    points: float = 0.0
    moved: float = 0.0


@dataclass(frozen=True)
class LayerError:
    """One op of an int8 file, and what it loses.

    Attributes:
        rank: 1 for the one that harms the masks most.
        layer: The Keras layer, or the tensor's name where that is not known.
        op: Builtin name.
        tensor: Name of its output.
        index: Its position in the float file.
        steps: Root mean square error of its output in the int8 file, with all that was lost before
            it, in steps of the output's scale; 0 where that is float.
        share: The same as a share of the output's largest magnitude.
        constants: What masks lose where only its weights and factors are int8.
        output: What they lose where only its output is.
    """

    rank: int
    layer: str
    op: str
    tensor: str
    index: int
    steps: float
    share: float
    constants: Harm
    output: Harm

    @property
    def points(self) -> float:
        """What masks lose by it, in points of mIoU."""
        return self.constants.points + self.output.points

    @property
    def moved(self) -> float:
        """What they move by it, 0 to 1."""
        return self.constants.moved + self.output.moved
