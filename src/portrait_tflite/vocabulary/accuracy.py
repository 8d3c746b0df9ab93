"""How near a file's masks are to the float network's, and on what that was found."""

from __future__ import annotations

from dataclasses import dataclass


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
class ImageScore:
    """One image's score: IoU of the float model and of the variant (or their agreement)."""

    image: str
    iou_float: float
    iou: float


@dataclass(frozen=True)
class ImageDetail:
    """All that was scored on one image: a row of `accuracy.csv`.

    Fields that end in `_float` are the float model's. See `Accuracy` for the others; `foreground`
    is the share of the picture that is person, 0 to 1. What is held against a label is None
    without one.
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
    label_mae_float: float | None = None
    label_mae: float | None = None
    label_sad_float: float | None = None
    label_sad: float | None = None


@dataclass(frozen=True)
class Drop:
    """What is lost, in points (×100), and of sums in thousands of pixels; above 0 is worse.

    Of scores it is float minus variant, of errors variant minus float: `mae` and `sad` are to the
    float model's own masks, which have none. What is held against labels is None without them.
    """

    iou: float
    miou: float
    boundary_f: float
    boundary_f_fine: float | None = None
    mae: float | None = None
    sad: float | None = None
    label_mae: float | None = None
    label_sad: float | None = None


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with 95 % confidence, by what it was measured on."""

    low: float
    high: float


@dataclass(frozen=True)
class DropInterval:
    """The bootstrap interval of each figure of `Drop`, in its unit: other pictures of the same kind
    would move it so far.
    """

    iou: Interval
    miou: Interval
    boundary_f: Interval
    boundary_f_fine: Interval | None = None
    mae: Interval | None = None
    sad: Interval | None = None
    label_mae: Interval | None = None
    label_sad: Interval | None = None


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
        label_sad: Sum of the same, in thousands of pixels at the network's resolution.
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
    label_sad: float | None = None
    images_scored: tuple[ImageDetail, ...] = ()
