"""What calibration gives for the inputs that are no picture."""

from __future__ import annotations

from collections.abc import Mapping

from portrait_tflite.images import Floats
from portrait_tflite.vocabulary import Check


def check_others(others: Mapping[str, Floats], *, drawn: bool) -> Check:
    """Say what range each input's rows `[n, …]` have; noise and one number alone are warned of.

    Args:
        drawn: Whether they are noise, for want of arrays.
    """
    if drawn:
        names = ", ".join(others)
        return Check("other inputs", False, "warn", f"noise of 0 to 1 for {names}: give arrays")
    ends = {name: (float(rows.min()), float(rows.max())) for name, rows in others.items()}
    alike = [name for name, (low, high) in ends.items() if low == high]
    detail = ", ".join(
        f"{name} is always {low:.4g}" if name in alike else f"{name} {low:.4g} to {high:.4g}"
        for name, (low, high) in ends.items()
    )
    return Check("other inputs", not alike, "warn", detail)
