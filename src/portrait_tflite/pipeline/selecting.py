"""Which rewrites a conversion may apply: ours and the user's, by the names that were given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from portrait_tflite.convert.loading.custom_objects import read_custom_objects
from portrait_tflite.convert.plan import RewriteRequest
from portrait_tflite.convert.rewrites.registry import OURS, Registry, did_you_mean
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import is_tflite
from portrait_tflite.pipeline.request import ConvertRequest
from portrait_tflite.quiet import quiet
from portrait_tflite.vocabulary import Approximation, Level, RewriteMode


def registry_for(custom_objects: Path | None) -> Registry:
    """Collect all rewrites, those of the user's file too; the file is run.

    Raises:
        UsageError: The file, or a rewrite in it, is not what it should be.
    """
    if custom_objects is None:
        return OURS
    with quiet():
        own = read_custom_objects(custom_objects).rewrites
    return OURS.with_own(own, str(custom_objects))


def select_rewrites(request: ConvertRequest) -> ConvertRequest:
    """Register the user's own rewrites, and check what was asked for.

    Raises:
        UsageError: An unknown name, one that means nothing here, or options that exclude another.
    """
    registry = registry_for(request.load.custom_objects)
    wanted = replace(request.rewrite, registry=registry)
    for name in (*wanted.only, *wanted.dropped):
        _require_known(name, registry)
    _require_sense(wanted)
    if is_tflite(request.source):
        _require_finished(wanted, request.load.custom_objects)
    return replace(request, rewrite=wanted)


def _require_known(name: str, registry: Registry) -> None:
    known = registry.names()
    if name in known:
        return
    words = (*RewriteMode, *Approximation)
    raise UsageError(
        f"--rewrite takes {', '.join(words)} and the names that --list-rewrites lists. "
        f"Received: {name!r}.{did_you_mean(name, (*known, *words))}"
    )


def _require_sense(wanted: RewriteRequest) -> None:
    unasked = wanted.registry.asked(()).names()
    needless = [name for name in wanted.only if name in unasked]
    if needless and wanted.mode is not RewriteMode.NONE:
        name = needless[0]
        raise UsageError(
            f"--rewrite {wanted.mode} has {name} unasked. Received: {name} besides. Write "
            f"none,{name} to run it alone, or -{name} to leave it out."
        )
    if wanted.tune and (wanted.mode is not RewriteMode.AUTO or wanted.plans is not None):
        raise UsageError(
            "--tune chooses where --rewrite auto would. Received: --tune with another choice of "
            "forms. Leave one of them out."
        )


def _require_finished(wanted: RewriteRequest, custom_objects: Path | None) -> None:
    """Refuse what only a Keras graph can be asked for."""
    finished = wanted.registry.names(Level.FLATBUFFER)
    if wanted.mode is RewriteMode.EXACT or wanted.approximate:
        asked = ", ".join((*sorted(wanted.approximate), *_exact(wanted)))
        raise UsageError(
            f"a Keras model is required for --rewrite {asked}. Received: a .tflite, which takes "
            "auto, none and names of rewrites."
        )
    for name in (*wanted.only, *wanted.dropped):
        if name not in finished:
            raise UsageError(
                "a .tflite takes rewrites of finished files (--list-rewrites: flatbuffer). "
                f"Received: {name}, which is of the Keras graph."
            )
    if custom_objects is not None and not set(wanted.registry.own) & set(finished):
        raise UsageError(
            "a .tflite takes --custom-objects for the rewrites of finished files in its REWRITES. "
            f"Received: {custom_objects}, which has none. Leave it out."
        )


def _exact(wanted: RewriteRequest) -> tuple[str, ...]:
    return ("exact",) if wanted.mode is RewriteMode.EXACT else ()
