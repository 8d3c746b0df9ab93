"""What is noted of a change that is exact by definition, with nothing to compare it with."""

from __future__ import annotations

from portrait_tflite.vocabulary import Level, RewriteRecord


def exact_record(rewrite: str, layer: str, chosen: str, reason: str) -> RewriteRecord:
    """Note a change of a file that has one form, and moves no number."""
    return RewriteRecord(
        rewrite=rewrite,
        level=Level.FLATBUFFER,
        layer=layer,
        exact=True,
        max_abs_error=0.0,
        max_rel_error=0.0,
        chosen=chosen,
        candidates=(),
        reason=reason,
    )
