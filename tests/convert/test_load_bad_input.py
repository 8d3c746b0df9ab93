"""Bad model files and contradicting options: exit code and one or two clear lines."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Activation, Channels

_RANGE = LoadOptions(input_range=(0.0, 1.0))


def _refused(source: Path | str, message: str, options: LoadOptions = _RANGE) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_model(str(source), options)
    assert caught.value.exit_code == 2
    assert str(caught.value).count("\n") <= 1
    assert len(str(caught.value)) < 600


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that loads."""
    return _save(tmp_path / "good.keras", "sigmoid")


def _save(path: Path, last: str | None, masks: int = 1, size: Any = 16, channels: int = 3) -> Path:
    image = keras.Input((size, size, channels))
    x = layers.Conv2D(4, 3, padding="same", bias_initializer="uniform", name="first")(image)
    mask = layers.Conv2D(masks, 1, activation=last, bias_initializer="uniform", name="last")(x)
    keras.Model(image, mask).save(path)
    return path


def _rewrite(path: Path, change: dict[str, bytes | None]) -> None:
    """Replace, add or (None) drop members of an archive."""
    with zipfile.ZipFile(path) as archive:
        members: dict[str, bytes | None] = {n: archive.read(n) for n in archive.namelist()}
    members.update(change)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)


def test_missing_file(tmp_path: Path) -> None:
    _refused(tmp_path / "none.keras", r"none\.keras, where there is none")
    _refused("none.h5", r"none\.h5, where there is none")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_empty_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    path.touch()
    _refused(path, r"is empty \(0 bytes\)")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_not_a_keras_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("this is no model, only some text")
    _refused(path, "is no Keras file")


def test_other_formats(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x07")
    _refused(path, r"a Keras model is required \(\.keras.*model\.onnx")
    _refused("model.tflite", r"a Keras model is required here\. Received: model\.tflite")


def test_h5_named_keras(tmp_path: Path) -> None:
    path = _save(tmp_path / "model.h5", "sigmoid").rename(tmp_path / "model.keras")
    _refused(path, r"is an HDF5 file.*Rename it to \.h5")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
def test_truncated_archive(good: Path, share: float) -> None:
    data = good.read_bytes()
    good.write_bytes(data[: int(len(data) * share)])
    _refused(good, "truncated or damaged")


def test_truncated_h5(tmp_path: Path) -> None:
    path = _save(tmp_path / "model.h5", "sigmoid")
    path.write_bytes(path.read_bytes()[:4000])
    _refused(path, "truncated or damaged")


def test_flipped_bytes(good: Path) -> None:
    data = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        start = archive.getinfo("model.weights.h5").header_offset + 60
    data[start : start + 200] = bytes(200)
    good.write_bytes(data)
    _refused(good, "is damaged: model.weights.h5 in it fails its checksum|truncated or damaged")


@pytest.mark.parametrize(
    "name", ["../evil.py", "a/../../evil.py", "/etc/evil", "..\\evil.py", "C:\\evil.py"]
)
def test_members_that_escape(good: Path, name: str, tmp_path: Path) -> None:
    _rewrite(good, {name: b"import os"})
    before = sorted(tmp_path.rglob("*"))
    _refused(good, "would be written outside of the archive")
    assert sorted(tmp_path.rglob("*")) == before


def test_member_that_is_a_link(good: Path) -> None:
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    _refused(good, "would be written outside of the archive")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_missing_member(good: Path, name: str) -> None:
    _rewrite(good, {name: None})
    _refused(good, f"no whole Keras model: {name} missing")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"class_name": "Functional"}', b"[" * 100000])
def test_damaged_architecture(good: Path, text: bytes) -> None:
    _rewrite(good, {"config.json": text})
    _refused(good, "is no JSON|has no layers")


def test_architecture_that_keras_refuses(good: Path) -> None:
    with zipfile.ZipFile(good) as archive:
        config = archive.read("config.json")
    _rewrite(good, {"config.json": config.replace(b'"filters": 4', b'"filters": -4')})
    _refused(good, "cannot be loaded by Keras")


def test_weights_of_another_architecture(good: Path) -> None:
    with zipfile.ZipFile(good) as archive:
        config = archive.read("config.json")
    _rewrite(good, {"config.json": config.replace(b'"filters": 4', b'"filters": 5')})
    _refused(good, "cannot be loaded by Keras")


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_what_keras_quantized(tmp_path: Path, mode: str) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Dense(4, activation="relu", name="packed")(image)
    model = keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x))
    model.get_layer("packed").quantize(mode)
    model.save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", f"whose layer 'packed' Keras quantized .{mode}.")


def test_weights_only_h5(tmp_path: Path) -> None:
    path = tmp_path / "net.weights.h5"
    keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(1, 3)]).save_weights(path)
    _refused(path, "holds weights only, no architecture")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    _refused(tmp_path / "other.h5", "holds weights only, no architecture")


def test_folder_that_is_no_saved_model(tmp_path: Path) -> None:
    _refused(tmp_path, r"a SavedModel folder \(with saved_model\.pb\)")


def test_unknown_zoo_name() -> None:
    _refused("hodzic_unett", "Did you mean 'hodzic_unet'")


def test_zoo_name_without_weights() -> None:
    _refused("hodzic_unet", "no packaged weights.*--random-weights")


def test_zoo_net_of_an_impossible_size() -> None:
    options = LoadOptions(random_weights=True, size=(50, 50))
    _refused("hodzic_unet", "cannot be built for --size 50x50", options)


def test_dynamic_size(tmp_path: Path) -> None:
    path = _save(tmp_path / "net.keras", "sigmoid", size=None)
    _refused(path, r"takes images of any size.*--size HxW is required")


def test_size_that_cannot_be_rebuilt(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Flatten()(layers.Conv2D(1, 3, strides=4, padding="same")(image))
    x = layers.Reshape((16, 16, 1))(layers.Dense(256, activation="sigmoid")(x))
    keras.Model(image, x).save(tmp_path / "net.keras")
    options = replace(_RANGE, size=(32, 32))
    _refused(
        tmp_path / "net.keras", r"cannot be rebuilt for --size 32x32 \(its own is 16x16", options
    )


def test_subclass_without_a_size(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Conv2D(1, 3, activation="sigmoid")])
    model.save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", "does not state its input: --size HxW")


@pytest.mark.parametrize("count", [2, 4])
def test_channel_count(tmp_path: Path, count: int) -> None:
    path = _save(tmp_path / "net.keras", "sigmoid", channels=count)
    _refused(path, rf"1 \(gray\) or 3 \(colour\) channels.* with {count} channels")


@pytest.mark.parametrize(
    ("count", "channels", "fitting"),
    [(1, Channels.RGB, "gray"), (1, Channels.BGR, "gray"), (3, Channels.GRAY, "rgb or bgr")],
)
def test_channels_that_contradict(
    tmp_path: Path, count: int, channels: Channels, fitting: str
) -> None:
    path = _save(tmp_path / "net.keras", "sigmoid", channels=count)
    _refused(path, f"--channels must be {fitting}", replace(_RANGE, channels=channels))


def test_input_that_is_no_picture(tmp_path: Path) -> None:
    image = keras.Input((16, 3))
    keras.Model(image, layers.Dense(1)(image)).save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", r"an image input .*\[\?, 16, 3\]")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("back", (16, 16, 3), "float32", r"one input that is the picture .* back \[16, 16, 3\]"),
        ("kind", (1,), "int32", "inputs of float are required.* kind is of int32"),
        ("hints", (None, 4), "float32", r"inputs of a fixed size .* hints \[\?, 4\]"),
        ("image", (4,), "float32", "an input called 'image' must be the picture"),
    ],
)
def test_unfit_other_inputs(
    tmp_path: Path, name: str, shape: tuple[int | None, ...], dtype: str, message: str
) -> None:
    first, other = keras.Input((16, 16, 3), name="rows"), keras.Input(shape, None, dtype, name=name)
    summed = keras.ops.mean(keras.ops.cast(other, "float32"))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(first + summed)
    keras.Model([first, other], mask).save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", message)


def test_range_not_known(good: Path) -> None:
    _refused(good, "--input-range is required", LoadOptions())


def test_rescaling_on_a_side_branch_states_nothing(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Concatenate()([layers.Rescaling(1 / 255)(image), image])
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    keras.Model(image, mask).save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", "--input-range is required", LoadOptions())


@pytest.mark.parametrize("scale", [0.05, 100.0])
def test_odd_rescaling_states_nothing(tmp_path: Path, scale: float) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(scale)(image)
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    keras.Model(image, mask).save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", "--input-range is required", LoadOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LoadOptions(input_range=(1.0, 0.0)), "LO below HI"),
        (LoadOptions(input_range=(0.0, float("nan"))), "LO below HI"),
        (LoadOptions(input_range=(0, 1), mean=(0.5, 0.5)), "--mean takes 1 or 3 numbers"),
        (LoadOptions(input_range=(0, 1), std=(float("inf"),)), "--std takes 1 or 3 numbers"),
        (LoadOptions(input_range=(0, 1), std=(0.2, 0.0, 0.2)), "--std must not be 0"),
    ],
)
def test_bad_preprocessing(good: Path, options: LoadOptions, message: str) -> None:
    _refused(good, message, options)


def test_classifier_and_backbone(tmp_path: Path) -> None:
    image = keras.Input((64, 64, 3))
    features = layers.Conv2D(8, 3, strides=16, padding="same")(image)
    keras.Model(image, features).save(tmp_path / "backbone.keras")
    _refused(
        tmp_path / "backbone.keras", r"at least 8x8 .*\[\?, 4, 4, 8\]: a classifier or backbone"
    )
    classes = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(features))
    keras.Model(image, classes).save(tmp_path / "classifier.keras")
    _refused(tmp_path / "classifier.keras", r"\[\?, 10\]: a classifier or backbone")


def test_outputs(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    masks = [layers.Conv2D(1, 1, activation="sigmoid")(image) for _ in range(2)]
    keras.Model(image, masks).save(tmp_path / "net.keras")
    _refused(tmp_path / "net.keras", r"2 outputs \(0: \[\?, 16, 16, 1\], 1: .*--output N")
    for wrong in (7, -1):
        options = replace(_RANGE, output=wrong)
        _refused(tmp_path / "net.keras", rf"--output must be 0 to 1 .*Received: {wrong}", options)


def test_output_channels(tmp_path: Path) -> None:
    path = _save(tmp_path / "net.keras", "softmax", masks=2)
    _refused(path, r"has 2 channels; --output-channel must say")
    options = replace(_RANGE, output_channel=2)
    _refused(path, "--output-channel must be 0 to 1. Received: 2", options)


@pytest.mark.parametrize("last", [None, "relu"])
def test_mask_that_is_no_probability(tmp_path: Path, last: str | None) -> None:
    path = _save(tmp_path / "net.keras", last)
    _refused(path, rf"ends in last \({last or 'linear'}\).*--activation sigmoid or softmax")


def test_activation_that_contradicts(good: Path, tmp_path: Path) -> None:
    options = replace(_RANGE, activation=Activation.SIGMOID)
    _refused(good, r"ends in last \(sigmoid\) already", options)
    logits = _save(tmp_path / "logits.keras", None)
    options = replace(_RANGE, activation=Activation.SOFTMAX)
    _refused(logits, "softmax takes two or more channels", options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(good: Path, value: float) -> None:
    model = keras.models.load_model(good, compile=False)
    kernel = model.get_layer("last").kernel
    broken = np.asarray(kernel).copy()
    broken[0, 0, 1, 0] = value
    kernel.assign(broken)
    model.save(good)
    _refused(good, "finite weights are required.*last/kernel")
