"""The words that all stages share: enums and frozen records. Imports nothing of ours.

Field names are those of `report.json` (schema 1); `dataclasses.asdict` of a record is its JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = 1
REPORT_FILE = "report.json"  # what `convert` writes
RESULT_FILE = "benchmark.json"  # what `benchmark` writes
HOST = "host"  # device: this machine
ARM_MODEL = "arm64-model"  # device: the emulated arm64 machine
GPU_LEAST_IOU = 0.995  # of a float mask on a GPU with the CPU's: what model.json promises
FEW_UNLABELLED = 50  # pictures for fine-tuning; fewer are learned by heart
DRAWN = "drawn portraits"  # what `Report.scored_on` says where the user gave no pictures


class Precision(StrEnum):
    """The variants that `convert` writes; the value is part of the file name."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    DYNAMIC = "dynamic"
    INT16X8 = "int16x8"


class IoType(StrEnum):
    """Element type of an integer variant's input and output."""

    INT8 = "int8"
    UINT8 = "uint8"
    FLOAT32 = "float32"


class Channels(StrEnum):
    """Colour order of the network's input."""

    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"

    @property
    def depth(self) -> int:
        """Number of channels, 1 or 3."""
        return 1 if self is Channels.GRAY else 3


class Fit(StrEnum):
    """How a picture of any shape meets the network's rectangle."""

    STRETCH = "stretch"  # aspect ratio given up, everything seen
    LETTERBOX = "letterbox"  # aspect ratio kept, black bars
    CROP = "crop"  # aspect ratio kept, the middle seen


class Interpolation(StrEnum):
    """Resampling of pictures on their way to the network."""

    BILINEAR = "bilinear"
    NEAREST = "nearest"
    AREA = "area"


class Activation(StrEnum):
    """Activation appended to a network that ends in logits."""

    NONE = "none"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


class Delegate(StrEnum):
    """Who executes the graph."""

    CPU = "cpu"  # TensorFlow Lite's built-in kernels
    XNNPACK = "xnnpack"
    GPU = "gpu"


class Fault(StrEnum):
    """Whose fault it is that a cell has no figure, where that is known."""

    FILE = "file"  # damaged, or the runtime does not run it
    MACHINE = "machine"  # it lacks what is needed, or ended the process


class Target(StrEnum):
    """What rewriting and audit aim at."""

    CPU = "cpu"
    GPU = "gpu"
    BOTH = "both"

    @property
    def cpu(self) -> bool:
        return self is not Target.GPU

    @property
    def gpu(self) -> bool:
        return self is not Target.CPU


class RewriteMode(StrEnum):
    """Which exact forms the rewrites of the Keras graph may take."""

    AUTO = "auto"  # the cheapest for the target
    EXACT = "exact"  # every one that applies, whatever it costs
    NONE = "none"


class Approximation(StrEnum):
    """Families of forms that are other functions: taken only where they are asked for by name."""

    RESIZE = "resize"  # transposed convolution → fitted resize + convolution
    STRIDED = "strided"  # convolution + max-pooling → fitted convolution with strides
    RELU6 = "relu6"  # hard-swish, swish, GELU → ReLU6
    CHANNELS8 = "channels8"  # channel counts → multiples of 8


class RemedyName(StrEnum):
    """What may be done for an int8 file that misses the gate, cheapest first."""

    RANGES = "ranges"  # another choice of what each tensor is to hold
    EQUALIZATION = "equalization"  # channels of like sizes, exact in float
    BIAS_ABSORPTION = "bias_absorption"  # what a channel never falls below, exact in float
    ROUNDING = "rounding"  # of weights, together
    BIAS_CORRECTION = "bias_correction"  # the means that quantizing moves
    SELECTIVE_FLOAT = "selective_float"  # the worst layers stay in float


class Level(StrEnum):
    """Where a rewrite takes place."""

    KERAS = "keras"
    FLATBUFFER = "flatbuffer"


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

    @property
    def depth(self) -> int:
        """Channels of the picture's input: its colours, and the state where it lies beside them."""
        return self.channels.depth + (self.state is not None and self.state.channel is not None)


@dataclass(frozen=True)
class Candidate:
    """One form a rewrite could have taken, with what it costs the target.

    Attributes:
        form: Name of the form, e.g. `transpose_conv`.
        outside: Ops it leaves outside the target's delegate.
        cost: Estimated cost in million cycles of the target's cost model.
        host_ms: What it took on this host, where `--tune` timed it.
    """

    form: str
    outside: int
    cost: float
    host_ms: float | None = None


@dataclass(frozen=True)
class RewriteRecord:
    """One rewrite that was applied, and how exact it is.

    Attributes:
        max_abs_error: Largest difference on the layer's own output.
        max_rel_error: The same, relative to the tensor's largest magnitude.
        chosen: Name of the chosen form.
    """

    rewrite: str
    level: Level
    layer: str
    exact: bool
    max_abs_error: float
    max_rel_error: float
    chosen: str
    candidates: tuple[Candidate, ...]
    reason: str


@dataclass(frozen=True)
class SkippedRewrite:
    """A rewrite that matched and was not applied; `candidates` where there was a choice."""

    rewrite: str
    layer: str
    reason: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class RewriteSelection:
    """Which rewrites might be applied, and how their forms were chosen.

    Attributes:
        mode: Which exact forms they might take.
        approximations: Families of forms that are other functions, asked for by name.
        only: Names of the rewrites that were run alone; empty where all were.
        dropped: Names of the rewrites that were left out.
        own: Names of the user's own rewrites.
        tuned: Whether timing on this host chose among exact forms.
    """

    mode: RewriteMode = RewriteMode.AUTO
    approximations: tuple[Approximation, ...] = ()
    only: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    tuned: bool = False


@dataclass(frozen=True)
class RoundingError:
    """How far float32 networks are from the original in float64, relative to its largest value.

    Attributes:
        original: The network as it came.
        rewritten: The same after all rewrites.
    """

    original: float
    rewritten: float


@dataclass(frozen=True)
class WholeNetError:
    """Difference between the network before and after all rewrites, on images.

    Attributes:
        rounding: What of it is rounding; None below 1e-5 of the largest value, and where float64
            does not run.
    """

    max_abs_error: float
    max_rel_error: float
    images: int
    rounding: RoundingError | None = None


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning of approximate forms came to.

    Agreement is the mean IoU with the masks of the network as it came, on pictures held out.

    Attributes:
        source: Folder of unlabelled pictures.
        delegates: Whose plans have these weights.
        images: Pictures that were trained on.
        held_out: Pictures that agreement was scored on.
        rounds: Rounds that were made; the best one was kept.
        agreement_before: As fitted.
        agreement_after: As it went into the files.
        rewritten_before: The whole net's difference as fitted; `Report.rewritten` is after it.
    """

    source: str
    delegates: tuple[Delegate, ...]
    images: int
    held_out: int
    rounds: int
    agreement_before: float
    agreement_after: float
    rewritten_before: WholeNetError


@dataclass(frozen=True)
class Check:
    """One named check of the calibration set."""

    name: str
    passed: bool
    level: str  # "warn" | "fail"
    detail: str


@dataclass(frozen=True)
class CalibrationRecord:
    """The calibration set as used; `sha256` is over the prepared arrays, in order."""

    source: str
    images: int
    sha256: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a `.tflite`; `scale` is 0.0 where it is not quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class OutsideOp:
    """An op that a delegate leaves to the built-in kernels.

    Attributes:
        op: Builtin name, e.g. `SOFTMAX`.
        tensor: Name of its first output.
        layer: The Keras layer it came from, or "".
        reason: The rule that it breaks.
        fix: What would help.
        rule: The function of the delegate that the rule was read from, or "".
        index: Its position in the graph.
        rewrite: The rewrite of finished files that brings it inside, or "".
        worth_mcycles: What the fix saves by the cost table, in million cycles; negative where it
            costs. None where the table does not hold it, or was not asked.
        partitions_saved: How many partitions less there are once it is inside, after the ops
            before it that can be mended; None where that was not asked. They add up.
    """

    op: str
    tensor: str
    layer: str
    reason: str
    fix: str
    rule: str = ""
    index: int = -1
    rewrite: str = ""
    worth_mcycles: float | None = None
    partitions_saved: int | None = None


@dataclass(frozen=True)
class DelegateAudit:
    """What one delegate makes of a file.

    Attributes:
        partitions: Delegated partitions; None where that was not run, only predicted.
        complete: Whether every op is inside.
        outside: The ops that stay outside.
        finding: Where the runtime did not do what the delegate's rules predict; "" where it did.
        predicted: Partitions by the delegate's rules; None where it has none.
    """

    partitions: int | None
    complete: bool
    outside: tuple[OutsideOp, ...]
    finding: str = ""
    predicted: int | None = None


@dataclass(frozen=True)
class Audit:
    """What each delegate makes of a file, and the oldest runtime that loads it."""

    xnnpack: DelegateAudit
    gpu: DelegateAudit
    cpu: DelegateAudit
    ops: dict[str, int]
    min_runtime: str
    min_runtime_op: str


@dataclass(frozen=True)
class LintChange:
    """One way to follow a lint rule, and what it saves by the cost table; negative: what it costs.

    Attributes:
        change: In words, e.g. `16 channels`.
        saves_mcycles: In million cycles; None where the table does not hold it.
    """

    change: str
    saves_mcycles: float | None


@dataclass(frozen=True)
class LintFinding:
    """What the guides of mobile nets would have otherwise in a file.

    Attributes:
        rule: Name of the rule, e.g. `odd_channels`.
        places: The layers that it concerns, or tensors where the layer is not known.
        finding: What is there.
        advice: What to do about it.
        source: The guide that says so.
        mcycles: Predicted ARM cost of what it concerns, in million cycles.
        share: The same as a share of the file's, 0 to 1.
        changes: Ways to do it, with what each saves.
    """

    rule: str
    places: tuple[str, ...]
    finding: str
    advice: str
    source: str
    mcycles: float
    share: float
    changes: tuple[LintChange, ...] = ()


@dataclass(frozen=True)
class ImageScore:
    """One image's score: IoU of the float model and of the variant (or their agreement)."""

    image: str
    iou_float: float
    iou: float


@dataclass(frozen=True)
class ImageDetail:
    """All that was scored on one image: a row of `accuracy.csv`.

    Fields that end in `_float` are the float model's. See `Accuracy` for the others; `foreground`
    is the share of the picture that is person, 0 to 1.
    """

    image: str
    iou_float: float
    iou: float
    miou_float: float
    miou: float
    boundary_f_float: float
    boundary_f: float
    boundary_f_fine_float: float
    boundary_f_fine: float
    mae: float
    sad: float
    agreement_iou: float
    foreground_float: float
    foreground: float


@dataclass(frozen=True)
class Drop:
    """Float minus variant, in points (×100)."""

    iou: float
    miou: float
    boundary_f: float


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with 95 % confidence, by what it was measured on."""

    low: float
    high: float


@dataclass(frozen=True)
class DropInterval:
    """The bootstrap interval of each figure of `Drop`, in points: other pictures of the same kind
    would move it so far.
    """

    iou: Interval
    miou: Interval
    boundary_f: Interval


@dataclass(frozen=True)
class Flicker:
    """How much masks change from frame to frame where the picture does not.

    Both are the share of still pixels that change sides, 0 to 1, averaged over pairs of frames.
    """

    pairs: int
    float_model: float
    variant: float


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of one variant; means over images. Without labels only agreement is known.

    `iou`, `miou`, `boundary_f` are against the labels, or against the float model's mask
    where `labelled` is false; `mae` is the mean absolute difference of the soft masks of variant
    and float model; `agreement_iou` is the IoU of the two. `worst` and `median` name the images
    that lose most and as much as half of the others do.

    Attributes:
        boundary_f: With a tolerance of 2 px at the network's resolution.
        boundary_f_fine: With one of 0.5 % of the diagonal, at the picture's own.
        sad: Sum of absolute differences to the float model's soft mask, in thousands of pixels at
            the network's resolution.
        label_mae: Mean absolute difference to the label, soft where it is; None without labels.
        interval: Of `drop`; None of a single image.
        foreground_drift: How much more of a picture is person than with the float model, in points.
        flicker: None where what was scored is no video.
        images_scored: Image by image, for `accuracy.csv`; not in `report.json`.
    """

    images: int
    labelled: bool
    iou: float
    miou: float
    boundary_f: float
    mae: float
    agreement_iou: float
    drop: Drop
    worst: tuple[ImageScore, ...]
    passed: bool
    reason: str = ""
    median: tuple[ImageScore, ...] = ()
    boundary_f_fine: float | None = None
    sad: float | None = None
    label_mae: float | None = None
    interval: DropInterval | None = None
    foreground_drift: float | None = None
    flicker: Flicker | None = None
    images_scored: tuple[ImageDetail, ...] = ()


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


@dataclass(frozen=True)
class Variant:
    """One written `.tflite` and everything known about it.

    `input` takes the picture and `output` is the mask; `state_input` and `state_output` are there
    where a network that remembers (`StateSpec`) has tensors of their own for it. `spec` is there
    where the file takes a picture otherwise than the network does: as bytes. `half_precision` says
    that ARM CPUs may compute it in float16.
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
class BenchmarkResult:
    """One cell: a variant on a delegate. `unavailable` holds the reason where nothing was run, and
    `fault` whose it is.

    `adapter` names the GPU, "" where this machine has none; `software` says that it is none: its
    latency is no speed then.
    `fully_accelerated` says that no op fell back to the CPU; `computed_in` is the float type that
    the GPU worked in, whatever the file's `precision`. `peak_share` is the net's MACs per
    second over the most that XNNPACK was measured to do on this CPU in that precision, 0 to 1;
    `peak_gmac_s` is that most, in 10⁹ MACs per second. `samples_ms` holds the single inferences,
    one series per process: what `compare` resamples.
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


@dataclass(frozen=True)
class ModelRecord:
    """The model that was converted; `licence` is of its weights, "" where it is not known."""

    source: str
    name: str
    parameters: int
    macs: int
    spec: ModelSpec
    licence: str = ""


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
