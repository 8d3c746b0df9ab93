"""`report.html` in a real browser: nothing is fetched, nothing complains, nothing runs over."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from portrait_tflite.report.graph_picture import graph_svg
from portrait_tflite.report.html import render_html
from portrait_tflite.vocabulary import Candidate, LintChange, LintFinding

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_SCHEMES = ("light", "dark")
_WIDTHS = (1280, 768, 360, 320)
# Texts and backgrounds as they come out, through elements without a background of their own.
_CONTRASTS = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
  };
  return [...document.querySelectorAll('body *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => e.checkVisibility())
    .map(e => {
      const pair = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
      return [(pair[0] + 0.05) / (pair[1] + 0.05), e.textContent.trim().slice(0, 40)];
    });
}"""


# Every note, and whether it is cut off: on the right before, on the left after scrolling.
_NOTES = """() => [...document.querySelectorAll('.note div')].map(note => {
  const box = note.closest('.scroll');
  const inside = () => [note.getBoundingClientRect(), box.getBoundingClientRect()];
  box.scrollLeft = 0;
  const [before, frame] = inside();
  box.scrollLeft = box.scrollWidth;
  const [after] = inside();
  box.scrollLeft = 0;
  return [note.textContent, before.right > frame.right, after.left < frame.left];
})"""
# Lines of every tag, and the radius of its corners in px.
_TAGS = """() => [...document.querySelectorAll('.tag')].map(tag => {
  const style = getComputedStyle(tag);
  const height = tag.getBoundingClientRect().height;
  return [Math.floor(height / parseFloat(style.lineHeight)), parseFloat(style.borderRadius)];
})"""


@pytest.fixture(scope="module")
def browser(require_or_skip: Callable[[str], NoReturn]) -> Iterator[Any]:
    if _CHROMIUM is None:
        require_or_skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page_file(
    full_report: Any,
    make_strip: Callable[..., Any],
    relu_net: Callable[..., bytes],
    tmp_path: Path,
) -> Path:
    """A report with everything in it, and names that are too long for any screen."""
    long = "model/" + "x" * 400
    int8 = full_report.variants["int8"]
    outside = replace(full_report.variants["naive_batch1"].audit.xnnpack.outside[0], layer=long)
    audit = replace(int8.audit, xnnpack=replace(int8.audit.xnnpack, outside=(outside,)))
    wide = replace(
        full_report,
        command=f"portrait-tflite convert {long}",
        model=replace(full_report.model, name=long),
        variants={**full_report.variants, "int8": replace(int8, audit=audit, file=long)},
        rewrites=(replace(full_report.rewrites[0], layer=long, reason=long),),
    )
    path = tmp_path / "report.html"
    strips = [make_strip(), make_strip(long)]
    path.write_text(render_html(wide, strips, graph=graph_svg(relu_net())), "utf-8")
    return path


class Opened:
    """A page, and all that it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str) -> None:
        viewport = {"width": width, "height": 800}
        self.context = browser.new_context(color_scheme=scheme, viewport=viewport)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        for element in self.page.query_selector_all("details"):
            element.evaluate("element => { element.open = true }")


@pytest.fixture
def open_page(browser: Any, page_file: Path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def opening(width: int = 1280, scheme: str = "light", path: Path = page_file) -> Opened:
        opened = Opened(browser, path, width, scheme)
        contexts.append(opened.context)
        return opened

    yield opening
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", _SCHEMES)
@pytest.mark.parametrize("width", _WIDTHS)
def test_fits_any_screen(open_page: Callable[..., Opened], width: int, scheme: str) -> None:
    opened = open_page(width, scheme)
    scrolled, inner = opened.page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert inner == width
    assert scrolled <= width
    assert opened.complaints == []
    outside = [url for url in opened.requests if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert sum(url.startswith("file:") for url in opened.requests) == 1


@pytest.mark.parametrize("width", [390, 320])
def test_notes_are_read_without_scrolling(open_page: Callable[..., Opened], width: int) -> None:
    notes = open_page(width).page.evaluate(_NOTES)
    assert len(notes) > 2
    assert [text for text, *cut in notes if any(cut)] == []


def test_the_check_sees_notes_that_are_cut_off(
    open_page: Callable[..., Opened], page_file: Path, tmp_path: Path
) -> None:
    html = page_file.read_text("utf-8")
    for name, css in {"wide": "max-width: none", "loose": "position: static"}.items():
        broken = tmp_path / f"{name}.html"
        style = f"<style>.note div {{ {css} !important }}</style></head>"
        broken.write_text(html.replace("</head>", style), "utf-8")
        assert any(any(cut) for _, *cut in open_page(320, path=broken).page.evaluate(_NOTES))


def test_forms_that_were_timed_are_read_without_scrolling(
    open_page: Callable[..., Opened], full_report: Any, tmp_path: Path
) -> None:
    forms = tuple(
        Candidate(name, 2, 0.017, 0.0011215) for name in ("transpose_conv", "upsampling_conv")
    )
    record = replace(
        full_report.rewrites[0],
        layer="conv2d_transpose_10_phases",
        chosen="transpose_conv",
        candidates=forms,
        reason="×2; Keras lowers it to RESHAPE and TILE of rank 5; fastest on this host",
    )
    path = tmp_path / "tuned.html"
    path.write_text(render_html(replace(full_report, rewrites=(record,)), ()), "utf-8")
    tables = open_page(1280, path=path).page.evaluate(
        "[...document.querySelectorAll('#rewrites .scroll')]"
        ".map(box => [box.scrollWidth, box.clientWidth])"
    )
    assert len(tables) == 1
    assert [t for t in tables if t[0] > t[1]] == []


def test_the_audit_is_read_without_scrolling(
    open_page: Callable[..., Opened], full_report: Any, tmp_path: Path
) -> None:
    finding = LintFinding(
        "transposed_convolution",
        ("conv2d_transpose_4", "conv2d_transpose_2"),
        "4 transposed convolutions",
        "resize and then convolve; `--rewrite resize` fits that to a trained net",
        "Deconvolution and Checkerboard Artifacts (Odena et al. 2016)",
        16.5,
        0.07,
        (LintChange("1×1, resize bilinearly, depthwise 3×3", 8.54),),
    )
    int8 = replace(full_report.variants["int8"], lint=(finding,))
    linted = replace(full_report, variants={**full_report.variants, "int8": int8})
    path = tmp_path / "audit.html"
    path.write_text(render_html(linted, ()), "utf-8")
    tables = open_page(1280, path=path).page.evaluate(
        "[...document.querySelectorAll('#audit .scroll')]"
        ".map(box => [box.scrollWidth, box.clientWidth])"
    )
    assert len(tables) > 1
    assert [pair for pair in tables if pair[0] > pair[1]] == []


def test_tags_hold_their_text(open_page: Callable[..., Opened]) -> None:
    """A tag of several lines is no oval, which its corners would run into."""
    tags = open_page(320).page.evaluate(_TAGS)
    assert max(lines for lines, _ in tags) > 1
    assert all(radius <= 6 for lines, radius in tags if lines > 1)


def test_the_check_sees_a_page_that_runs_over(
    open_page: Callable[..., Opened], page_file: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    html = page_file.read_text("utf-8")
    wide = '<div style="width: 2000px">wide</div><img src="http://example.invalid/a.png">'
    broken.write_text(html.replace("<main>", f"<main>{wide}"), "utf-8")
    opened = open_page(360, path=broken)
    assert opened.page.evaluate("document.scrollingElement.scrollWidth") > 360
    # The page's own policy stops the request before it is made.
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)


@pytest.mark.parametrize("scheme", _SCHEMES)
def test_every_text_can_be_read(open_page: Callable[..., Opened], scheme: str) -> None:
    contrasts = open_page(1280, scheme).page.evaluate(_CONTRASTS)
    assert len(contrasts) > 100
    # Web Content Accessibility Guidelines 2.2, 1.4.3: text of body size.
    assert [text for ratio, text in contrasts if ratio < 4.5] == []


def test_pictures_are_decoded(open_page: Callable[..., Opened]) -> None:
    sizes = open_page().page.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt])")
    assert len(sizes) == 8
    assert all(width == 32 and alt for width, alt in sizes)


def test_dark_differs_from_light(open_page: Callable[..., Opened]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = (open_page(scheme=scheme).page.evaluate(colour) for scheme in _SCHEMES)
    assert light != dark


def test_prints_what_is_folded(browser: Any, page_file: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    heights = page.evaluate(
        "[...document.querySelectorAll('details:not([open]) table')].map(t => t.offsetHeight)"
    )
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert heights
    assert all(height > 0 for height in heights)
    assert background == "rgb(255, 255, 255)"
