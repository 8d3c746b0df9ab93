"""The app's Kotlin sets what its shaders declare: a name that is wrong is passed over by OpenGL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_MAIN = Path(__file__).parents[2] / "android_demo/app/src/main"
_PASSES = ("FramePasses.kt", "EffectPasses.kt")
_VERTEX = "quad_vertex"
# How many values a uniform takes in Kotlin, the place of a texture's unit being one.
_VALUES = {"sampler2D": 1, "int": 1, "bool": 1, "float": 1, "ivec2": 2, "vec3": 3, "vec4": 4}
_DECLARED = re.compile(r"uniform (?:highp )?(\w+) ([\w, ]+);")
_PROGRAM = re.compile(r"val (\w+) = Program\(resources, R\.raw\.(\w+)\)")


def _declared(shader: str) -> dict[str, tuple[str, int]]:
    """Find how each uniform of a shader is to be set."""
    text = (_MAIN / f"res/raw/{shader}.glsl").read_text()
    return {
        name.strip(): ("texture" if kind == "sampler2D" else "set", _VALUES[kind])
        for kind, names in _DECLARED.findall(text)
        for name in names.split(",")
    }


def _set() -> dict[str, dict[str, tuple[str, int]]]:
    """Find how Kotlin sets the uniforms of each fragment shader."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for name in _PASSES:
        (path,) = _MAIN.rglob(name)
        text = path.read_text()
        for program, shader in _PROGRAM.findall(text):
            calls = re.finditer(rf"\b{program}\.(set|texture)\(\s*\"(\w+)\",", text)
            found[shader] = {c[2]: (c[1], _arguments(text[c.end() :])) for c in calls}
    return found


def _arguments(text: str) -> int:
    """Count the arguments up to the parenthesis that closes the call."""
    depth, commas, last = 0, 0, ""
    for letter in text:
        if letter == ")" and depth == 0:
            break
        depth += (letter == "(") - (letter == ")")
        commas += letter == "," and depth == 0
        last = letter if not letter.isspace() else last
    return commas + (last != ",")


@pytest.mark.parametrize(
    "shader", sorted(path.stem for path in (_MAIN / "res/raw").glob("*_fragment.glsl"))
)
def test_kotlin_sets_what_the_shader_declares(shader: str) -> None:
    given = _set()[shader]
    of_vertex = _declared(_VERTEX)
    # The vertices' are 0 where nobody sets them: a picture that is not the screen's.
    assert {name: how for name, how in given.items() if name not in of_vertex} == _declared(shader)
    assert all(given[name] == of_vertex[name] for name in set(given) & set(of_vertex))


def test_only_what_is_shown_on_the_screen_is_turned_for_it() -> None:
    assert [shader for shader, given in _set().items() if "screen" in given] == ["show_fragment"]


def test_arguments_are_counted() -> None:
    assert _arguments(" if (a) 1 else 0, f(x, y))") == 2
    assert _arguments("\n  a,\n  b,\n)") == 2
