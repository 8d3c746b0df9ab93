"""The report for people: what was rewritten, what it cost, what to do next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console

from portrait_tflite.report.summary import summarize
from portrait_tflite.vocabulary import (
    BenchmarkResult,
    Delegate,
    LatencyMs,
    Level,
    RoundingError,
    SkippedRewrite,
    WholeNetError,
)


def shown(report: Any, failures: tuple[str, ...] = ()) -> str:
    console = Console(width=140, record=True, quiet=False, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(summarize(report, "the-folder", failures))
    return capture.get()


def test_says_what_leaves_the_delegate_and_why(report: Any) -> None:
    text = shown(report)
    assert "int8, XNNPACK: SOFTMAX (head): not in int8. use a sigmoid" in text
    assert "naive, XNNPACK" not in text
    assert "2, 1 outside" in text


def test_says_why_what_has_a_form_inside_stays_outside(report: Any) -> None:
    tried = SkippedRewrite("through_float", "head", "SOFTMAX: cheaper outside")
    others = SkippedRewrite("through_float", "other", "SOFTMAX: nothing gained")
    text = shown(replace(report, skipped=(others, tried)))
    assert "SOFTMAX (head): not in int8. cheaper outside" in text


def test_a_layer_that_both_plans_rewrite_counts_once(report: Any) -> None:
    record = report.rewrites[0]
    both = replace(report, rewrites=(record, replace(record, reason="cheapest for gpu")))
    assert "1 × transposed_convolution → subpixel in the Keras graph" in shown(both)


def test_an_approximate_form_shows_residual_and_costs(report: Any) -> None:
    record = replace(report.rewrites[0], exact=False, chosen="resize_conv", max_rel_error=0.25)
    text = shown(replace(report, rewrites=(record,)))
    assert "→ resize_conv in the Keras graph, approximate" in text
    assert "up: resize_conv is another function, off by up to 25.0% of the largest" in text
    assert "subpixel 1.25, resize_conv 0.700" in text
    assert "fine-tune with --finetune DIR" in text


def test_rounding_is_said_beside_the_whole_nets_difference(report: Any) -> None:
    assert "float64" not in shown(report)
    error = WholeNetError(4e-5, 4.1e-5, 4, RoundingError(original=2.3e-5, rewritten=3.6e-5))
    text = shown(replace(report, rewritten=error))
    assert "in float64 the original is 2.3e-05 away, the rewritten one 3.6e-05" in text


def test_a_drop_that_rounds_to_nothing_has_no_minus(report: Any) -> None:
    variant = report.variants["int8"]
    drop = replace(variant.accuracy.drop, miou=-0.001)
    variant = replace(variant, accuracy=replace(variant.accuracy, drop=drop))
    text = shown(replace(report, variants={"int8": variant}))
    assert "+0.00" in text
    assert "-0.00" not in text


def test_a_mended_file(report: Any) -> None:
    record = replace(report.rewrites[0], level=Level.FLATBUFFER, rewrite="relu", chosen="relu")
    assert "1 × relu in the finished file" in shown(replace(report, rewrites=(record,)))


def test_another_rounding_in_a_file_is_no_other_function(report: Any) -> None:
    record = replace(report.rewrites[0], level=Level.FLATBUFFER, exact=False)
    text = shown(replace(report, rewrites=(record,)))
    assert "in the finished file, within one step" in text
    assert "--finetune" not in text


def test_gates_that_failed_come_with_a_way_on(report: Any) -> None:
    text = shown(report, ("int8: mIoU drops by 3.00 points, at most 1 allowed",))
    assert "Not passed" in text
    assert "at most 1 allowed" in text
    assert "compare the worst images" in text


def test_a_failed_runtime_gate_is_no_matter_of_pictures(report: Any) -> None:
    accuracy = replace(report.variants["int8"].accuracy, passed=True)
    passed = replace(report.variants["int8"], accuracy=accuracy)
    text = shown(replace(report, variants={"int8": passed}), ("int8: CONV_2D needs 2.9",))
    assert "Not passed" in text
    assert "worst images above" not in text


def test_latency_stands_with_its_partitions_and_gaps_with_their_reason(report: Any) -> None:
    latency = LatencyMs(1.5, 1.6, 2.0, 2.25, 1.25, 0.1)
    timed = BenchmarkResult(
        "int8", "host", Delegate.XNNPACK, "int8", 1, partitions=1, latency_ms=latency
    )
    gap = BenchmarkResult("int8", "host", Delegate.GPU, "int8", 1, unavailable="no GPU here")
    text = shown(replace(report, benchmarks=(timed, gap)))
    assert "1.50" in text
    assert "no GPU here" in text
    assert "avx2" in text


def test_without_labels_says_how_to_measure(report: Any) -> None:
    assert "no labels were given" not in shown(report)
    accuracy = replace(report.variants["int8"].accuracy, labelled=False)
    unlabelled = replace(report.variants["int8"], accuracy=accuracy)
    assert "no labels were given" in shown(replace(report, variants={"int8": unlabelled}))
