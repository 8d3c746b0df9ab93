"""Nets trained in mixed, half or double precision, read as float32.

Their variables are float32, or are widened without loss, or rounded from float64, which TFLite has
no kernels for; those compute in float32, and have half floats by a file's own means (`--fp16`).
"""

from __future__ import annotations

from typing import Any

_OTHERS = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"})
_POLICIES = frozenset({"DTypePolicy", "Policy", "PolicyV1"})
_SINGLE = "float32"


def in_single_precision(config: Any) -> Any:
    """Return a saved architecture with every other float policy and dtype as float32."""
    if isinstance(config, list):
        return [in_single_precision(each) for each in config]
    if not isinstance(config, dict):
        return config
    return {key: _as_single(key, value) for key, value in config.items()}


def _as_single(key: str, value: Any) -> Any:
    name = value
    if isinstance(value, dict) and value.get("class_name") in _POLICIES:
        name = value["config"]["name"]
    if key == "dtype" and isinstance(name, str) and name in _OTHERS:
        return _SINGLE
    return in_single_precision(value)
