"""Every rewrite of the registry is proved: on drawn configurations, left alone, and broken."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portrait_tflite.convert.rewrites.registry import OURS, RewriteInfo
from portrait_tflite.vocabulary import Approximation

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
# Settings that several of them import.
DRAWING = ast.parse((FOLDER / "flatbuffer" / "drawing.py").read_text())


@functools.cache
def proofs_of(name: str) -> tuple[Proof, ...]:
    """List the tests of all modules that import a rewrite and reach it."""
    return tuple(_proofs(CLASSES[name], CLASSES[name]))


def _proofs(imported: str, used: str) -> Iterator[Proof]:
    for module in MODULES.values():
        if imported not in _imported(module):
            continue
        reaching = _reaching(module, used)
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and node.name in reaching:
                yield Proof(node.name, _examples(module, node))


def _imported(module: ast.Module) -> set[str]:
    imports = (node for node in module.body if isinstance(node, ast.ImportFrom))
    return {alias.name for node in imports for alias in node.names}


def _reaching(module: ast.Module, name: str) -> set[str]:
    """Names at the top of a module whose definition uses `name`, or another one that does."""
    found = {name}
    definitions = [pair for node in module.body for pair in _defined(node)]
    while more := {n for n, value in definitions if n not in found and _used(value) & found}:
        found |= more
    return found


def _defined(node: _Statement) -> list[tuple[str, ast.AST]]:
    """List the names that a statement defines, each with what it is made of."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [(node.name, node)]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    value: ast.AST = getattr(node, "value", None) or node
    return [pair for target in targets if target is not None for pair in _assigned(target, value)]


def _assigned(target: ast.AST, value: ast.AST) -> list[tuple[str, ast.AST]]:
    # A, B = First(), Second(): each name has its own
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = zip(target.elts, value.elts, strict=True)
        return [pair for one, part in pairs for pair in _assigned(one, part)]
    return [(part.id, value) for part in ast.walk(target) if isinstance(part, ast.Name)]


@functools.cache
def _used(node: ast.AST) -> frozenset[str]:
    arguments = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}  # fixtures
    names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    members = {
        f"{one.value.id}.{one.attr}"
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)
    }
    return frozenset(arguments | names | members)


def _examples(module: ast.Module, test: ast.FunctionDef) -> int:
    """Read how many configurations a test draws: at its own settings, or at those of a name."""
    if not any(_called(decorator) == "given" for decorator in test.decorator_list):
        return 0
    named = dict(
        pair for each in (DRAWING, module) for node in each.body for pair in _defined(node)
    )
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


@pytest.mark.parametrize("kind", Approximation)
def test_each_approximation_is_held_to_200_drawn_configurations(kind: Approximation) -> None:
    proofs = _proofs("Approximation", f"Approximation.{kind.name}")
    assert max((proof.examples for proof in proofs), default=0) >= EXAMPLES


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


def test_names_that_are_defined_together_have_each_its_own() -> None:
    module = ast.parse("A, B = First(), Second()\ndef test_a(): A()\ndef test_b(): B()\n")
    assert _reaching(module, "First") == {"First", "A", "test_a"}


def test_few_examples_are_found_out() -> None:
    module = ast.parse("@settings(max_examples=40)\n@given(x=1)\ndef test_a(x): Own()\n")
    (test,) = module.body
    assert isinstance(test, ast.FunctionDef)
    assert _examples(module, test) == 40
    assert _examples(module, ast.parse("def test_b(): pass").body[0]) == 0  # type: ignore[arg-type]
