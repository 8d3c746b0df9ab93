"""A report of a network whose int8 file leaves a SOFTMAX outside and fails its gate."""

from __future__ import annotations

import pytest

from portrait_tflite.vocabulary import (
    Accuracy,
    Audit,
    Candidate,
    DelegateAudit,
    Drop,
    ImageScore,
    Level,
    Machine,
    ModelRecord,
    ModelSpec,
    OutsideOp,
    Report,
    RewriteRecord,
    TensorInfo,
    Variant,
)


def _variant(file: str) -> Variant:
    softmax = OutsideOp("SOFTMAX", "softmax:0", "head", "not in int8", "use a sigmoid")
    inside = DelegateAudit(None, True, ())
    ops = {"CONV_2D": 2, "SOFTMAX": 1}
    tensor = TensorInfo("image", (1, 8, 8, 3), "int8", 0.1, -128)
    accuracy = Accuracy(
        3, True, 0.9, 0.92, 0.8, 0.01, 0.95, Drop(2.5, 3.0, 1.0),
        (ImageScore("a.png", 0.9, 0.7),), False, "mIoU drops by 3.00 points",
    )  # fmt: skip
    audit = Audit(DelegateAudit(2, False, (softmax,)), inside, inside, ops, "2.3", "CONV_2D v3")
    return Variant(file, 1000, "ab", tensor, tensor, ops, "2.3", audit, accuracy=accuracy)


@pytest.fixture
def report() -> Report:
    candidates = (Candidate("subpixel", 0, 1.25), Candidate("resize_conv", 0, 0.7))
    rewrite = RewriteRecord(
        "transposed_convolution", Level.KERAS, "up", True, 0.0, 0.0, "subpixel", candidates,
        "cheapest for xnnpack",
    )  # fmt: skip
    return Report(
        created="2026-01-01T00:00:00+00:00",
        command="portrait-tflite convert net.keras",
        versions={"tensorflow": "2.21.0"},
        machine=Machine("some CPU", ("avx2",), 2, "Linux"),
        model=ModelRecord("net.keras", "net", 1633, 600_000, ModelSpec(8, 8), "free"),
        rewrites=(rewrite,),
        skipped=(),
        rewritten=None,
        calibration=None,
        variants={
            "int8": _variant("net-int8.failed.tflite"),
            "naive": _variant("net-naive.tflite"),
        },
        max_drop=1.0,
        passed=False,
        scored_on="val",
        benchmarks=(),
        arm_cost=(),
    )
