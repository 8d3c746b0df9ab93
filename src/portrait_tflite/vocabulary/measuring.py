"""What was measured, and on what machine."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_tflite.vocabulary.names import Delegate, Fault


@dataclass(frozen=True)
class LatencyMs:
    """Distribution of single inferences in ms; `mad` is the median absolute deviation."""

    median: float
    mean: float
    p90: float
    p95: float
    min: float
    mad: float


@dataclass(frozen=True)
class OpTime:
    """Time of one op in the network; `delegate` is the one that it ran in.

    `layer` is the Keras layer where it is known, else the tensor's name.
    """

    op: str
    layer: str
    delegate: Delegate
    median_ms: float
    share: float


@dataclass(frozen=True)
class MaskDifference:
    """How far one delegate's mask is from the built-in CPU kernels'."""

    max_abs: float
    iou: float


@dataclass(frozen=True)
class Thermal:
    """A phone's thermal status around a cell, as Android names it; None where it does not say."""

    before: str | None
    after: str | None


@dataclass(frozen=True)
class BatteryC:
    """Temperature of a phone's battery around a cell, in °C; None where it does not say."""

    before: float | None
    after: float | None


@dataclass(frozen=True)
class FrameMs:
    """Stages of a frame at the camera's resolution; None where there was no such stage."""

    camera: LatencyMs | None
    preprocess: LatencyMs | None
    inference: LatencyMs | None
    effect: LatencyMs | None


@dataclass(frozen=True)
class BenchmarkResult:
    """One cell: a variant on a delegate. `unavailable` holds the reason where nothing was run, and
    `fault` whose it is.

    `adapter` names the GPU, "" where this machine has none; `software` says that it is none: its
    latency is no speed then.
    `fully_accelerated` says that no op fell back to the CPU; `computed_in` is the float type that
    the GPU worked in, whatever the file's `precision`. `peak_share` is the net's MACs per
    second over the most that XNNPACK was measured to do on this CPU in that precision, 0 to 1;
    `peak_gmac_s` is that most, in 10⁹ MACs per second. `samples_ms` holds the single inferences,
    one series per process: what `compare` resamples. The last three are known of phones alone.
    """

    variant: str
    device: str
    delegate: Delegate
    precision: str
    threads: int
    accelerator: str = ""
    adapter: str = ""
    software: bool = False
    partitions: int | None = None
    runs: int = 0
    processes: int = 0
    warmup: int = 0
    latency_ms: LatencyMs | None = None
    init_ms: float | None = None
    first_ms: float | None = None
    peak_rss_mb: float | None = None
    stable: bool = False
    warnings: tuple[str, ...] = ()
    unavailable: str = ""
    fully_accelerated: bool | None = None
    against_cpu: MaskDifference | None = None
    peak_share: float | None = None
    ops: tuple[OpTime, ...] = ()
    samples_ms: tuple[tuple[float, ...], ...] = ()
    computed_in: str = ""
    fault: Fault | None = None
    peak_gmac_s: float | None = None
    thermal: Thermal | None = None
    battery_c: BatteryC | None = None
    frame_ms: FrameMs | None = None


@dataclass(frozen=True)
class ArmOpCost:
    """Share of one op in a net's ARM cost; `layer` as in `OpTime`."""

    op: str
    layer: str
    instructions: int
    cycles: float


@dataclass(frozen=True)
class ArmCost:
    """Executed arm64 work of one inference; a bound for comparing, never milliseconds.

    `cycles` is the time that the core's pipes need at least, without caches and latencies; `bound`
    the same by the number of instructions, vector ops, loads and stores alone. The `ops` were each
    run alone: their sum is a little more than the whole, by one call of the runtime each. `fault`
    says whose it is where it is `unavailable`.
    """

    variant: str
    cpu: str
    delegate: Delegate = Delegate.XNNPACK
    instructions: int | None = None
    cycles: float | None = None
    vector: int | None = None
    dot: int | None = None
    load_store: int | None = None
    partitions: int | None = None
    unavailable: str = ""
    ops: tuple[ArmOpCost, ...] = ()
    bound: float | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Machine:
    """Where the figures come from; `isa` names the vector extensions that kernels choose by."""

    cpu: str
    isa: tuple[str, ...]
    cores: int
    os: str
