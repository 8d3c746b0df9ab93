"""What the command line itself refuses, before any model is looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portrait_tflite.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "--in8"], "No such option '--in8'."),
        (["convert", "--io", "int4"], "--io must be one of int8, uint8, float32."),
        (["convert", "--rewrite", "auto,exact"], "--rewrite must be one of auto, exact, none; "),
        (["convert", "--rewrite", "exat"], "Did you mean 'exact'?"),
        (["convert", "--rewrite", "-relu_to_quantise"], "Did you mean 'relu_to_quantize'?"),
        (["convert", "--rewrite", "auto,cancel"], "Write none,cancel to run it alone, or -cancel"),
        (["convert", "--tune", "--rewrite", "exact"], "--tune chooses where --rewrite auto would"),
        (
            ["convert", "x.tflite", "--rewrite", "exact", "--input-range", "0,1"],
            "a .tflite file is required. Received: x.tflite (no such file)",
        ),
        (["convert", "--target", "npu"], "--target must be one of cpu, gpu, both."),
        (["convert", "--runs", "0"], "0 is not in the range x>=1"),
        (["convert", "--max-drop", "-1"], "-1.0 is not in the range"),
        (["convert", "--max-drop", "some"], "is not a valid float"),
        (["convert", "--min-runtime", "2"], "must be a TFLite version such as 2.9"),
        (["convert", "--min-runtime", "2.²"], "must be a TFLite version such as 2.9"),
        (["convert", "--delegate", "npu"], "--delegate must be a list of cpu, xnnpack, gpu"),
        (["convert", "--delegate", ","], "--delegate must be a list of cpu, xnnpack, gpu"),
        (["convert", "one.keras", "two.keras"], "unexpected extra argument (two.keras)"),
        (["convert", "--rewrite-plan", "none.json"], "must be a rewrites.json of `convert`"),
        (
            ["convert", "x.tflite", "--fp16", "--io", "uint8"],
            "a Keras model is required for --fp16, --io. Received: a .tflite",
        ),
        (["convert", "x.TFLITE", "--baseline"], "a Keras model is required for --baseline."),
        (["convert", "x.tflite", "--tune"], "a Keras model is required for --tune."),
        (
            ["convert", "--list-rewrites", "--custom-objects", "none.py"],
            "--custom-objects takes a Python file. Received: none.py",
        ),
        (["convort"], "No such command 'convort'"),
        (["--quit"], "No such option '--quit'."),
        (["convert", "--seed", "-1"], "-1 is not in the range"),
        (["train", "portrait", "--data", "x", "--seed", "-1"], "-1 is not in the range"),
        (["train", "portrait"], "Missing option '--data'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage(
    refuse: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refuse(*arguments)


def test_click_errors_say_where_to_look(refuse: Callable[..., str]) -> None:
    assert refuse("convert", "--in8").endswith("See `portrait-tflite convert --help`.\n")


def test_a_plan_with_unknown_keys(refuse: Callable[..., str], tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    for text in ('{"schema": 1, "plans": {}, "more": 1}', '{"schema": 2, "plans": {}}', "[", "7"):
        plan.write_text(text)
        assert "must be a rewrites.json" in refuse("convert", "--rewrite-plan", plan)
    plan.write_text('{"schema": 1, "plans": {"gpu": [{"layer": "up"}]}}')
    assert "rewrite, layer and form" in refuse("convert", "--rewrite-plan", plan)


def test_a_named_gpu_must_be_there(
    refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "none.json"))
    assert "GPU delegate" in refuse("convert", "--delegate", "cpu,gpu", code=5)


def test_what_a_file_needs_is_asked_for_before_tensorflow_is_imported(
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_graph: Callable[[], Any],
) -> None:
    graph = tiny_graph()
    picture = graph.tensor("picture", (1, 8, 8, 3), "float32")
    mask = graph.tensor("mask", (1, 8, 8, 3), "float32")
    graph.op("RELU", [picture], mask, 1)
    file = tmp_path / "released.tflite"
    file.write_bytes(graph.build([picture], [mask]))
    monkeypatch.setitem(sys.modules, "portrait_tflite.pipeline", None)  # what imports TensorFlow
    assert "--input-range is required" in refuse("convert", file)
    said = refuse("convert", file, "--input-range", "0,1")
    assert "3 channels: --output-channel 0 to 2 is required" in said


def test_no_command_is_a_call_for_help(run: Callable[..., Any]) -> None:
    said = run()
    assert said.code == 2
    assert said.err.startswith("Usage: portrait-tflite")


def test_an_unexpected_error_is_short_and_shown_by_debug(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from portrait_tflite.cli import convert

    def broken(*_: object) -> None:
        raise RuntimeError("first line\n" + "more\n" * 90)

    monkeypatch.setattr(convert, "_check_runtime", broken)
    said = run("convert")
    assert said.code == 1
    assert said.err.startswith("Error: unexpected RuntimeError: first line.\n")
    assert said.err.count("\n") == 2
    monkeypatch.setattr("sys.argv", ["portrait-tflite", "--debug", "convert"])
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 1
    assert "Traceback" in capfd.readouterr().err
