"""What options and reports say: choices, names of files and devices."""

from __future__ import annotations

from enum import StrEnum

SCHEMA = 1
REPORT_FILE = "report.json"  # what `convert` writes
MANIFEST_FILE = "calibration.json"  # which pictures it calibrated on
RESULT_FILE = "benchmark.json"  # what `benchmark` writes
PAGE_FILE = "benchmark.html"  # the same for people
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


class Effect(StrEnum):
    """What is shown of a picture and its mask."""

    MASK = "mask"
    CUTOUT = "cutout"  # the background is transparent
    BLUR = "blur"
    BACKGROUND = "background"  # another picture
    COLOR = "color"


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
    FINETUNING = "finetuning"  # all weights trained anew; needs the Keras model and pictures


class Level(StrEnum):
    """Where a rewrite takes place."""

    KERAS = "keras"
    FLATBUFFER = "flatbuffer"
