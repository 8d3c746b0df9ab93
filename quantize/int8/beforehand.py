"""What a float file is rewritten to before it becomes int8: forms that have more scales."""

from __future__ import annotations

from collections.abc import Sequence

from portrait_tflite.convert.mending.mend import MendResult, mend_model
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.quantize.int8.tensor_ranges import Frames


def rewritten_beforehand(
    data: bytes,
    checks: Sequence[Frames],
    mending: Sequence[FlatbufferRewrite],
    layers: Sequence[str] = (),
) -> MendResult:
    """Apply those rewrites of finished files that int8 is more accurate behind.

    Args:
        data: The float32 `.tflite`.
        checks: Inputs to check on.
        mending: The rewrites that are allowed.
        layers: Names of the Keras layers where they are known.
    """
    wanted = [one for one in mending if one.before_int8]
    return mend_model(data, checks, wanted, layers) if wanted else MendResult(data, (), ())
