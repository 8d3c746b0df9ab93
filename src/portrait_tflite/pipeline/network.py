"""What both routes, from Keras and from a finished `.tflite`, come down to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from portrait_tflite.convert.network_inputs import Fed, beside, stack_rows
from portrait_tflite.convert.rewriter import Rewritten
from portrait_tflite.errors import UsageError
from portrait_tflite.images import Floats, prepare, read_usable
from portrait_tflite.quantize.accuracy.predictors import (
    Predictor,
    renormalized,
    tflite_outputs,
)
from portrait_tflite.quantize.accuracy.remembering import picture_predictor
from portrait_tflite.quantize.accuracy.validation import Sample
from portrait_tflite.quantize.built import Built
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.previous_masks import Feeder, Frames
from portrait_tflite.quantize.remedies.remedy import Remedy
from portrait_tflite.vocabulary import (
    Delegate,
    FineTuning,
    ModelSpec,
    RewriteRecord,
    SkippedRewrite,
    WholeNetError,
)

# Pictures that approximate rewrites are fitted on, and mending is checked on.
FITTED_ON = 16
MENDED_ON = 3


@dataclass(frozen=True)
class Baseline:
    """A file that is not ours, and its spec, which need not be the network's."""

    data: bytes
    spec: ModelSpec


@dataclass(frozen=True)
class Network:
    """What both routes, Keras and `.tflite`, come down to.

    Attributes:
        files: Finished files by variant.
        reference: The float file that accuracy is measured against.
        baselines: What ours are compared with, by variant.
        named: Names of the layers as they came, with what each is.
        rewritings: What rewriting the Keras graph did, by the delegate it was for.
        built: What mending the files did, by variant.
        fine_tuning: What fine-tuning approximate forms came to.
        scored_with: Who runs the files for scoring.
        finetuning: The remedy that trains for int8, where there are pictures for it.
        naive_cost: Says what plain `TFLiteConverter`'s int8 file costs, in cycles by the table of
            ARM; None where there is no Keras model.
    """

    name: str
    spec: ModelSpec
    parameters: int
    licence: str
    reference: bytes
    files: dict[str, bytes]
    baselines: Mapping[str, Baseline]
    layers: tuple[str, ...] = ()
    plans: dict[Delegate, list[dict[str, str]]] = field(default_factory=dict)
    records: tuple[RewriteRecord, ...] = ()
    skipped: tuple[SkippedRewrite, ...] = ()
    rewritten: WholeNetError | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    rewritings: Mapping[Delegate, Rewritten] = field(default_factory=dict)
    built: Mapping[str, Built] = field(default_factory=dict)
    fine_tuning: tuple[FineTuning, ...] = ()
    scored_with: Delegate = Delegate.XNNPACK
    finetuning: Remedy | None = None
    naive_cost: Callable[[], float] | None = None

    @property
    def everything(self) -> dict[str, bytes]:
        """All files by variant, the baselines last."""
        return {**self.files, **{name: one.data for name, one in self.baselines.items()}}

    def own_spec(self, variant: str) -> ModelSpec | None:
        """Return what a file takes, where that is not what the network does."""
        return self.built[variant].spec if variant in self.built else None

    def predictor(self, variant: str) -> Predictor:
        """Return the mask of a finished file, from what the network is fed with."""
        outputs_of = tflite_outputs(self.files[variant], self.scored_with, spec=self.spec)
        if own := self.own_spec(variant):
            outputs_of = renormalized(outputs_of, self.spec, own)
        return picture_predictor(outputs_of, self.spec)


def probe_frames(pictures: Pictures, feeder: Feeder) -> Frames:
    """A few network inputs `[n, h, w, c]`, one array for each, to verify rewrites on."""
    if pictures.calibration is not None:
        return first_frames(pictures.calibration.frames, FITTED_ON)
    fed = prepare_samples(pictures.samples[:FITTED_ON], feeder.spec)
    if fed is None:
        raise UsageError("pictures that can be read are required. Received: none.")
    return feeder.frames(fed)


def prepare_samples(samples: Sequence[Sample], spec: ModelSpec) -> Floats | Fed | None:
    """Prepare what is scored on for the network; None where no picture can be read."""
    known = {sample.image: sample.others for sample in samples}
    read = [(prepare(image, spec), known[path]) for path, image in read_usable(list(known))]
    if not read:
        return None
    return beside(np.concatenate([one for one, _ in read]), stack_rows(rows for _, rows in read))


def first_frames(frames: Frames, count: int) -> Frames:
    """The first of several frames."""
    return tuple(array[:count] for array in frames)


def single_frames(frames: Frames, count: int) -> list[Frames]:
    """The first of several frames, one by one."""
    return [tuple(array[i : i + 1] for array in frames) for i in range(min(count, len(frames[0])))]
