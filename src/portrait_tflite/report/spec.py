"""How a network is fed, as JSON and in words."""

from __future__ import annotations

from dataclasses import asdict

from portrait_tflite.vocabulary import DRAWN, Json, ModelSpec, Report, TensorInfo, Variant

# What a network that takes more than the picture is scored on.
OWN_ROWS = "--calibration FILE.npz with an array for each input scores a fifth of your rows"


def spec_json(spec: ModelSpec) -> Json:
    """Return a spec as `report.json` and `model.json` hold it.

    What a network takes besides the picture is there only where there is any.
    """
    data = asdict(spec)
    return {key: value for key, value in data.items() if key not in ("state", "others") or value}


def known_ends(variant: Json) -> Json:
    """Drop a variant's tensors besides picture and mask, and a spec of its own, if it has none."""
    ends = {"state_input", "state_output", "other_inputs", "other_outputs", "spec"}
    return {key: value for key, value in variant.items() if key not in ends or value}


def describe_state(report: Report) -> str:
    """Say what a network for video remembers, where it goes and where it comes from, or ""."""
    spec = report.model.spec
    if spec.state is None:
        return ""
    variant = next(iter(report.variants.values()), None)
    return (
        f"{_goes_to(spec, variant)} takes the previous mask, {spec.state.initial:g} at first; it "
        f"comes from {_comes_from(spec, variant)}"
    )


def describe_others(report: Report) -> str:
    """Say what a network takes besides the picture and its last mask, and gives, or ""."""
    spec = report.model.spec
    if not spec.others:
        return ""
    takes = ", ".join(f"{other.name} {list(other.shape)}" for other in spec.others)
    variant = next(iter(report.variants.values()), None)
    given = ", ".join(f"{info.name} {list(info.shape)}" for info in _gives(variant))
    besides = f"; it gives {given} besides the mask" if given else ""
    noise = "; scored with noise of 0 to 1 in them" if report.scored_on == DRAWN else ""
    return f"it takes {takes} besides the picture{besides}{noise}"


def _gives(variant: Variant | None) -> tuple[TensorInfo, ...]:
    return variant.other_outputs if variant else ()


def _goes_to(spec: ModelSpec, variant: Variant | None) -> str:
    assert spec.state is not None
    if spec.state.channel is not None:
        return f"channel {spec.state.channel} of the image"
    return f"input {spec.state.input}{_named(variant.state_input if variant else None)}"


def _comes_from(spec: ModelSpec, variant: Variant | None) -> str:
    assert spec.state is not None
    origin = (variant.state_output or variant.output) if variant else None
    return f"output {spec.state.from_output}{_named(origin)}"


def _named(info: TensorInfo | None) -> str:
    return f" ({info.name} {list(info.shape)})" if info else ""
