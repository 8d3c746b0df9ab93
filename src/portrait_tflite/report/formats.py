"""Figures for people: the filters of the report's templates.

Every function takes None, and what is not finite, for a figure that is not there.
"""

from __future__ import annotations

import math

MISSING = "–"
_MINUS = "\N{MINUS SIGN}"
_LONGEST = 72
_NOT_COSTED = "not in the cost table"
_LEAST_MCYCLES = 5e-4  # less is 0.000 in our figures


def fixed(value: float | None, digits: int = 2) -> str:
    """Write with thousands separated and a true minus: `1,234.50`, `−0.25`; no negative zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else _MINUS + text[1:]
    return text


def significant(value: float | None) -> str:
    """Write a figure of 0 or more with about three digits: `0`, `0.372`, `34.7`, `1,240`."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if value < 10:
        return fixed(value, 3 if value < 1 else 2)
    return fixed(value, 1 if value < 100 else 0)


def duration(milliseconds: float | None) -> str:
    """Write a time, in µs below a millisecond: `0.932 µs`, `24.8 µs`, `1.25 ms`."""
    if milliseconds is None or not math.isfinite(milliseconds):
        return MISSING
    if milliseconds < 1:
        return f"{significant(1000 * milliseconds)} µs"
    return f"{significant(milliseconds)} ms"


def millions(count: float | None) -> str:
    """Write a count in millions, without the unit."""
    return MISSING if count is None else significant(count / 1e6)


def estimate(mcycles: float | None) -> str:
    """Write what the cost table says of something."""
    if mcycles is None:
        return _NOT_COSTED
    return "< 0.001" if 0 < mcycles < _LEAST_MCYCLES else significant(mcycles)


def saving(mcycles: float | None) -> str:
    """Write what a change saves: `saves 3.10 Mcyc`, `costs 0.25 Mcyc more`."""
    if mcycles is None or not math.isfinite(mcycles):
        return _NOT_COSTED
    if abs(mcycles) < _LEAST_MCYCLES:
        return "costs the same"
    figure = significant(abs(mcycles))
    return f"saves {figure} Mcyc" if mcycles > 0 else f"costs {figure} Mcyc more"


def size(count: int | None) -> str:
    """Write a number of bytes in KiB or MiB."""
    if count is None:
        return MISSING
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 1024:,.0f} KiB"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share of 0 to 1 as a percentage; what is there and rounds to 0 as less than."""
    if share is None or not math.isfinite(share):
        return MISSING
    least = 10**-digits
    if 0 < 100 * share < least / 2:
        return f"< {least:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def error(value: float | None) -> str:
    """Write a numeric error: `0` or two digits with their power of ten, `2.5e-6`."""
    if value is None or not math.isfinite(value):
        return MISSING
    digits, exponent = f"{value:.1e}".split("e")
    return "0" if value == 0 else f"{digits}e{int(exponent)}"


def shape(sizes: tuple[int, ...]) -> str:
    """Write a shape: `1×256×256×3`."""
    return "×".join(map(str, sizes))


def short(name: str) -> str:
    """Cut the middle out of a long name, such as the converter's for fused tensors."""
    if len(name) <= _LONGEST:
        return name
    half = (_LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: `1 op`, `2 ops`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


FILTERS = {
    function.__name__: function
    for function in (
        *(fixed, significant, duration, millions, estimate, saving, size, percent, error, shape),
        *(short, count),
    )
}
