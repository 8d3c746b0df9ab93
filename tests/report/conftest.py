"""Reports to lay out: a small one that fails its gate, and one with something in every section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from portrait_tflite.report.strips import Strip
from portrait_tflite.vocabulary import (
    Accuracy,
    ArmCost,
    ArmOpCost,
    Audit,
    BenchmarkResult,
    CalibrationRecord,
    Candidate,
    Check,
    Delegate,
    DelegateAudit,
    Drop,
    DropInterval,
    FloatLayer,
    ImageDetail,
    ImageScore,
    Interval,
    LatencyMs,
    Level,
    Machine,
    MaskDifference,
    ModelRecord,
    ModelSpec,
    OpTime,
    OutsideOp,
    RemedyStep,
    Report,
    RewriteRecord,
    SkippedRewrite,
    TensorInfo,
    Variant,
    WholeNetError,
)

_SOFTMAX = OutsideOp("SOFTMAX", "softmax:0", "head", "not in int8", "use a sigmoid")
_INSIDE = DelegateAudit(None, True, ())
_ONE = DelegateAudit(1, True, ())
_TENSOR = TensorInfo("image", (1, 8, 8, 3), "int8", 0.1, -128)
_OPS = {"CONV_2D": 2, "SOFTMAX": 1}
_WORST = (ImageScore("a.png", 0.9, 0.7), ImageScore("b.png", 0.95, 0.9))
_DETAIL = ImageDetail(
    "a.png", 0.9, 0.7, 0.92, 0.75, 0.8, 0.6, 0.7, 0.5, 0.01, 0.5, 0.8, 0.4, 0.3,
    label_mae_float=0.02, label_mae=0.03, label_sad_float=1.3, label_sad=1.9,
)  # fmt: skip
_FAILED = Accuracy(
    3, True, 0.9, 0.92, 0.8, 0.01, 0.95, Drop(2.5, 3.0, 1.0), _WORST[:1], False,
    "mIoU drops by 3.00 points",
)  # fmt: skip
_PASSED = Accuracy(
    264, True, 0.96, 0.945, 0.82, 0.004, 0.99,
    Drop(0.05, 0.07, -0.1, 0.2, 0.4, 0.262, 0.01, 0.007), _WORST, True,
    median=(ImageScore("m.png", 0.97, 0.969),),
    boundary_f_fine=0.79, sad=0.262, label_mae=0.02, foreground_drift=-0.3,
    interval=DropInterval(
        Interval(0.0, 0.1), Interval(0.02, 0.11), Interval(-0.2, 0.0), Interval(0.1, 0.3),
        Interval(0.3, 0.5), Interval(0.2, 0.33), Interval(-0.01, 0.03), Interval(-0.007, 0.02),
    ),
    images_scored=(_DETAIL,),
)  # fmt: skip

_CHECKS = (
    Check("finite", True, "fail", "0 hold NaN"),
    Check("dark and bright", False, "warn", "12% of the range is used"),
)


def _variant(file: str, xnnpack: DelegateAudit, accuracy: Accuracy, size: int = 1000) -> Variant:
    audit = Audit(xnnpack, _INSIDE, _INSIDE, _OPS, "2.3", "CONV_2D v3")
    return Variant(file, size, "ab", _TENSOR, _TENSOR, _OPS, "2.3", audit, accuracy=accuracy)


def _rewrite() -> RewriteRecord:
    candidates = (Candidate("subpixel", 0, 1.25), Candidate("resize_conv", 2, 0.7))
    return RewriteRecord(
        "transposed_convolution", Level.KERAS, "up", True, 0.0, 0.0, "subpixel", candidates,
        "cheapest for xnnpack",
    )  # fmt: skip


@pytest.fixture
def report() -> Report:
    """A network whose int8 file leaves a SOFTMAX outside and fails its gate."""
    outside = DelegateAudit(2, False, (_SOFTMAX,))
    return Report(
        created="2026-01-01T00:00:00+00:00",
        command="portrait-tflite convert net.keras",
        versions={"tensorflow": "2.21.0"},
        machine=Machine("some CPU", ("avx2",), 2, "Linux"),
        model=ModelRecord("net.keras", "net", 1633, 600_000, ModelSpec(8, 8), "free"),
        rewrites=(_rewrite(),),
        skipped=(),
        rewritten=None,
        calibration=None,
        variants={
            "int8": _variant("net-int8.failed.tflite", outside, _FAILED),
            "naive": _variant("net-naive.tflite", outside, _FAILED),
        },
        max_drop=1.0,
        passed=False,
        scored_on="val",
        benchmarks=(),
        arm_cost=(),
    )


@pytest.fixture
def full_report(report: Report) -> Report:
    """A network that passes, with every kind of figure a report can hold."""
    fold = RewriteRecord("fold", Level.KERAS, "bn", True, 0.0, 2e-7, "folded", (), "into conv")
    relu = replace(fold, rewrite="relu_to_quantize", level=Level.FLATBUFFER, layer="relu_1")
    int8 = replace(
        _variant("net-int8.tflite", _ONE, _PASSED, 250_000),
        remedies=(
            RemedyStep(
                "ranges", -0.1, 0.0, False, False, 1.7, 34.0, 34.0, 1, 1, 0.5, "percentile 99.99"
            ),
            RemedyStep(
                "equalization", 0.9, 0.1, True, True, 0.7, 34.0, 34.1, 1, 1, 0.25, "11 pairs"
            ),
        ),
        float_layers=(FloatLayer("head", "it loses 0.3 points in int8"),),
    )
    outside = DelegateAudit(6, False, (_SOFTMAX, _SOFTMAX))
    return replace(
        report,
        rewrites=(*report.rewrites, fold, relu),
        skipped=(SkippedRewrite("nearest_upsampling", "up_2", "kept: cheapest for gpu"),),
        rewritten=WholeNetError(1e-6, 2.5e-6, 4),
        calibration=CalibrationRecord("photos", 200, "beef", _CHECKS),
        variants={
            "float32": _variant("net-float32.tflite", _ONE, _PASSED, 1_000_000),
            "float16": _variant("net-float16.tflite", _ONE, _PASSED, 500_000),
            "int8": int8,
            "naive_batch1": _variant("net-naive_batch1.tflite", outside, _PASSED, 260_000),
        },
        passed=True,
        benchmarks=_benchmarks(),
        arm_cost=_arm_cost(),
    )


def _benchmarks() -> tuple[BenchmarkResult, ...]:
    latency = LatencyMs(1.5, 1.6, 2.0, 2.25, 1.25, 0.1)
    ops = (
        OpTime("CONV_2D", "conv_1", Delegate.XNNPACK, 1.0, 0.75),
        OpTime("SOFTMAX", "head", Delegate.CPU, 0.333, 0.25),
    )
    timed = BenchmarkResult(
        "int8", "host", Delegate.XNNPACK, "int8", 1, "cpu", partitions=1, runs=50, processes=5,
        latency_ms=latency, init_ms=3.5, first_ms=2.5, peak_rss_mb=40.0, stable=True,
        peak_share=0.31, ops=ops,
    )  # fmt: skip
    software = replace(
        timed, variant="float16", delegate=Delegate.GPU, precision="float16", accelerator="gpu",
        adapter="SwiftShader", software=True, partitions=None, fully_accelerated=True, ops=(),
        latency_ms=replace(latency, median=77.25), against_cpu=MaskDifference(0.012, 0.9991),
        peak_share=None,
    )  # fmt: skip
    gap = replace(
        software, variant="int8", latency_ms=None, adapter="", unavailable="no Vulkan adapter",
        software=False,
    )  # fmt: skip
    doubtful = replace(timed, variant="float32", stable=False, warnings=("the clock is coarse",))
    return (timed, software, gap, doubtful)


def _arm_cost() -> tuple[ArmCost, ...]:
    def counted(variant: str, cycles: float, partitions: int = 1) -> ArmCost:
        return ArmCost(
            variant, "cortex-a76", Delegate.XNNPACK, int(3 * cycles), cycles, int(cycles), 7,
            int(cycles / 2), partitions,
        )  # fmt: skip

    ops = (ArmOpCost("CONV_2D", "conv_1", 9_000_000, 3e6), ArmOpCost("ADD", "add", 100, 1e6))
    return (
        counted("float32", 94.4e6),
        replace(counted("int8", 34.7e6), ops=ops),
        counted("naive_batch1", 45.2e6, 6),
        ArmCost("float16", "", unavailable="it crashed the runtime"),
    )


@pytest.fixture
def make_strip() -> Callable[..., Strip]:
    """Give a builder of strips: a person whose left edge the variant loses, and gains a spot."""

    def build(
        image: str = "a.png", height: int = 40, width: int = 32, kind: str = "worst"
    ) -> Strip:
        rng = np.random.default_rng(1)
        picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        before = np.zeros((height, width), np.float32)
        before[10:30, 8:24] = 0.9
        after = before.copy()
        after[10:30, 8:10] = 0.1
        after[0:2, 0:2] = 1.0
        return Strip(image, kind, "int8", picture, before, after, 0.93, 0.81)  # type: ignore[arg-type]

    return build
