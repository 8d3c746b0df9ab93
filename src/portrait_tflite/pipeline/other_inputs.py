"""What cannot be had of a network that takes more than the picture."""

from __future__ import annotations

from portrait_tflite.errors import UsageError
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.vocabulary import ModelSpec


def require_pictures_alone(request: ConvertRequest, spec: ModelSpec) -> None:
    """Refuse, before the work starts, what feeds a network with pictures and nothing else.

    Raises:
        UsageError: The network takes more than that.
    """
    asked = {
        "--validation": request.pictures.validation,
        "--finetune": request.finetune,
        "--assets": request.assets,
    }
    given = [option for option, value in asked.items() if value is not None]
    if spec.others and given:
        names = ", ".join(other.name for other in spec.others)
        raise UsageError(
            f"{given[0]} is for networks that take the picture, and at most their last mask. "
            f"Received: one that takes {names} besides. Leave {given[0]} out."
        )
