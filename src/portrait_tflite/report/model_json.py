"""`model.json`: all that an app needs to run the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from portrait_tflite.report.io_card import io_card
from portrait_tflite.report.roles import delegate_for, shipped_variants
from portrait_tflite.report.spec import known_ends, spec_json
from portrait_tflite.vocabulary import SCHEMA, Json, ModelSpec, Report, Variant

_PERSON, _BACKGROUND = "person", "background"


@dataclass(frozen=True)
class Golden:
    """Inputs with their masks, for an app to test itself on.

    Attributes:
        cases: As `model.json` holds them, in their order: a network that remembers is fed with what
            it gave for the case before.
        tolerances: By variant and delegate: `max_step` of stored numbers, or `least_iou`. A
            delegate that is not there promises nothing.
        files: What the cases name, by name.
    """

    cases: Sequence[Json] = ()
    tolerances: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def labels_of(mask: Sequence[int], person: int) -> list[str]:
    """Name the channels of a mask of shape `mask`, of which one is the person."""
    channels = mask[3] if len(mask) == 4 else 1
    if channels == 1:
        return [_PERSON]
    other = [_BACKGROUND] if channels == 2 else [f"class {n}" for n in range(channels)]
    return [_PERSON if n == person else other[min(n, len(other) - 1)] for n in range(channels)]


def model_json(report: Report, golden: Golden | None = None) -> Json:
    """Return what `model.json` holds.

    Args:
        golden: Only with `--assets`.
    """
    variants, golden = shipped_variants(report), golden or Golden()
    person = report.model.spec.output.channel
    mask = next((variant.output.shape for variant in variants.values()), ())
    return {
        "schema": SCHEMA,
        "name": report.model.name,
        "licence": report.model.licence,
        "variants": {
            name: _variant_json(name, variant, report.model.spec)
            | {"tolerance": dict(golden.tolerances.get(name, {}))}
            for name, variant in variants.items()
        },
        "spec": spec_json(report.model.spec),
        "labels": labels_of(mask, person),
        "person_channel": person,
        "golden": list(golden.cases),
    }


def _variant_json(name: str, variant: Variant, network: ModelSpec) -> Json:
    data: Json = {
        "file": variant.file,
        "bytes": variant.bytes,
        "sha256": variant.sha256,
        "input": asdict(variant.input),
        "output": asdict(variant.output),
        "state_input": variant.state_input and asdict(variant.state_input),
        "state_output": variant.state_output and asdict(variant.state_output),
        "other_inputs": [asdict(info) for info in variant.other_inputs],
        "other_outputs": [asdict(info) for info in variant.other_outputs],
        "recommended_delegate": delegate_for(name),
        "io": asdict(io_card(variant, network)),
        "half_precision": variant.half_precision,
        "passed": variant.accuracy is None or variant.accuracy.passed,
        "spec": variant.spec and spec_json(variant.spec),
    }
    return known_ends(data)
