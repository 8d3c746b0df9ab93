"""The report itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portrait_tflite.vocabulary.accuracy import Accuracy, CalibrationRecord
from portrait_tflite.vocabulary.auditing import Audit, LintFinding
from portrait_tflite.vocabulary.measuring import ArmCost, BenchmarkResult, Machine
from portrait_tflite.vocabulary.names import SCHEMA, Delegate
from portrait_tflite.vocabulary.network import ModelRecord, ModelSpec, TensorInfo
from portrait_tflite.vocabulary.remedies import FloatLayer, LayerError, RemedyStep
from portrait_tflite.vocabulary.rewriting import (
    FineTuning,
    RewriteRecord,
    RewriteSelection,
    SkippedRewrite,
    WholeNetError,
)


@dataclass(frozen=True)
class Variant:
    """One written `.tflite` and everything known about it.

    `input` takes the picture and `output` is the mask; `state_input` and `state_output` are there
    where a network that remembers (`StateSpec`) has tensors of their own for it, `other_inputs` and
    `other_outputs` where it takes more (`OtherInput`), of which some may be fed back. `spec` is
    there where the file takes a picture otherwise than the network does: as bytes. `half_precision`
    says that ARM CPUs may compute it in float16.
    """

    file: str
    bytes: int
    sha256: str
    input: TensorInfo
    output: TensorInfo
    ops: dict[str, int]
    min_runtime: str
    audit: Audit
    remedies: tuple[RemedyStep, ...] = ()
    float_layers: tuple[FloatLayer, ...] = ()
    accuracy: Accuracy | None = None
    state_input: TensorInfo | None = None
    state_output: TensorInfo | None = None
    lint: tuple[LintFinding, ...] = ()
    spec: ModelSpec | None = None
    half_precision: bool = False
    sensitivity: tuple[LayerError, ...] = ()
    other_inputs: tuple[TensorInfo, ...] = ()
    other_outputs: tuple[TensorInfo, ...] = ()


@dataclass(frozen=True)
class Report:
    """`report.json`; `scored_on` says which pictures accuracy was measured on, `scored_with` on
    whose kernels.
    """

    created: str
    command: str
    versions: dict[str, str]
    machine: Machine
    model: ModelRecord
    rewrites: tuple[RewriteRecord, ...]
    skipped: tuple[SkippedRewrite, ...]
    rewritten: WholeNetError | None
    calibration: CalibrationRecord | None
    variants: dict[str, Variant]
    max_drop: float
    passed: bool
    scored_on: str
    benchmarks: tuple[BenchmarkResult, ...]
    arm_cost: tuple[ArmCost, ...]
    selection: RewriteSelection = field(default_factory=RewriteSelection)
    fine_tuning: tuple[FineTuning, ...] = ()
    scored_with: Delegate = Delegate.XNNPACK
    schema: int = SCHEMA


Json = dict[str, Any]
