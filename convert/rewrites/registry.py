"""All rewrites of both levels by name: listed, left out, run alone, and a user's own among them."""

from __future__ import annotations

import difflib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from portrait_tflite.convert.rewrites.flatbuffer.order import REGISTERED as FLATBUFFER
from portrait_tflite.convert.rewrites.flatbuffer.rewrite import FlatbufferRewrite
from portrait_tflite.convert.rewrites.keras.order import REWRITES as KERAS
from portrait_tflite.convert.rewrites.keras.site import KerasRewrite
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Approximation, Level, RewriteMode

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = frozenset({*RewriteMode, *Approximation, "all"})  # `--rewrite` and reports mean others

_Rewrite = TypeVar("_Rewrite", KerasRewrite, FlatbufferRewrite)


@dataclass(frozen=True)
class RewriteInfo:
    """What a list of rewrites says of one.

    Attributes:
        nearness: `exact`, `within one step` (of int8, by another rounding) or `approximate`.
        approximations: Families by whose names it also has, or only has, forms that are other
            functions.
        by_name: Whether it is applied only where it is asked for by its own name.
        own: Whether it is the user's.
    """

    name: str
    level: Level
    nearness: str
    approximations: tuple[Approximation, ...]
    description: str
    own: bool
    by_name: bool = False


@dataclass(frozen=True)
class Registry:
    """The rewrites of both levels, in the order in which they are applied.

    Attributes:
        own: Names of those that are the user's.
    """

    keras: tuple[KerasRewrite, ...] = KERAS
    flatbuffer: tuple[FlatbufferRewrite, ...] = FLATBUFFER
    own: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(self.names()).items() if count > 1]
        if twice:
            raise ValueError(f"a name per rewrite is required. Received twice: {', '.join(twice)}.")

    def names(self, level: Level | None = None) -> tuple[str, ...]:
        """List the names of one level or of both."""
        keras = () if level is Level.FLATBUFFER else self.keras
        flatbuffer = () if level is Level.KERAS else self.flatbuffer
        return (*(one.name for one in keras), *(one.name for one in flatbuffer))

    def describe(self) -> tuple[RewriteInfo, ...]:
        """Say of every rewrite what it is."""
        keras = [_describe(r, Level.KERAS, own=r.name in self.own) for r in self.keras]
        files = [_describe(r, Level.FLATBUFFER, own=r.name in self.own) for r in self.flatbuffer]
        return (*keras, *files)

    def only(self, names: Collection[str]) -> Registry:
        """Keep the named rewrites, in their order."""
        return self._filtered(lambda name: name in names)

    def without(self, names: Collection[str]) -> Registry:
        """Leave the named rewrites out."""
        return self._filtered(lambda name: name not in names)

    def asked(self, names: Collection[str]) -> Registry:
        """Leave out what is applied by its name alone and is not named."""
        unasked = {one.name for one in self.flatbuffer if one.by_name} - set(names)
        return self.without(unasked)

    def with_own(self, rewrites: Sequence[Any], file: str) -> Registry:
        """Add a user's rewrites: before the one that `before` names, else first of their level.

        Args:
            rewrites: What `REWRITES` of `file` holds.

        Raises:
            UsageError: One is no rewrite, its name is taken, or `before` names none of its level.
        """
        registry = self
        # Those without `before` first, last one first, so that they keep their order.
        for rewrite in reversed([r for r in rewrites if not getattr(r, "before", "")]):
            registry = registry._with(rewrite, file)
        for rewrite in (r for r in rewrites if getattr(r, "before", "")):
            registry = registry._with(rewrite, file)
        return registry

    def _with(self, rewrite: Any, file: str) -> Registry:
        _require_rewrite(rewrite, file)
        if rewrite.name in self.names():
            raise UsageError(
                f"a rewrite in {file} must have a name of its own. "
                f"Received: {rewrite.name!r}, which exists. Give it another name."
            )
        own = (*self.own, rewrite.name)
        if isinstance(rewrite, FlatbufferRewrite):
            return replace(self, flatbuffer=_placed(self.flatbuffer, rewrite, file), own=own)
        return replace(self, keras=_placed(self.keras, rewrite, file), own=own)

    def _filtered(self, keep: Callable[[str], bool]) -> Registry:
        return Registry(
            tuple(rewrite for rewrite in self.keras if keep(rewrite.name)),
            tuple(rewrite for rewrite in self.flatbuffer if keep(rewrite.name)),
            tuple(name for name in self.own if keep(name)),
        )


OURS = Registry()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is nearest, as a sentence with a space before it; or ""."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {str(close[0])!r}?" if close else ""


def _describe(rewrite: KerasRewrite | FlatbufferRewrite, level: Level, *, own: bool) -> RewriteInfo:
    # Both are optional attributes: most rewrites are exact and have nothing to say of it.
    families = tuple(sorted(getattr(rewrite, "approximations", ())))
    if not getattr(rewrite, "exact", True):
        nearness = "approximate"
    else:
        nearness = "within one step" if getattr(rewrite, "within_one_step", False) else "exact"
    text = (inspect.getdoc(type(rewrite)) or "").partition("\n")[0]
    by_name = getattr(rewrite, "by_name", False)
    return RewriteInfo(rewrite.name, level, nearness, families, text, own, by_name)


def _require_rewrite(rewrite: Any, file: str) -> None:
    """Check what the user's file calls a rewrite."""
    fault = ""
    name = getattr(rewrite, "name", None)
    if isinstance(rewrite, type):
        fault = f"the class {rewrite.__name__}: write {rewrite.__name__}()"
    elif not isinstance(name, str):
        fault = f"{type(rewrite).__name__}, which has no name"
    elif not _NAME.fullmatch(name) or name in _TAKEN:
        fault = f"one named {name!r}: small letters, digits and _ are a name, {_listed()} are not"
    elif not callable(getattr(rewrite, "match", None)):
        fault = f"{name}, which has no method match"
    if fault:
        raise UsageError(
            f"REWRITES in {file} must hold objects with a name and a method match. "
            f"Received: {fault}. See docs/writing-a-rewrite.md."
        )


def _listed() -> str:
    return ", ".join(sorted(_TAKEN))


def _placed(rewrites: tuple[_Rewrite, ...], new: _Rewrite, file: str) -> tuple[_Rewrite, ...]:
    names = [rewrite.name for rewrite in rewrites]
    before = getattr(new, "before", "")
    if before and before not in names:
        raise UsageError(
            f"`before` of {new.name} in {file} must name a rewrite of its level "
            f"({', '.join(names)}). Received: {before!r}.{did_you_mean(str(before), names)}"
        )
    placed = list(rewrites)
    placed.insert(names.index(before) if before else 0, new)
    return tuple(placed)
