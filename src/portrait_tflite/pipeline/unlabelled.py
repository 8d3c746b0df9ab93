"""What `--finetune` may be used for, and the pictures it brings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from portrait_tflite.cache_folder import require_cache
from portrait_tflite.convert.finetuning.lessons import FEWEST, read_pictures
from portrait_tflite.convert.graph import Graph
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import is_tflite
from portrait_tflite.images import Bytes
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.progress import Progress
from portrait_tflite.quantize.calibration import calibration_images
from portrait_tflite.quantize.pictures import Pictures
from portrait_tflite.quantize.remedies.fake_quantization import has_kernel
from portrait_tflite.vocabulary import Approximation, ModelSpec, Precision, RemedyName


@dataclass(frozen=True)
class Unlabelled:
    """The pictures to fine-tune on.

    Attributes:
        source: The folder.
        pictures: Bytes `[n, h, w, c]`.
        seed: Of their choice, and of the training.
    """

    source: Path
    pictures: Bytes
    seed: int


def may_approximate(wanted: RewriteRequest) -> bool:
    """Whether a form may be taken that is another function: by name, or by an earlier plan."""
    return bool(wanted.approximate) or wanted.plans is not None


def may_train_for_int8(request: ConvertRequest) -> bool:
    """Whether an int8 file that misses the gate may be fine-tuned."""
    named = request.remedies is None or RemedyName.FINETUNING in request.remedies
    return request.finetune is not None and named and Precision.INT8 in request.variants


def require_reason(request: ConvertRequest) -> None:
    """Refuse `--finetune` before the work starts where there will be nothing to recover.

    Raises:
        UsageError: Neither an approximation nor int8 may be fine-tuned, the folder holds no
            pictures, fine-tuning was named as a remedy without any, or what it comes to cannot be
            kept while it runs.
    """
    if request.finetune is None:
        _require_no_pictures(request)
        return
    if not may_approximate(request.rewrite) and not may_train_for_int8(request):
        raise UsageError(
            "--finetune recovers what approximate forms or int8 lose: --rewrite with one of "
            f"{', '.join(Approximation)}, or --int8 with the remedy {RemedyName.FINETUNING} is "
            "required. Received: none of them. Name one, or leave --finetune out."
        )
    found = len(calibration_images(request.finetune))
    if found < FEWEST:
        raise UsageError(
            f"--finetune must be a folder with {FEWEST} pictures or more, 500 are good. "
            f"Received: {request.finetune} with {found}."
        )
    require_cache("--finetune")


def _require_no_pictures(request: ConvertRequest) -> None:
    """Refuse the remedy that needs pictures: none are given."""
    if request.remedies is None or RemedyName.FINETUNING not in request.remedies:
        return
    needed = f"for --remedies {RemedyName.FINETUNING}"
    if is_tflite(request.source):
        raise UsageError(
            f"a Keras model is required {needed}. Received: a .tflite. Leave it out, or convert "
            "the Keras model."
        )
    raise UsageError(
        f"--finetune DIR with unlabelled pictures is required {needed}. Received: none. Name a "
        "folder, or leave the remedy out."
    )


def require_trainable(request: ConvertRequest, graph: Graph) -> None:
    """Refuse `--finetune` for a network that cannot be trained.

    Raises:
        UsageError: It has no layers that hold kernels.
    """
    if may_train_for_int8(request) and not any(has_kernel(node.op) for node in graph.nodes()):
        raise UsageError(
            "--finetune trains the convolutions of a Keras model. Received: a network of which "
            "none can be seen, such as a SavedModel. Convert its .keras file, or leave --finetune "
            "out."
        )


def read_unlabelled(
    request: ConvertRequest, spec: ModelSpec, scored: Pictures, progress: Progress
) -> Unlabelled | None:
    """Read the folder of `--finetune`, without the pictures that are scored on.

    Raises:
        UsageError: Too few of them can be read, or the network remembers pictures.
    """
    folder = request.finetune
    if folder is None or request.explained is not None:
        return None
    if spec.state is not None:
        raise UsageError(
            "--finetune takes networks that look at one picture alone. Received: one that is fed "
            "with its last mask. Leave --finetune out."
        )
    held = {sample.image.resolve() for sample in scored.samples}
    paths = [path for path in calibration_images(folder) if path.resolve() not in held]
    seed = _seed(request, scored)
    return Unlabelled(folder, read_pictures(paths, spec, seed, folder, progress), seed)


def _seed(request: ConvertRequest, pictures: Pictures) -> int:
    """Return what is drawn by: a calibration.json brings the seed of the run that it repeats."""
    calibration = pictures.calibration
    return request.pictures.seed if calibration is None else calibration.origin.seed
