"""What a reader must know of a figure from the GPU before believing it."""

from __future__ import annotations

from portrait_tflite.vocabulary import GPU_LEAST_IOU, BenchmarkResult, Precision

SOFTWARE = "a software adapter shows function and numerics; its latency is no speed"
ON_NOISE = "compared with the CPU on noise, not on pictures"
SIMULATED = "8-bit values are simulated in float on the GPU: the float16 variant is made for it"
NO_HALVES = (
    "computed in float32, as adapters without 16-bit floats do; a phone's GPU computes in float16 "
    "and differs more from the CPU"
)
FAR_OFF = "the mask differs from the CPU's by more than a GPU's should"

_EIGHT_BIT = {Precision.INT8, Precision.DYNAMIC, Precision.INT16X8}


def gpu_doubts(row: BenchmarkResult, *, on_pictures: bool) -> tuple[str, ...]:
    """Say what holds for a row that ran, timings aside.

    Args:
        row: With `against_cpu`.
        on_pictures: Whether it was held against the CPU on pictures, not on noise.
    """
    assert row.against_cpu
    eight_bit = row.precision in _EIGHT_BIT
    checks = {
        SOFTWARE: row.software,
        SIMULATED: eight_bit,
        NO_HALVES: row.computed_in == Precision.FLOAT32 and not eight_bit,
        FAR_OFF: on_pictures and not eight_bit and row.against_cpu.iou < GPU_LEAST_IOU,
        ON_NOISE: not on_pictures,
    }
    return tuple(text for text, applies in checks.items() if applies)
