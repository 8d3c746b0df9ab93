"""What the app says lies in its resources, and nothing lies there that it does not say."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

_MAIN = Path(__file__).parents[2] / "android_demo/app/src/main"
_STRINGS = _MAIN / "res/values/strings.xml"
_KINDS = {"string": "string", "string-array": "array", "plurals": "plurals"}
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_UNSEEN = re.compile(r"(?:\bLog\.[iew]|\bcheck|\bcheckNotNull)\(.*")  # the log, and bugs
_COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)


def _kotlin() -> dict[Path, str]:
    return {path: _COMMENT.sub("", path.read_text()) for path in _MAIN.rglob("*.kt")}


def _names() -> list[tuple[str, str]]:
    return [
        (_KINDS[node.tag], node.get("name") or "") for node in ElementTree.parse(_STRINGS).getroot()
    ]


def _sentences(source: str) -> list[str]:
    """Find literals of three words or more that a person may see."""
    literals = _LITERAL.findall(_UNSEEN.sub("", source))
    return [text for text in literals if sum(map(_is_word, text.split())) >= 3]


def _is_word(part: str) -> bool:
    return part.strip(".,:;'").replace("'", "").isalpha()


@pytest.mark.parametrize(("kind", "name"), _names())
def test_every_string_is_said(kind: str, name: str) -> None:
    xml = [path.read_text() for path in _MAIN.rglob("*.xml") if path != _STRINGS]
    said = re.compile(rf"(?:R\.{kind}\.|@{kind}/){name}\b")
    assert any(said.search(text) for text in [*_kotlin().values(), *xml])


def test_kotlin_holds_no_sentences() -> None:
    found = {path.name: _sentences(text) for path, text in _kotlin().items()}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_a_sentence_in_kotlin_would_be_found() -> None:
    assert _sentences('throw Refusal("A picture is required. Received: $uri.")')
    assert not _sentences('Log.w(TAG, "what follows was caused by", error)')
    assert not _sentences('private const val FOLDER = "portrait"')


def test_layouts_hold_no_words() -> None:
    for path in (_MAIN / "res").rglob("*.xml"):
        if path.parent.name.startswith("values"):
            continue
        said = re.findall(r'android:(?:text|hint|contentDescription)="([^"]*)"', path.read_text())
        assert all(text.startswith("@string/") for text in said), path
