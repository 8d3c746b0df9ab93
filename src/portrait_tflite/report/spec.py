"""How a network is fed, as JSON and in words."""

from __future__ import annotations

from dataclasses import asdict

from portrait_tflite.vocabulary import Json, ModelSpec, Report, TensorInfo, Variant


def spec_json(spec: ModelSpec) -> Json:
    """Return a spec as `report.json` and `model.json` hold it: a state only where there is one."""
    data = asdict(spec)
    return {key: value for key, value in data.items() if key != "state" or value is not None}


def known_ends(variant: Json) -> Json:
    """Drop a variant's tensors for a state, and a spec of its own, where it has none."""
    ends = {"state_input", "state_output", "spec"}
    return {key: value for key, value in variant.items() if key not in ends or value is not None}


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
