"""Every rewrite of the registry is proved: on drawn configurations, left alone, and broken."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portrait_tflite.convert.rewrites.registry import OURS, RewriteInfo

FOLDER = Path(__file__).parent
EXAMPLES = 200
# What the names of such tests say. A new rewrite's tests say it, too.
LEFT_ALONE = ("stay", "refuse", "none_of", "others", "cannot", "keeps", "is_not_")
FAULT_CAUGHT = ("caught", "catches", "undone", "not_dropped")

_Statement = ast.stmt


@dataclass(frozen=True)
class Proof:
    """A test that uses a rewrite.

    Attributes:
        examples: How many configurations are drawn; 0 where none are.
    """

    name: str
    examples: int


CLASSES = {one.name: type(one).__name__ for one in (*OURS.keras, *OURS.flatbuffer)}
MODULES = {
    path: ast.parse(path.read_text())
    for path in sorted(FOLDER.rglob("test_*.py"))
    if path.parent != FOLDER
}


@functools.cache
def proofs_of(name: str) -> tuple[Proof, ...]:
    """List the tests of all modules that import a rewrite and reach it."""
    return tuple(_proofs(name))


def _proofs(name: str) -> Iterator[Proof]:
    for module in MODULES.values():
        if CLASSES[name] not in _imported(module):
            continue
        reaching = _reaching(module, CLASSES[name])
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name in reaching:
                yield Proof(node.name, _examples(module, node))


def _imported(module: ast.Module) -> set[str]:
    imports = (node for node in module.body if isinstance(node, ast.ImportFrom))
    return {alias.name for node in imports for alias in node.names}


def _reaching(module: ast.Module, name: str) -> set[str]:
    """Names at the top of a module whose definition uses `name`, or another one that does."""
    found = {name}
    while more := {
        defined
        for node in module.body
        for defined in _defined(node)
        if defined not in found and _used(node) & found
    }:
        found |= more
    return found


def _defined(node: _Statement) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    parts = (part for target in targets if target is not None for part in ast.walk(target))
    return [part.id for part in parts if isinstance(part, ast.Name)]


@functools.cache
def _used(node: _Statement) -> frozenset[str]:
    arguments = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}  # fixtures
    return frozenset(arguments) | {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _examples(module: ast.Module, test: ast.FunctionDef) -> int:
    """Read how many configurations a test draws: at its own settings, or at those of a name."""
    if not any(_called(decorator) == "given" for decorator in test.decorator_list):
        return 0
    named = {n: node.value for node in module.body if isinstance(node, ast.Assign)
             for n in _defined(node)}  # fmt: skip
    for decorator in test.decorator_list:
        settings = named.get(decorator.id) if isinstance(decorator, ast.Name) else decorator
        if settings is not None and _called(settings) == "settings":
            return next(
                keyword.value.value
                for keyword in settings.keywords  # type: ignore[attr-defined]
                if keyword.arg == "max_examples"
            )
    return 0


def _called(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return function.id if isinstance(function, ast.Name) else ""


each = pytest.mark.parametrize("info", OURS.describe(), ids=lambda info: info.name)


@each
def test_it_is_held_to_200_drawn_configurations(info: RewriteInfo) -> None:
    assert max((proof.examples for proof in proofs_of(info.name)), default=0) >= EXAMPLES


@each
def test_something_is_left_alone(info: RewriteInfo) -> None:
    names = [proof.name for proof in proofs_of(info.name)]
    assert any(word in name for name in names for word in LEFT_ALONE), names


@each
def test_a_broken_one_is_caught(info: RewriteInfo) -> None:
    if info.nearness == "approximate":
        # Another function anyway: its error is measured and told, not held to a bound.
        return
    names = [proof.name for proof in proofs_of(info.name)]
    assert any(word in name for name in names for word in FAULT_CAUGHT), names


def test_a_rewrite_without_tests_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLASSES, "new_one", "NewOne")
    assert proofs_of("new_one") == ()


def test_few_examples_are_found_out() -> None:
    module = ast.parse("@settings(max_examples=40)\n@given(x=1)\ndef test_a(x): Own()\n")
    (test,) = module.body
    assert isinstance(test, ast.FunctionDef)
    assert _examples(module, test) == 40
    assert _examples(module, ast.parse("def test_b(): pass").body[0]) == 0  # type: ignore[arg-type]
