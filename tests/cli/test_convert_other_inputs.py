"""`convert`, `verify` and `audit` of networks that take more than the picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.quantize.accuracy.predictors import run_in_real
from portrait_tflite.runtime import open_model

Run = Callable[..., Any]
SIZE, ROWS = 32, 20
# Per kind what it takes besides the picture, as the names of its inputs.
KINDS = {
    "trimap": ("trimap",),
    "level": ("level",),
    "recurrent": ("r1", "r2"),
    "siamese": ("background",),
}
SHAPES = {
    "trimap": (SIZE, SIZE, 1),
    "level": (1,),
    "r1": (SIZE, SIZE, 4),
    "r2": (SIZE // 2, SIZE // 2, 4),
    "background": (SIZE, SIZE, 3),
}
RANGES = {"trimap": (0, 1), "level": (-3, 5), "r1": (-1, 1), "r2": (0, 1), "background": (0, 1)}


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save a network of each kind: red is the person, but where the other input is high."""
    folder = tmp_path_factory.mktemp("others")
    for kind in KINDS:
        _net(kind).save(folder / f"{kind}.keras")
        np.savez(folder / f"{kind}.npz", **_arrays(kind))
    return {kind: folder / f"{kind}.keras" for kind in KINDS}


def _arrays(kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 60, (ROWS, SIZE, SIZE, 3)).astype(np.uint8)
    for number, picture in enumerate(pictures):
        top, left = rng.integers(0, SIZE // 2, 2)
        picture[top : top + 14, left : left + 14] = (230 - number, 20, 20)
    others = {name: _rows(SHAPES[name], *RANGES[name], rng) for name in KINDS[kind]}
    if kind == "siamese":  # every other picture is its own background: without a person
        others["background"][1::2] = pictures[1::2].astype(np.float32) / 255
        others["background"][::2] *= 0.2
    return {"images": pictures, **others}


def _rows(shape: tuple[int, ...], low: float, high: float, rng: np.random.Generator) -> Any:
    """Draw blocks of numbers from both ends of a range, none from its middle."""
    blocks = (*(max(1, n // 8) for n in shape[:-1]), shape[-1])
    shares = rng.uniform(0, 0.3, (ROWS, *blocks))
    shares = np.where(rng.random(shares.shape) < 0.5, shares, 1 - shares)
    for axis, (whole, few) in enumerate(zip(shape, blocks, strict=True), start=1):
        shares = np.repeat(shares, whole // few, axis)
    return (low + (high - low) * shares).astype(np.float32)


def _convolution(filters: int, name: str, **options: Any) -> layers.Layer:
    return layers.Conv2D(
        filters, 3, padding="same", bias_initializer="uniform", name=name, **options
    )


def _net(kind: str) -> keras.Model:
    keras.utils.set_random_seed(1)
    photo = keras.Input((SIZE, SIZE, 3), name="photo")
    others = {name: keras.Input(SHAPES[name], name=name) for name in KINDS[kind]}
    body = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            _convolution(8, "stem"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="active"),
        ],
        name="body",
    )
    x, more, inputs = body(photo), [], [photo, *others.values()]
    if kind == "trimap":
        x, inputs = layers.Concatenate()([x, others["trimap"]]), inputs[::-1]
    elif kind == "level":
        x = x * layers.Reshape((1, 1, 8))(layers.Dense(8, "sigmoid", name="weigh")(others["level"]))
        x = layers.Concatenate()([x, body(photo)])
    elif kind == "siamese":
        x = layers.Concatenate()([x, body(others["background"])])  # the body is shared
    else:
        more = [_convolution(4, "h1", activation="tanh")(layers.Concatenate()([x, others["r1"]]))]
        small = layers.MaxPooling2D()(more[0])
        small = layers.Concatenate()([small, others["r2"]])
        more.append(_convolution(4, "h2", activation="sigmoid")(small))
        x = layers.Concatenate()([x, more[0], layers.UpSampling2D()(more[1])])
    mask = _convolution(1, "head", activation="sigmoid")(x)
    foreground = [_convolution(3, "foreground")(x)] if kind == "recurrent" else []
    model = keras.Model(inputs, [*foreground, mask, *more], name=kind)
    head = model.get_layer("head")
    head.set_weights([head.get_weights()[0] * 0.2, np.float32([-8])])
    _add(body, "stem", (1, 1, slice(3), 0), (4, -2, -2))  # red less the others
    _add(model, "head", (1, 1, 0, 0), 8)
    if kind == "level":
        _add(model, "weigh", (0, 0), 4)
    else:
        _add(model, "head", (1, 1, 8, 0), {"trimap": -40, "siamese": -16, "recurrent": -25}[kind])
    if kind == "recurrent":
        _add(model, "h1", (1, 1, 8, 0), 3)  # what was there a picture ago
    return model


def _add(model: keras.Model, layer: str, place: tuple[Any, ...], weight: Any) -> None:
    """Let one weight tell what a layer gives; the others move it a little."""
    kernel, bias = model.get_layer(layer).get_weights()
    kernel[place] += weight
    model.get_layer(layer).set_weights([kernel, bias])


@pytest.fixture(scope="session")
def converted(nets: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a function that converts a kind once and returns its folder and report."""
    from portrait_tflite.cli.main import _run

    done: dict[str, tuple[Path, Any]] = {}

    def convert(kind: str) -> tuple[Path, Any]:
        if kind not in done:
            out = tmp_path_factory.mktemp(kind) / "out"
            options = ["--output", "1"] if kind == "recurrent" else []
            code = _run(
                ["-q", "convert", str(nets[kind]), "--input-range", "0,1", "--fp32", "--int8",
                 "--calibration", str(nets[kind].with_suffix(".npz")), "--no-benchmark",
                 "--remedies", "none", "--out", str(out), *options],
                debug=False,
            )  # fmt: skip
            assert code == 0, kind
            done[kind] = out, json.loads((out / "report.json").read_text("utf-8"))
        return done[kind]

    return convert


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_converted_whole_and_its_inputs_are_named(converted: Run, kind: str) -> None:
    out, report = converted(kind)
    card = json.loads((out / "model.json").read_text("utf-8"))
    others = [
        {"input": place, "name": name, "shape": list(SHAPES[name])}
        for place, name in enumerate(KINDS[kind], start=1)
    ]
    assert report["model"]["spec"]["others"] == card["spec"]["others"] == others
    assert "state" not in report["model"]["spec"]
    checks = {check["name"]: check for check in report["calibration"]["checks"]}
    assert checks["other inputs"]["passed"]
    assert report["rewritten"]["max_rel_error"] < 1e-5
    assert "Other inputs:" in (out / "report.html").read_text("utf-8")
    for name in ("float32", "int8"):
        variant = report["variants"][name]
        assert variant["accuracy"]["passed"]
        assert variant["audit"]["xnnpack"]["partitions"] == 1
        assert variant["audit"]["xnnpack"]["outside"] == []
        assert (variant["input"]["name"], variant["output"]["name"]) == ("image", "mask")
        assert tuple(each["name"] for each in variant["other_inputs"]) == KINDS[kind]
        assert card["variants"][name]["other_inputs"] == variant["other_inputs"]
    for each in report["variants"]["int8"]["other_inputs"]:
        low, high = RANGES[each["name"]]
        assert each["dtype"] == "int8"
        assert each["scale"] == pytest.approx((high - low) / 255, rel=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_give_what_the_model_does(
    converted: Run, nets: dict[str, Path], kind: str
) -> None:
    out, report = converted(kind)
    model = keras.models.load_model(nets[kind], compile=False)
    arrays = _arrays(kind)
    arrays["photo"] = arrays.pop("images").astype(np.float32) / 255
    row = {name: rows[3:4] for name, rows in arrays.items()}
    expected = keras.tree.flatten(model([row[tensor.name] for tensor in model.inputs]))
    expected = expected[1:] if kind == "recurrent" else expected
    frame = [row["photo"], *(row[name] for name in KINDS[kind])]
    other = [row["photo"], *(arrays[name][4:5] for name in KINDS[kind])]
    for name, most in (("float32", 1e-5), ("int8", 0.02)):
        runner = open_model(out / report["variants"][name]["file"])
        found = run_in_real(runner, frame)
        for one, wanted in zip(found, expected, strict=True):
            assert float(np.abs(one - np.asarray(wanted)).mean()) < most
        # What is taken besides must tell: arrays that go nowhere would pass all else.
        assert float(np.abs(run_in_real(runner, other)[0] - found[0]).mean()) > most


def test_features_for_the_next_picture_are_kept_and_a_foreground_is_not(converted: Run) -> None:
    _, report = converted("recurrent")
    for name in ("float32", "int8"):
        kept = report["variants"][name]["other_outputs"]
        assert [(each["name"], each["shape"]) for each in kept] == [
            ("h1", [1, *SHAPES["r1"]]),
            ("h2", [1, *SHAPES["r2"]]),
        ]


def test_a_shared_body_is_rewritten_in_both_branches(converted: Run) -> None:
    _, report = converted("siamese")
    folded = [r["layer"] for r in report["rewrites"] if r["rewrite"] == "fold_affine_behind"]
    assert len(folded) == 2
    assert len([r for r in report["rewrites"] if r["rewrite"] == "fuse_activation"]) == 2


@pytest.mark.parametrize("kind", ["trimap", "recurrent"])
def test_finished_files_are_verified(
    converted: Run, nets: dict[str, Path], run: Run, tmp_path: Path, kind: str
) -> None:
    out, report = converted(kind)
    files = [out / report["variants"][name]["file"] for name in ("float32", "int8")]
    data = nets[kind].with_suffix(".npz")
    said = run("verify", *files, "--data", data, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["spec"]["others"] == report["model"]["spec"]["others"]
    assert found["accuracy"]["images"] == ROWS
    options = ["--output", "1"] if kind == "recurrent" else []
    said = run("verify", nets[kind], files[1], "--data", data, "--json", *options)
    assert said.code == 0, said.err
    # Other rows give other masks: what is scored is fed with them.
    arrays = _arrays(kind)
    turned = {name: arrays[name][::-1] for name in KINDS[kind]}
    np.savez(tmp_path / "turned.npz", **{**arrays, **turned})
    said = run("verify", *files, "--data", tmp_path / "turned.npz", "--json")
    assert json.loads(said.out)["accuracy"]["mae"] != found["accuracy"]["mae"]


def test_verify_asks_for_the_arrays(converted: Run, run: Run, tiny: Any) -> None:
    out, report = converted("trimap")
    files = [out / report["variants"][name]["file"] for name in ("float32", "int8")]
    said = run("verify", *files, "--data", tiny.validation)
    assert said.code == 2
    assert "an .npz with 'images' and" in said.err
    assert "trimap [n, 32, 32, 1]" in said.err


def test_a_released_file_is_mended_and_quantized(
    converted: Run, nets: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    out, report = converted("level")
    released = tmp_path / "released.tflite"
    released.write_bytes((out / report["variants"]["float32"]["file"]).read_bytes())
    said = run(
        "convert", released, "--int8", "--input-range", "0,1", "--calibration",
        nets["level"].with_suffix(".npz"), "--no-benchmark", "--remedies", "none", "--json",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    made = json.loads(said.out)
    assert made["model"]["spec"]["others"] == report["model"]["spec"]["others"]
    int8 = made["variants"]["int8"]
    assert [each["name"] for each in int8["other_inputs"]] == ["level"]
    assert int8["other_inputs"][0]["scale"] == pytest.approx(8 / 255, rel=0.25)
    assert int8["audit"]["xnnpack"]["partitions"] == 1
    assert run("audit", tmp_path / "out" / int8["file"]).code == 0


def test_float_files_are_made_without_arrays_and_say_so(
    nets: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    said = run(
        "convert", nets["level"], "--fp32", "--input-range", "0,1", "--no-benchmark", "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "it takes level [1] besides the picture; scored with noise of 0 to 1" in said.out
    assert "prove little: --calibration FILE.npz" in said.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"--calibration FILE.npz is required, an .npz with 'images'"),
        (["--calibration", "{folder}"], "the network takes more than pictures"),
        (["--validation", "{folder}"], "--validation is for networks that take the picture"),
        (["--assets", "{folder}/assets"], "--assets is for networks"),
        (["--finetune", "{folder}"], "--finetune is for networks"),
        (["--metadata", "--io", "uint8"], "takes more than MediaPipe gives"),
    ],
)
def test_what_feeds_pictures_alone_is_refused(
    nets: dict[str, Path], tiny: Any, refuse: Run, tmp_path: Path, options: list[str], message: str
) -> None:
    given = [option.format(folder=tiny.calibration) for option in options]
    if options and options[0] in ("--validation", "--assets", "--finetune", "--metadata"):
        given += ["--calibration", str(nets["level"].with_suffix(".npz"))]
    said = refuse(
        "convert", nets["level"], "--input-range", "0,1", "--out", tmp_path / "out", *given
    )
    assert message in said
