"""`benchmark.html`: every figure with its machine, every gap with its reason, nothing that runs."""

from __future__ import annotations

from dataclasses import replace

from portrait_tflite.report.measured_page import render_measured, render_phone
from portrait_tflite.vocabulary import (
    ArmCost,
    BenchmarkResult,
    Delegate,
    DeviceResult,
    LatencyMs,
    Machine,
    Phone,
    PhoneApp,
    PhoneModel,
    SelfTest,
)

MACHINE = Machine("a <CPU>", ("avx2",), 2, "Linux")
LATENCY = LatencyMs(12.34, 12.5, 13.0, 14.0, 12.0, 0.1)
ROW = BenchmarkResult(
    "net <b>", "host", Delegate.XNNPACK, "int8", 4, partitions=1, latency_ms=LATENCY, stable=True
)


def test_the_hosts_page_has_figures_gaps_and_no_markup_of_others() -> None:
    missing = replace(ROW, delegate=Delegate.GPU, latency_ms=None, unavailable="no adapter")
    software = replace(ROW, delegate=Delegate.GPU, software=True)
    cost = ArmCost("net", "cortex-a76", instructions=9_000_000, cycles=5e6, partitions=1)
    uncounted = ArmCost("other", "cortex-a76", unavailable="not set up")
    page = render_measured(MACHINE, [ROW, missing, software], [cost, uncounted])
    assert "12.34" in page
    assert "a &lt;CPU&gt;, 2 cores" in page
    assert "<b>" not in page
    assert "not measured: net &lt;b&gt; on gpu: no adapter" in page
    assert "software: never a speed" in page
    assert "5.00" in page
    assert "not counted: other: not set up" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "No latency was measured" in render_measured(MACHINE, [missing])


def test_the_phones_page_says_what_failed() -> None:
    phone = Phone("Acme", "One", "T1000", "14", "arm64-v8a", 8)
    tests = (
        SelfTest("int8", Delegate.XNNPACK, 1, 0, 0.7, 90.0, passed=False),
        SelfTest("int8", Delegate.GPU, 1, None, None, None, passed=None, unavailable="no OpenCL"),
        SelfTest("int8", Delegate.CPU, 1, 0, 0.999, 2.0, passed=True),
    )
    result = DeviceResult(phone, PhoneApp("1", "2.16.1"), PhoneModel("net", ""), tests, (ROW,))
    page = render_phone(MACHINE, result)
    assert "Benchmark on Acme One" in page
    assert "int8 on xnnpack: FAILED on 1 of 1, least IoU 0.7000, largest step 90" in page
    assert "int8 on gpu: not run: no OpenCL" in page
    assert "int8 on cpu: passed, least IoU 0.9990" in page
