"""Fine-tuning as a remedy: the network trained with int8 played, exported and quantized anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.finetuning.lessons import Lessons, make_lessons
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.finetuning.run import FineTuned
from portrait_tflite.convert.graph import Graph
from portrait_tflite.images import Bytes, normalize
from portrait_tflite.quantize.built import Trainable
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Frames
from portrait_tflite.quantize.remedies.fake_quant_tuning import fine_tune_for_int8
from portrait_tflite.quantize.remedies.output_error import spread
from portrait_tflite.quantize.remedies.remedy import OnShare, Treated
from portrait_tflite.vocabulary import FEW_UNLABELLED, ModelSpec, Precision

_PLAYED_OVER = 32  # calibration pictures; the finished file is ranged over all
# Shares of the work: the teacher's masks, then training, then measuring ranges.
_ASKING = 0.08
_TRAINED = 0.95


@dataclass(frozen=True, eq=False)
class FineTuningForInt8:
    """Trains the Keras graph until its masks in int8 are the float network's, without labels.

    Given:  the graph whose int8 file loses too much, and unlabelled pictures
    Result: the same graph with other weights, exported, ranged and quantized anew; what is to be
            kept of the float network is still its masks (`RangedNetwork.teacher`)

    Attributes:
        trainable: What the int8 file was made of; it stays as it is.
        taught: The network as it came, whose masks are learned.
        spec: What both take.
        takes_bytes: Whether the file does, instead.
        pictures: The unlabelled ones, bytes `[n, h, w, c]`.
        options: How long, how fast, by which seed.
        folder: Where the checkpoint is while it runs.
    """

    trainable: Trainable
    taught: Graph
    spec: ModelSpec
    takes_bytes: bool
    pictures: Bytes
    options: FineTuningOptions
    folder: Path
    name: str = "finetuning"

    def apply(
        self, network: RangedNetwork, frames: Sequence[Frames], on_share: OnShare
    ) -> Treated | None:
        """Train and measure; see `Remedy`. A run that was cut off goes on where it was.

        Raises:
            UsageError: The pictures are all the same, or `folder` cannot be written.
        """
        lessons = make_lessons(
            self.pictures,
            self.spec,
            self.taught,
            self.options,
            lambda done, total: on_share(_ASKING * done / total),
        )
        shown = [frame[0] for frame in spread(frames, _PLAYED_OVER)]
        tuned = fine_tune_for_int8(
            self.trainable.graph,
            [normalize(picture, self.spec) for picture in shown] if self.takes_bytes else shown,
            lessons,
            self.options,
            self.folder,
            lambda done, total: on_share(_ASKING + (_TRAINED - _ASKING) * done / total),
        )
        data = Export(self.trainable.exported(tuned.graph)).float_model(Precision.FLOAT32)
        # The picture's range is the spec's, whatever the pictures hold.
        picture = network.ranges[indices(read_model(network.data).subgraphs[0].inputs)[0]]
        measured = measured_network(
            data,
            frames,
            picture,
            lambda done: on_share(_TRAINED + (1 - _TRAINED) * done / len(frames)),
        )
        treated = replace(measured, teacher=network.reference)
        return Treated(treated, self._detail(tuned, lessons), (), afresh=True)

    def _detail(self, tuned: FineTuned, lessons: tuple[Lessons, Lessons]) -> str:
        held = len(lessons[1])
        count = len(self.pictures)
        said = (
            f"{tuned.rounds} round{'s' * (tuned.rounds != 1)} on {count - held} pictures, {held} "
            f"held out: IoU with float's masks there {tuned.before:.4f} → {tuned.after:.4f}"
        )
        few = f"; fewer than {FEW_UNLABELLED} pictures are learned by heart: give it more"
        return said + (few if count < FEW_UNLABELLED else "")
