"""`portrait-tflite verify`: where the spec comes from, the gate, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from portrait_tflite.cli.known_spec import spec_beside, spec_from_json
from portrait_tflite.cli.verify import command
from portrait_tflite.errors import GateError, UnavailableError, UsageError
from portrait_tflite.vocabulary import Channels, Fit, Interpolation, ModelSpec, OutputSpec

if TYPE_CHECKING:
    from portrait_tflite.benchmarks.gpu.adapters import Adapter

HEIGHT, WIDTH = 16, 20


@pytest.fixture
def red_net(tiny_graph: Callable[[], Any], tmp_path: Path) -> Callable[..., Path]:
    """Give a builder of a `.tflite` that sums chosen channels of its input: red alone is right.

    With a `side` it averages them over so many pixels.
    """

    def build(
        name: str, *weights: float, size: tuple[int, int] = (HEIGHT, WIDTH), side: int = 1
    ) -> Path:
        from ai_edge_litert import schema_py_generated as schema

        graph = tiny_graph()
        source = graph.tensor("image", (1, *size, 3), "float32")
        values = np.tile(np.array(weights, np.float32) / side**2, (1, side, side, 1))
        kernel = graph.tensor("w", values.shape, "float32", data=values)
        bias = graph.tensor("b", (1,), "float32", data=np.zeros(1, np.float32))
        mask = graph.tensor("mask", (1, *size, 1), "float32")
        options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
        graph.op("CONV_2D", [source, kernel, bias], mask, 1, options)
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(graph.build([source], [mask]))
        return path

    return build


@pytest.fixture
def whole_net(tiny_graph: Callable[[], Any], tmp_path: Path) -> Callable[..., Path]:
    """Give a builder of the right `red_net`, averaged over 3×3, with integers in and out."""

    def build(dtype: str) -> Path:
        from ai_edge_litert import schema_py_generated as schema

        # Scales and zero points for 0–1, and what TFLite asks of the bias beside each.
        scale, zero, wide = {"int8": (1 / 255, -128, "int32"), "int16": (1 / 32767, 0, "int64")}[
            dtype
        ]
        graph = tiny_graph()
        source = graph.tensor("image", (1, HEIGHT, WIDTH, 3), dtype, scale, zero)
        values = np.zeros((1, 3, 3, 3), np.int8)
        values[..., 0] = 127
        kernel = graph.tensor("w", values.shape, "int8", [1 / 9 / 127], data=values)
        bias = graph.tensor("b", (1,), wide, [scale / 9 / 127], data=np.zeros(1, wide))
        mask = graph.tensor("mask", (1, HEIGHT, WIDTH, 1), dtype, scale, zero)
        options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
        graph.op("CONV_2D", [source, kernel, bias], mask, 3, options)
        path = tmp_path / f"{dtype}.tflite"
        path.write_bytes(graph.build([source], [mask]))
        return path

    return build


@pytest.fixture
def adapter(require_or_skip: Callable[[str], NoReturn]) -> Adapter:
    """Give the GPU, or what stands in for one."""
    from portrait_tflite.benchmarks.gpu.adapters import find_adapter

    try:
        return find_adapter()
    except UnavailableError as error:
        require_or_skip(str(error))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Red rectangles on blue, with their masks."""
    place = tmp_path / "val"
    for name in ("images", "masks"):
        (place / name).mkdir(parents=True)
    for number in range(3):
        mask = np.zeros((32, 40), np.uint8)
        mask[4 : 20 + number, 6:30] = 255
        picture = np.dstack([255 - mask, np.zeros_like(mask), mask])
        cv2.imwrite(str(place / "images" / f"{number}.png"), picture)
        cv2.imwrite(str(place / "masks" / f"{number}.png"), mask)
    return place


def verify(*arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


def write_model_json(folder: Path, spec: ModelSpec, *files: str) -> None:
    variants = {file.split(".")[0]: {"file": file} for file in files}
    data = {"schema": 1, "spec": asdict(spec), "variants": variants}
    (folder / "model.json").write_text(json.dumps(data))


def test_prints_both_and_the_drop(red_net: Callable[..., Path], folder: Path) -> None:
    good, fair = red_net("good", 1, 0, 0), red_net("fair", 0.9, 0, 0.01)
    result = verify(good, fair, "--data", folder, "--input-range", "0,1")
    assert result.exit_code == 0
    assert "3 images against labels" in result.stdout
    for row in ("float", "candidate", "drop of mIoU", "passed"):
        assert row in result.stdout
    assert result.stderr == ""


def test_json_is_the_record(red_net: Callable[..., Path], folder: Path) -> None:
    good = red_net("good", 1, 0, 0)
    result = verify(good, good, "--data", folder, "--input-range", "0,1", "--json")
    data = json.loads(result.stdout)
    assert data["passed"] is True
    assert data["accuracy"]["images"] == 3
    assert data["accuracy"]["drop"]["miou"] == 0
    assert data["spec"]["height"] == HEIGHT


def test_a_broken_candidate_fails_after_the_table(
    red_net: Callable[..., Path], folder: Path
) -> None:
    good, broken = red_net("good", 1, 0, 0), red_net("broken", 0, 0, 1)
    arguments = map(str, (good, broken, "--data", folder, "--input-range", "0,1"))
    result = CliRunner().invoke(command, list(arguments))
    assert isinstance(result.exception, GateError)
    assert result.exception.exit_code == 3
    assert "mIoU drops by" in str(result.exception)
    assert "candidate" in result.stdout
    assert "passed" not in result.stdout


def test_a_bad_float_model_is_told_what_would_be_better(
    red_net: Callable[..., Path], folder: Path
) -> None:
    blue = red_net("blue", 0, 0, 1)
    arguments = [str(blue), str(blue), "--data", str(folder), "--input-range", "0,1"]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, GateError)
    assert "best would be --channels bgr (IoU" in str(result.exception)


def test_the_spec_is_read_from_model_json(red_net: Callable[..., Path], folder: Path) -> None:
    good = red_net("good", 0, 0, 1)  # takes BGR
    spec = ModelSpec(HEIGHT, WIDTH, Channels.BGR)
    write_model_json(good.parent, spec, good.name)
    assert spec_beside(good) == spec
    # The candidate is listed nowhere: what is known of the float file serves it too.
    other = red_net("other", 0, 0, 0.9)
    assert verify(good, other, "--data", folder).exit_code == 0
    assert verify(other, good, "--data", folder).exit_code == 0


def test_options_outdo_model_json(red_net: Callable[..., Path], folder: Path) -> None:
    good = red_net("good", 1, 0, 0)
    write_model_json(good.parent, ModelSpec(HEIGHT, WIDTH, Channels.BGR), good.name)
    result = verify(good, good, "--data", folder, "--channels", "rgb", "--json")
    assert json.loads(result.stdout)["spec"]["channels"] == "rgb"


def test_interpolation_is_the_options_or_that_of_model_json(
    red_net: Callable[..., Path], folder: Path
) -> None:
    good, other = red_net("good", 1, 0, 0), red_net("other", 1, 0, 0)
    spec = ModelSpec(HEIGHT, WIDTH, interpolation=Interpolation.AREA)
    write_model_json(good.parent, spec, good.name)
    for given, expected in (((), "area"), (("--interpolation", "nearest"), "nearest")):
        result = verify(other, good, "--data", folder, *given, "--json")
        assert json.loads(result.stdout)["spec"]["interpolation"] == expected


def test_a_range_that_nobody_states_is_asked_for(
    red_net: Callable[..., Path], folder: Path
) -> None:
    good = red_net("good", 1, 0, 0)
    write_model_json(good.parent, ModelSpec(HEIGHT, WIDTH), "something-else.tflite")
    with pytest.raises(UsageError, match=r"range .* not known.*--input-range is required"):
        verify(good, good, "--data", folder)


def test_a_damaged_model_json_is_named(red_net: Callable[..., Path], folder: Path) -> None:
    good = red_net("good", 1, 0, 0)
    (good.parent / "model.json").write_text("{}")
    with pytest.raises(UsageError, match=r"model\.json, which cannot be read"):
        verify(good, good, "--data", folder)


def test_networks_of_two_sizes_are_refused(red_net: Callable[..., Path], folder: Path) -> None:
    good, small = red_net("good", 1, 0, 0), red_net("small", 1, 0, 0, size=(8, 8))
    with pytest.raises(UsageError, match=r"same input.*16x20.*8x8"):
        verify(good, small, "--data", folder, "--input-range", "0,1")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--size", "8"), "16x20; --size cannot change it"),
        (("--channels", "gray"), r"takes 3 channels\. Received: --channels gray"),
        (("--output-channel", "4", "--data", "nowhere"), "folder of images is required"),
    ],
)
def test_options_that_contradict_the_file_are_refused(
    red_net: Callable[..., Path], folder: Path, option: tuple[str, ...], message: str
) -> None:
    good = red_net("good", 1, 0, 0)
    with pytest.raises(UsageError, match=message):
        verify(good, good, "--data", folder, "--input-range", "0,1", *option)


def test_unreadable_files_are_counted(red_net: Callable[..., Path], folder: Path) -> None:
    (folder / "images" / "1.png").write_bytes(b"no picture")
    good = red_net("good", 1, 0, 0)
    result = verify(good, good, "--data", folder, "--input-range", "0,1")
    assert "1 of 3 files could not be read" in result.stderr
    assert "2 images against labels" in result.stdout


def test_a_keras_model_serves_as_the_float_side(
    red_net: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    keras: Any = pytest.importorskip("keras")
    image = keras.Input((HEIGHT, WIDTH, 3))
    scaled = keras.layers.Rescaling(1 / 255)(image)  # states its range: bytes
    mask = keras.layers.Conv2D(1, 1, activation="sigmoid", name="mask")(scaled)
    model = keras.Model(image, mask)
    model.get_layer("mask").set_weights([np.array([[[[20.0], [0], [0]]]]), np.array([-10.0])])
    model.save(tmp_path / "net.keras")
    candidate = red_net("bytes", 1 / 255, 0, 0)
    result = verify(tmp_path / "net.keras", candidate, "--data", folder, "--json")
    data = json.loads(result.stdout)
    assert data["spec"]["input_range"] == [0, 255]
    assert data["passed"] is True


def test_a_spec_survives_json_and_strangers_do_not() -> None:
    spec = ModelSpec(8, 9, Channels.GRAY, (-1, 1), (0.5,), (2.0,), Fit.CROP)
    data = json.loads(json.dumps(asdict(spec)))
    assert spec_from_json(data) == spec
    with pytest.raises(ValueError, match="unknown key 'colour'"):
        spec_from_json({**data, "colour": "rgb"})


def test_logits_get_the_activation_that_is_asked_for(
    red_net: Callable[..., Path], folder: Path
) -> None:
    logits = red_net("logits", 10, 0, -10)  # blue, the background, is below 0
    options = ["--data", folder, "--input-range", "0,1", "--json"]
    with pytest.raises(UsageError, match=r"from -.* to .* on drawn .* --activation sigmoid or"):
        verify(logits, logits, *options)
    as_they_are = (*options, "--activation", "none")
    plain = json.loads(verify(logits, logits, *as_they_are).stdout)["accuracy"]
    squashed = json.loads(verify(logits, logits, *options, "--activation", "sigmoid").stdout)
    assert squashed["spec"]["output"]["activation"] == "sigmoid"
    assert min(squashed["accuracy"]["iou"], plain["iou"]) > 0.99
    weak = red_net("weak", 0.2, 0, -0.2)  # below one half as they are, above it as logits
    with pytest.raises(GateError, match="--activation sigmoid"):
        verify(weak, weak, *as_they_are)
    assert verify(weak, weak, *options, "--activation", "sigmoid").exit_code == 0


def test_a_keras_model_of_logits(red_net: Callable[..., Path], folder: Path) -> None:
    keras = pytest.importorskip("keras")
    image = keras.Input((HEIGHT, WIDTH, 3))
    layer = keras.layers.Conv2D(1, 1, use_bias=False, name="mask")
    model = keras.Model(image, layer(image))
    layer.set_weights([np.array([0.2, 0, -0.2], np.float32).reshape(1, 1, 3, 1)])
    model.save(folder / "logits.keras")
    candidate = red_net("weak", 0.2, 0, -0.2)
    result = verify(
        folder / "logits.keras", candidate, "--data", folder, "--input-range", "0,1",
        "--activation", "sigmoid", "--json",
    )  # fmt: skip
    accuracy = json.loads(result.stdout)["accuracy"]
    assert accuracy["iou"] > 0.99
    assert accuracy["agreement_iou"] == 1


def test_which_channel_of_a_foreign_file_is_never_guessed(
    float_net: Callable[..., bytes], folder: Path, tmp_path: Path
) -> None:
    from portrait_tflite.cli.known_spec import spec_of_tflite
    from portrait_tflite.cli.spec_options import SpecArguments
    from portrait_tflite.vocabulary import TensorInfo

    image = TensorInfo("image", (1, 8, 8, 3), "float32", 0.0, 0)
    one, two = (TensorInfo("mask", (1, 8, 8, count), "float32", 0.0, 0) for count in (1, 2))
    given = SpecArguments(input_range=(0.0, 1.0))
    file = tmp_path / "foreign.tflite"
    with pytest.raises(UsageError, match=r"has 2 channels: --output-channel 0 to 1 is required"):
        spec_of_tflite(file, [image], [two], given)
    with pytest.raises(UsageError, match=r"has 2 outputs \(0: \[1, .*: --output 0 to 1 is"):
        spec_of_tflite(file, [image], [one, one], given)
    for wrong in ({"output": 3}, {"output_channel": 1}):
        with pytest.raises(UsageError, match=r"must be 0 to 0\. Received"):
            spec_of_tflite(file, [image], [one], SpecArguments(input_range=(0.0, 1.0), **wrong))
    right = SpecArguments(input_range=(0.0, 1.0), output_channel=1)
    assert spec_of_tflite(file, [image], [two], right).output == OutputSpec(0, 1)


@pytest.mark.parametrize("shape", [(1, 1001), (1, 1, 1, 1404), (1, 2016, 1), (4, 8, 8, 1)])
def test_what_is_no_mask_is_refused_before_its_channel_is_asked_for(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    from portrait_tflite.cli.known_spec import spec_of_tflite
    from portrait_tflite.cli.spec_options import SpecArguments
    from portrait_tflite.vocabulary import TensorInfo

    image = TensorInfo("image", (1, 8, 8, 3), "float32", 0.0, 0)
    mask = TensorInfo("mask", (1, 8, 8, 1), "float32", 0.0, 0)
    scores = TensorInfo("scores", shape, "float32", 0.0, 0)
    file, given = tmp_path / "foreign.tflite", SpecArguments(input_range=(0.0, 1.0))
    with pytest.raises(UsageError, match=r"'scores' is \[.*\]\. A classifier or backbone is no"):
        spec_of_tflite(file, [image], [scores], given)
    with pytest.raises(UsageError, match="Say by --output N which one is the mask"):
        spec_of_tflite(file, [image], [mask, scores], replace(given, output=1))


def test_each_delegate_named_is_scored(red_net: Callable[..., Path], folder: Path) -> None:
    good, fair = red_net("good", 1, 0, 0), red_net("fair", 0.9, 0, 0.01)
    given = ("--data", folder, "--input-range", "0,1", "--delegate", "cpu,xnnpack")
    shown = verify(good, fair, *given, "--float-delegate", "cpu")
    assert shown.exit_code == 0
    assert "candidate, cpu" in shown.stdout
    assert "candidate, xnnpack" in shown.stdout
    data = json.loads(verify(good, fair, *given, "--json").stdout)
    assert list(data["delegates"]) == ["cpu", "xnnpack"]
    assert data["accuracy"] == data["delegates"]["cpu"]["accuracy"]
    assert data["delegates"]["cpu"]["adapter"] is None
    assert "images_scored" not in data["accuracy"]
    assert data["accuracy"]["interval"]["miou"]["low"] <= data["accuracy"]["drop"]["miou"]


def test_every_delegate_must_pass(red_net: Callable[..., Path], folder: Path) -> None:
    good, bad = red_net("good", 1, 0, 0), red_net("bad", 0, 0, 1)
    given = ("--data", folder, "--input-range", "0,1", "--delegate", "cpu,xnnpack")
    with pytest.raises(GateError, match=r"candidate, cpu: mIoU drops.*candidate, xnnpack: mIoU"):
        verify(good, bad, *given)


def test_a_delegate_for_a_keras_model_is_refused(
    red_net: Callable[..., Path], folder: Path
) -> None:
    good = red_net("good", 1, 0, 0)
    with pytest.raises(
        UsageError, match=r"a \.tflite is required for a delegate.*cpu for net\.ker"
    ):
        verify(good, "net.keras", "--data", folder, "--input-range", "0,1", "--delegate", "cpu")


def test_a_gpu_that_is_not_there_is_named(
    red_net: Callable[..., Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portrait_tflite.benchmarks.gpu import outputs

    def find_none() -> None:
        raise UnavailableError("a Vulkan adapter is required. Received: none.")

    monkeypatch.setattr(outputs, "find_adapter", find_none)
    good = red_net("good", 1, 0, 0)
    with pytest.raises(UnavailableError, match="Vulkan adapter") as refused:
        verify(good, good, "--data", folder, "--input-range", "0,1", "--delegate", "gpu")
    assert refused.value.exit_code == 5


def test_the_gpu_is_scored_and_a_software_one_called_so(
    red_net: Callable[..., Path], folder: Path, adapter: Adapter
) -> None:
    net = red_net("good", 0.8, 0.03, 0.07, side=3)  # sums that depend on their order
    result = verify(net, net, "--data", folder, "--input-range", "0,1", "--delegate", "gpu")
    assert result.exit_code == 0
    assert "candidate, gpu: on " in result.stdout
    assert ("a software adapter: numerics, no speed" in result.stdout) == adapter.software


def test_int8_is_scored_on_every_delegate(
    red_net: Callable[..., Path], whole_net: Callable[..., Path], folder: Path, adapter: Adapter
) -> None:
    floats = red_net("floats", 1, 0, 0, side=3)
    said = verify(
        floats, whole_net("int8"), "--data", folder, "--input-range", "0,1", "--json",
        "--delegate", "cpu,xnnpack,gpu",
    )  # fmt: skip
    rows = json.loads(said.stdout)["delegates"]
    assert list(rows) == ["cpu", "xnnpack", "gpu"]
    for name, row in rows.items():
        assert row["accuracy"]["passed"], name
        assert 0 < row["accuracy"]["mae"] < 1 / 255, name  # rounded, and by steps of int8
        assert (row["adapter"] is None) == (name != "gpu")
    assert rows["gpu"]["adapter"]["software"] == adapter.software


@pytest.mark.usefixtures("adapter")
def test_what_the_gpu_does_not_take_is_said_in_a_line(
    red_net: Callable[..., Path], whole_net: Callable[..., Path], folder: Path
) -> None:
    floats, given = red_net("floats", 1, 0, 0, side=3), ("--data", folder, "--input-range", "0,1")
    assert verify(floats, whole_net("int16"), *given, "--delegate", "cpu").exit_code == 0
    with pytest.raises(UnavailableError, match=r"int16\.tflite: .*CONV_2D .*INT16") as refused:
        verify(floats, whole_net("int16"), *given, "--delegate", "gpu")
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 5


def test_all_scores_go_to_a_csv(red_net: Callable[..., Path], folder: Path, tmp_path: Path) -> None:
    good, fair = red_net("good", 1, 0, 0), red_net("fair", 0.9, 0, 0.01)
    given = (good, fair, "--data", folder, "--input-range", "0,1", "--csv")
    verify(*given, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert all(row["variant"] == "candidate" and float(row["iou"]) > 0.9 for row in rows)
    with pytest.raises(UsageError, match=r"--csv must be a file that can be written"):
        verify(*given, tmp_path / "no" / "folder.csv")


def test_a_video_and_a_folder_of_frames_are_scored_by_agreement_and_flicker(
    red_net: Callable[..., Path], folder: Path, film: Callable[..., Path]
) -> None:
    good, fair = red_net("good", 1, 0, 0), red_net("fair", 0.99, 0, 0.01)
    shown = verify(good, fair, "--data", film(20), "--input-range", "0,1").stdout
    assert "20 images against the float model's masks" in shown
    assert "of still pixels change sides from frame to frame" in shown
    given = (good, fair, "--data", folder / "images", "--input-range", "0,1", "--json")
    assert json.loads(verify(*given).stdout)["accuracy"]["flicker"] is None
    assert json.loads(verify(*given, "--frames").stdout)["accuracy"]["flicker"]["pairs"] == 2


def test_a_video_that_is_none_is_refused(red_net: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    good = red_net("good", 1, 0, 0)
    with pytest.raises(UsageError, match="a video that OpenCV can decode"):
        verify(good, good, "--data", tmp_path / "clip.mp4", "--input-range", "0,1")
