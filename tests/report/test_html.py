"""What `report.html` says: every section in its order, every gap with its reason, all escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from portrait_tflite.report.graph_picture import graph_svg
from portrait_tflite.report.html import render_html
from portrait_tflite.report.strips import LONG_SIDE
from portrait_tflite.vocabulary import OutsideOp

_SECTIONS = [
    "verdict", "variants", "arm-cost", "rewrites", "skipped", "calibration", "accuracy", "audit",
    "profile", "machine", "command",
]  # fmt: skip
_VOID = {"meta", "link", "img", "rect", "br"}


class Page(HTMLParser):
    """The text below each section, and whether every tag is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._section = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag not in _VOID:
            self.open.append(tag)
        if tag in ("section", "header"):
            self._section = values["id"] or ""
            self.text[self._section] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._section:
            self.text[self._section] += f" {data}"

    def said(self, section: str) -> str:
        return " ".join(self.text[section].split())


@pytest.fixture
def page(full_report: Any, make_strip: Callable[..., Any]) -> Page:
    return Page(render_html(full_report, [make_strip(), make_strip("m.png", kind="median")]))


def test_sections_stand_in_their_order(page: Page) -> None:
    assert list(page.text) == _SECTIONS
    links = [values["href"] for tag, values in page.tags if tag == "a"]
    assert links == [f"#{section}" for section in _SECTIONS]


def test_the_verdict_comes_with_its_reasons_and_gaps(page: Page) -> None:
    verdict = page.said("verdict")
    assert "Passed, with open points" in verdict
    assert "int8: 1 XNNPACK partition, no op outside" in verdict
    assert "0.37 × float32 and 0.77 × naive_batch1 (for comparing, no milliseconds)" in verdict
    assert "Not proved" in verdict
    assert "No phone" in verdict
    assert "The GPU was SwiftShader, which is software: it proves function, never speed" in verdict


def test_every_latency_has_its_partitions_beside_it(page: Page) -> None:
    variants = page.said("variants")
    assert "int8 XNNPACK meant for host, 1 thread 1 1.50 2.00 1.25 2.50 3.50 40" in variants
    assert "31 % of this CPU's measured peak" in variants
    assert "unstable · the clock is coarse" in variants
    assert "GPU host rules take every op – not measured: no Vulkan adapter" in variants
    assert "naive_batch1 baseline XNNPACK 6, 2 ops outside not measured" in variants


def test_software_is_labelled_where_its_figures_are(page: Page) -> None:
    variants = page.said("variants")
    assert "GPU meant for host, SwiftShader software: never a speed every op 77.25" in variants
    assert "IoU 0.9991 with the CPU's mask, largest difference 0.012" in variants


def test_arm_cost_is_said_to_be_a_bound(page: Page) -> None:
    cost = page.said("arm-cost")
    assert "A bound for comparing, without caches; no milliseconds." in cost
    assert "int8 34.7 M cycles · 0.77 × naive_batch1 1 partition, 104 M instructions" in cost
    assert "naive_batch1 baseline 45.2 M cycles 6 partitions" in cost
    assert "float16 was not counted: it crashed the runtime" in cost


def test_bars_are_as_long_as_the_costs(full_report: Any) -> None:
    html = render_html(full_report)
    chart = html[html.index('id="arm-cost"') : html.index('id="rewrites"')]
    widths = [float(width) for width in re.findall(r'class="fill" width="([\d.]+)%"', chart)]
    assert widths == pytest.approx([100, 100 * 34.7 / 94.4, 100 * 45.2 / 94.4], abs=0.01)


def test_forms_that_lost_stand_with_their_costs(page: Page) -> None:
    rewrites = page.said("rewrites")
    assert "transposed_convolution → subpixel Keras graph exact" in rewrites
    assert "subpixel 1.25 resize_conv 0.700, 2 ops outside" in rewrites
    assert "relu_to_quantize" in rewrites
    assert "finished file" in rewrites
    assert "on 4 pictures: largest difference 1.0e-6, 2.5e-6 of the largest value" in rewrites
    assert "nearest_upsampling 1 kept: cheapest for gpu up_2" in page.said("skipped")


def test_calibration_checks(page: Page) -> None:
    checks = page.said("calibration")
    assert "200 pictures of photos" in checks
    assert "✓ finite 0 hold NaN" in checks
    assert "! dark and bright 12% of the range is used" in checks


def test_accuracy_and_its_pictures(page: Page) -> None:
    accuracy = page.said("accuracy")
    figures = "0.9450 0.07 0.02 to 0.11 0.9600 0.05 0.8200 −0.10 0.7900 0.9900 0.0040 0.262 −0.30"
    assert f"int8 ✓ passed {figures}" in accuracy
    scores = "0.05 0.00 to 0.10 0.07 0.02 to 0.11 −0.10 −0.20 to 0.00 0.20 0.10 to 0.30"
    errors = "0.40 0.30 to 0.50 0.262 0.200 to 0.330 0.01 −0.01 to 0.03 0.007 −0.007 to 0.020"
    assert f"int8 {scores} {errors}" in accuracy
    assert "worst a.png IoU 0.930 → 0.810 · 3.44 % of the pixels differ" in accuracy
    assert "median m.png" in accuracy
    assert "equalization yes 0.90 0.70 34.00 34.10 1 1" in accuracy
    assert "head stays in float: it loses 0.3 points in int8" in accuracy
    assert "a.png 0.900 0.700 20.00" in accuracy
    images = [values for tag, values in page.tags if tag == "img"]
    assert len(images) == 8
    assert images[0]["alt"] == "the picture a.png"
    assert images[2]["alt"] == "mask of int8"
    assert all((image["src"] or "").startswith("data:image/") for image in images)


def test_audit_says_what_to_change(page: Page) -> None:
    audit = page.said("audit")
    assert "2 ops outside XNNPACK in naive_batch1 baseline" in audit
    assert "SOFTMAX 2 not in int8 use a sigmoid – head" in audit


def test_profiles_of_time_and_of_arm_cost(page: Page) -> None:
    profile = page.said("profile")
    assert "int8 arm64-model, xnnpack op million cycles, a bound" in profile
    assert "CONV_2D 3.00 75.0 % – conv_1 ADD 1.00 25.0 %" in profile
    assert "SOFTMAX 0.333 25.0 % cpu head" in profile
    assert profile.count("Every op was run alone") == 1


def test_how_to_make_it_again(page: Page) -> None:
    assert "portrait-tflite convert net.keras" in page.said("command")
    assert "some CPU, 2 cores" in page.said("machine")
    assert "tensorflow 2.21.0" in page.said("machine")


def test_empty_sections_say_why(report: Any) -> None:
    page = Page(render_html(replace(report, rewrites=(), variants={})))
    assert "No latency was measured: benchmarking was switched off" in page.said("variants")
    assert "Not measured:" in page.said("arm-cost")
    assert "Nothing was rewritten" in page.said("rewrites")
    assert "Nothing was skipped" in page.said("skipped")
    assert "no integer variant was quantized in this run" in page.said("calibration")
    assert "Nothing was scored" in page.said("accuracy")
    assert "Nothing stays outside" in page.said("audit")
    assert "No per-op profile was taken" in page.said("profile")
    assert page.said("machine")


def test_without_pictures_the_worst_are_named(report: Any) -> None:
    accuracy = Page(render_html(report)).said("accuracy")
    assert "No pictures are embedded here" in accuracy
    assert "a.png 0.900 0.700 20.00" in accuracy


def test_a_failed_gate(report: Any) -> None:
    page = Page(render_html(report, failures=["int8: CONV_2D v6 needs runtime 2.9"]))
    assert "Not good to ship" in page.said("verdict")
    assert "✗ Gate int8: CONV_2D v6 needs runtime 2.9" in page.said("verdict")
    assert "int8 ✗ failed" in page.said("accuracy")


def test_names_are_text_and_never_markup(report: Any, make_strip: Callable[..., Any]) -> None:
    evil = "<script>alert('x')</script>\"'><img src=http://x/y>"
    op = OutsideOp(evil, evil, evil, evil, evil)
    int8 = report.variants["int8"]
    audit = replace(int8.audit, xnnpack=replace(int8.audit.xnnpack, outside=(op,)))
    accuracy = replace(int8.accuracy, worst=(replace(int8.accuracy.worst[0], image=evil),))
    html = render_html(
        replace(
            report,
            command=f"portrait-tflite convert {evil}",
            model=replace(report.model, name=evil, source=evil, licence=evil),
            rewrites=(replace(report.rewrites[0], layer=evil, reason=evil),),
            variants={"int8": replace(int8, file=evil, audit=audit, accuracy=accuracy), evil: int8},
            scored_on=evil,
            versions={evil: evil},
            machine=replace(report.machine, cpu=evil),
        ),
        [make_strip(evil)],
        [evil],
    )
    page = Page(html)
    assert "<script" not in html
    assert not [values for tag, values in page.tags if tag == "script"]
    images = [values["src"] or "" for tag, values in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(source.startswith("data:") for source in images)
    assert evil in page.said("command")


def test_a_released_file(report: Any) -> None:
    released = replace(report.variants["int8"], file="net-as_released.tflite")
    mended = replace(report.variants["int8"], accuracy=replace(released.accuracy, passed=True))
    page = Page(
        render_html(
            replace(report, passed=True, variants={"int8": mended, "as_released": released})
        )
    )
    assert "mIoU points lost against the released file: int8 3.00" in page.said("verdict")
    assert "as_released baseline" in page.said("accuracy")


def test_without_labels_nothing_is_claimed_about_them(full_report: Any) -> None:
    variants = {
        name: replace(one, accuracy=replace(one.accuracy, labelled=False))
        for name, one in full_report.variants.items()
    }
    page = Page(render_html(replace(full_report, variants=variants)))
    assert "no labels: what is known is how far the masks agree" in page.said("verdict")
    assert "without labels, against the masks of the float model" in page.said("accuracy")


def test_nothing_comes_from_outside(full_report: Any, make_strip: Callable[..., Any]) -> None:
    html = render_html(full_report, [make_strip()])
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "<script" not in html
    policy = next(v["content"] for _, v in Page(html).tags if "http-equiv" in v)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_large_reports_stay_small_files(full_report: Any, make_strip: Callable[..., Any]) -> None:
    long = "model/" + "batchnorm;" * 40
    ops = tuple(OutsideOp(f"OP_{n}", f"{long}{n}", "", f"why {n}", "fix") for n in range(2000))
    variant = full_report.variants["int8"]
    audit = replace(variant.audit, gpu=replace(variant.audit.gpu, outside=ops, complete=False))
    rewrites = tuple(replace(full_report.rewrites[0], layer=f"{long}{n}") for n in range(2000))
    strips = [make_strip(f"{n}.png", LONG_SIDE, LONG_SIDE) for n in range(6)]
    html = render_html(
        replace(full_report, rewrites=rewrites, variants={"int8": replace(variant, audit=audit)}),
        strips,
    )
    assert len(html.encode()) < 1.5e6
    page = Page(html)
    assert "1975 more kinds in report.json" in page.said("audit")
    assert "1940 more in report.json" in page.said("rewrites")
    assert "2000 ×" in page.said("rewrites")


def test_tables_name_their_columns(page: Page) -> None:
    tables = [values for tag, values in page.tags if values.get("role") == "region"]
    assert tables
    assert all(table["aria-label"] and table["tabindex"] == "0" for table in tables)
    headers = [values for tag, values in page.tags if tag == "th"]
    assert {values.get("scope") for values in headers} == {"col", "row", "rowgroup"}


def test_the_main_variant_is_drawn_op_by_op(
    full_report: Any, relu_net: Callable[..., bytes]
) -> None:
    assert "<svg xmlns" not in render_html(full_report)
    html = render_html(full_report, graph=graph_svg(relu_net()))
    assert "int8, op by op" in html
    assert html.count('<svg xmlns="http://www.w3.org/2000/svg" class="graph"') == 1
