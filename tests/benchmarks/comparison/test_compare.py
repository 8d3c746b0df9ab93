"""Reading result files and telling what changed between two."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.benchmarks.comparison.compare import Comparison, compare_results
from portrait_tflite.benchmarks.comparison.result_file import read_results
from portrait_tflite.errors import UsageError

Edit = Callable[[dict[str, Any]], object]
Compare = Callable[..., Comparison]

SAMPLES = [[4.0, 4.1, 3.9, 4.0], [4.1, 4.0, 4.0, 3.9], [3.95, 4.0, 4.05, 4.0]]
ROW = {
    "variant": "int8", "device": "host", "delegate": "xnnpack", "precision": "int8", "threads": 1,
    "software": False, "unavailable": "", "latency_ms": {"median": 4.0}, "samples_ms": SAMPLES,
}  # fmt: skip
RESULT: dict[str, Any] = {
    "schema": 1,
    "versions": {"ai-edge-litert": "2.3.0"},
    "machine": {"cpu": "C", "isa": ["avx", "avx2"], "cores": 2, "os": "Linux"},
    "benchmarks": [ROW, {**ROW, "delegate": "cpu"}],
    "arm_cost": [{"variant": "int8", "cpu": "cortex-a76", "delegate": "xnnpack", "cycles": 1e8}],
    "variants": {
        "int8": {"bytes": 4096, "accuracy": {"drop": {"miou": 0.3}, "passed": True}},
        "float32": {"bytes": 9000, "accuracy": None},
    },
}


def slower(row: dict[str, Any], factor: float) -> None:
    row["samples_ms"] = [[factor * run for run in one] for one in row["samples_ms"]]
    row["latency_ms"] = {"median": factor * row["latency_ms"]["median"]}


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Give a function that compares the result above with an edited copy of it."""

    def call(edit: Edit, **options: Any) -> Comparison:
        after: dict[str, Any] = deepcopy(RESULT)
        edit(after)
        paths = tmp_path / "old.json", tmp_path / "new.json"
        for path, data in zip(paths, (RESULT, after), strict=True):
            path.write_text(json.dumps(data))
        return compare_results(*map(read_results, paths), **options)

    return call


def test_a_file_equals_itself(compare: Compare) -> None:
    result = compare(dict)  # edits nothing
    assert [change.ratio for change in result.speed] == [1, 1]
    assert not any(change.significant or change.note for change in result.speed)
    assert (result.values, result.only_old, result.only_new, result.unlike) == ((),) * 4
    assert result.regressions == ()


@pytest.mark.parametrize(
    ("factor", "significant", "regression"),
    [(1.15, True, True), (1.08, True, False), (0.8, True, False), (1.01, False, False)],
)
def test_only_what_is_slower_by_more_than_allowed_is_a_regression(
    compare: Compare, factor: float, significant: bool, regression: bool
) -> None:
    change, other = compare(lambda data: slower(data["benchmarks"][0], factor)).speed
    assert change.ratio == pytest.approx(factor)
    assert (change.significant, change.regression) == (significant, regression)
    assert not other.significant


def test_the_limit_is_the_users(compare: Compare) -> None:
    def edit(data: dict[str, Any]) -> None:
        slower(data["benchmarks"][0], 1.15)

    assert compare(edit, max_slowdown=20.0).regressions == ()
    assert len(compare(edit, max_slowdown=0.0).regressions) == 1


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        (lambda row: row.update(software=True), "new: a software adapter proves function"),
        (lambda row: row.pop("samples_ms"), "new: the single timings are not in the file"),
        (lambda row: row.update(samples_ms=[[9.0] * 12]), "one process says nothing"),
    ],
)
def test_what_cannot_be_judged_says_why(compare: Compare, edit: Edit, note: str) -> None:
    change = compare(lambda data: edit(data["benchmarks"][0])).speed[0]
    assert change.note.startswith(note)
    assert not change.significant
    assert not change.regression


def crash(row: dict[str, Any]) -> None:
    row.update(unavailable="it crashed", latency_ms=None, samples_ms=[], fault="file")


def test_what_was_measured_before_and_crashes_now_is_a_regression(compare: Compare) -> None:
    result = compare(lambda data: crash(data["benchmarks"][0]), max_slowdown=1e6)
    lost, other = result.speed
    assert (lost.lost, lost.regression, lost.significant) == (True, True, False)
    assert lost.note == "new: it crashed"
    assert result.regressions == result.lost == (lost,)
    assert not other.lost
    killed = compare(lambda data: (crash(data["benchmarks"][0]),
                                   data["benchmarks"][0].update(fault="machine")))  # fmt: skip
    assert killed.speed[0].regression


@pytest.mark.parametrize(
    ("known", "lost"),
    [
        ({"fault": "machine"}, False),
        ({"fault": "machine", "adapter": "Card"}, False),  # the process was killed
        ({"fault": None, "adapter": "Card"}, True),
        ({"fault": "file"}, True),
        ({"adapter": ""}, False),  # of the first version
        ({"adapter": "Card"}, True),
    ],
)
def test_a_gpu_that_this_machine_lacks_is_a_note(
    compare: Compare, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], lost: bool
) -> None:
    row = {**ROW, "delegate": "gpu", "adapter": "Card"}
    monkeypatch.setitem(RESULT, "benchmarks", [row])

    def edit(data: dict[str, Any]) -> None:
        data["benchmarks"] = [{**ROW, "delegate": "gpu", "unavailable": "gone",
                               "latency_ms": None, "samples_ms": [], **known}]  # fmt: skip

    (change,) = compare(edit).speed
    assert (change.lost, change.regression, change.note) == (lost, lost, "new: gone")


def test_what_was_not_measured_before_cannot_be_lost(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {**ROW, "unavailable": "it crashed", "latency_ms": None, "samples_ms": []}
    monkeypatch.setitem(RESULT, "benchmarks", [row])
    assert compare(dict).regressions == ()


@pytest.mark.parametrize(("fault", "lost"), [("file", True), ("machine", False)])
def test_a_cost_that_is_not_to_be_had_any_more(compare: Compare, fault: str, lost: bool) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["arm_cost"][0].update(cycles=None, unavailable="why", fault=fault)

    (change,) = compare(edit).values
    assert (change.what, change.old, change.new) == ("arm_cycles", 1e8, None)
    assert (change.lost, change.regression, change.note) == (lost, lost, "new: why")


@pytest.mark.parametrize("value", [0.0, -4.0, math.nan, math.inf, "x", 10**400])
@pytest.mark.parametrize("what", ["sample", "median", "cycles", "bytes"])
def test_figures_that_no_clock_gives_are_refused(compare: Compare, what: str, value: Any) -> None:
    def edit(data: dict[str, Any]) -> None:
        row = data["benchmarks"][0]
        places: dict[str, Callable[[], object]] = {
            "sample": lambda: row["samples_ms"][1].append(value),
            "median": lambda: row.update(latency_ms={"median": value}),
            "cycles": lambda: data["arm_cost"][0].update(cycles=value),
            "bytes": lambda: data["variants"]["int8"].update(bytes=value),
        }
        places[what]()

    with pytest.raises(
        UsageError, match=r"new\.json, in which something is missing or wrong"
    ) as no:
        compare(edit)
    assert len(str(no.value).splitlines()) == 1


def test_milliseconds_and_change_are_of_one_level(compare: Compare) -> None:
    """The pooled median of these is 1.0, since the first process has most of the runs."""

    def edit(data: dict[str, Any]) -> None:
        data["benchmarks"][0]["samples_ms"] = [[1.0] * 30, [9.0] * 3, [8.0] * 3]
        data["benchmarks"][0]["latency_ms"] = {"median": 1.0}

    change = compare(edit).speed[0]
    assert (change.old_ms, change.new_ms) == (pytest.approx(4.0), 6.0)
    assert change.ratio == pytest.approx(change.new_ms / change.old_ms)


def test_costs_are_in_the_files_order(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"net{number}" for number in (3, 1, 4, 0, 5, 9, 2, 6)]
    costs = [{**RESULT["arm_cost"][0], "variant": name} for name in names]
    monkeypatch.setitem(RESULT, "arm_cost", costs)
    result = compare(lambda data: [cost.update(cycles=2e8) for cost in data["arm_cost"]])
    assert [change.variant for change in result.values] == names


def test_counted_cycles_differ_for_real(compare: Compare) -> None:
    def cycles(factor: float) -> Edit:
        return lambda data: data["arm_cost"][0].update(cycles=1e8 * factor)

    assert compare(cycles(1.00005)).values == ()
    (change,) = compare(cycles(1.001)).values
    assert (change.what, change.old, change.new, change.regression) == (
        "arm_cycles", 1e8, pytest.approx(1.001e8), False,
    )  # fmt: skip
    assert len(compare(cycles(1.2)).regressions) == 1


def test_size_accuracy_and_gate_are_reported_and_no_regression(compare: Compare) -> None:
    def edit(data: dict[str, Any]) -> None:
        accuracy = {"drop": {"miou": 1.4}, "passed": False}
        data["variants"]["int8"] = {"bytes": 5000, "accuracy": accuracy}

    result = compare(edit)
    assert [(c.what, c.old, c.new) for c in result.values] == [
        ("bytes", 4096, 5000), ("drop_miou", 0.3, 1.4), ("passed", True, False),
    ]  # fmt: skip
    assert result.regressions == ()


def test_cells_of_one_side_are_named(compare: Compare) -> None:
    result = compare(lambda data: data["benchmarks"][1].update(variant="float32"))
    assert result.only_old == ("int8 on cpu",)
    assert result.only_new == ("float32 on cpu",)
    assert result.regressions == ()
    without = compare(lambda data: data.update(arm_cost=[]))
    assert without.only_old == ("int8 on arm64-model, xnnpack",)


@pytest.mark.parametrize(
    ("edit", "unlike"),
    [
        (lambda data: data["machine"].update(isa=["avx"]), "instruction sets avx avx2 and avx"),
        (lambda data: data["machine"].update(cpu="D"), "CPUs 'C' and 'D'"),
        (lambda data: data["machine"].update(cores=4), "2 and 4 cores"),
        (lambda data: [r.update(threads=2) for r in data["benchmarks"]], "1 threads and 2 threads"),
    ],
)
def test_unlike_machines_and_settings_need_force(compare: Compare, edit: Edit, unlike: str) -> None:
    with pytest.raises(UsageError, match=f"{unlike}.*add --force"):
        compare(edit)
    forced = compare(edit, force=True)
    assert forced.unlike == (unlike,)
    assert len(forced.speed) == 2


def test_counted_figures_alone_do_not_depend_on_the_machine(compare: Compare) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["benchmarks"] = []
        data["machine"]["isa"] = ["asimd"]
        data["arm_cost"][0]["cycles"] = 2e8

    assert len(compare(edit, force=False).values) == 1


def test_nothing_in_common_is_refused(compare: Compare) -> None:
    def edit(data: dict[str, Any]) -> None:
        data.update(arm_cost=[], variants={})
        for row in data["benchmarks"]:
            row["variant"] = "other"

    with pytest.raises(UsageError, match="in common are required.*int8 on xnnpack.*other on xnn"):
        compare(edit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "which is no JSON"),
        ("[1]", "of schema unknown"),
        ('{"schema": 2, "benchmarks": []}', "of schema 2"),
        ('{"schema": 1, "benchmarks": [{}], "machine": {}, "versions": {}}', "missing or wrong"),
        ('{"schema": 1, "benchmarks": [3], "machine": 4, "versions": {}}', "missing or wrong"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_results(path)


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a folder with benchmark\.json or report\.json"):
        read_results(tmp_path)
    (tmp_path / "benchmark.json").write_text(json.dumps(RESULT))
    assert read_results(tmp_path).path == tmp_path / "benchmark.json"
    (tmp_path / "report.json").write_text(json.dumps(RESULT))
    assert read_results(tmp_path).path == tmp_path / "report.json"
    with pytest.raises(UsageError, match="No such file"):
        read_results(tmp_path / "none.json")
