"""SavedModel folders, whoever wrote them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.convert.plan import mask_graph
from portrait_tflite.errors import UsageError
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Activation, OtherInput, Precision, StateSpec

_RANGE = LoadOptions(input_range=(0.0, 1.0))


class _Module(tf.Module):
    """A convolution with a sigmoid, times `factor`."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        kernel = np.random.default_rng(0).normal(0, 0.3, (3, 3, 3, 1))
        self.kernel = tf.Variable(kernel.astype(np.float32))
        self.factor = factor

    @tf.function
    def mask(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = tf.nn.conv2d(image, self.kernel, 1, "SAME")
        return {"mask": tf.sigmoid(logits) * self.factor}


def _export(folder: Path, shape: tuple[int | None, ...], factor: float = 1.0) -> _Module:
    module = _Module(factor)
    signature = module.mask.get_concrete_function(tf.TensorSpec(shape, tf.float32, "image"))
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    return module


def _picture() -> np.ndarray:
    return np.random.default_rng(1).random((1, 16, 16, 3), np.float32)


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (None, 16, 16, 3), (None, None, None, 3)])
def test_wraps_a_signature(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    module = _export(tmp_path / "saved", shape)
    options = replace(_RANGE, size=(16, 16))
    loaded = load_model(str(tmp_path / "saved"), options)
    assert loaded.name == "saved"
    assert loaded.model.outputs[0].shape[1:] == (16, 16, 1)
    picture = _picture()
    assert np.allclose(loaded.model(picture), module.mask(picture)["mask"], atol=1e-6)


def test_loads_what_keras_exported(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", bias_initializer="uniform")
    model = keras.Model(image, mask(image))
    model.export(str(tmp_path / "saved"), verbose=False)
    loaded = load_model(str(tmp_path / "saved"), _RANGE)
    assert np.allclose(loaded.model(_picture()), model(_picture()), atol=1e-6)


def test_a_wrapped_model_can_be_cloned(tmp_path: Path) -> None:
    _export(tmp_path / "saved", (None, 16, 16, 3))
    model = load_model(str(tmp_path / "saved"), _RANGE).model
    assert np.allclose(keras.models.clone_model(model)(_picture()), model(_picture()))


def test_values_above_one_need_an_activation(tmp_path: Path) -> None:
    _export(tmp_path / "saved", (1, 16, 16, 3), factor=9.0)
    with pytest.raises(UsageError, match="--activation sigmoid or softmax is required"):
        load_model(str(tmp_path / "saved"), _RANGE)
    options = replace(_RANGE, activation=Activation.SIGMOID)
    spec = load_model(str(tmp_path / "saved"), options).spec
    assert spec.output.activation is Activation.SIGMOID


def test_dynamic_size_needs_the_option(tmp_path: Path) -> None:
    _export(tmp_path / "saved", (None, None, None, 3))
    with pytest.raises(UsageError, match="takes images of any size: --size HxW is required"):
        load_model(str(tmp_path / "saved"), _RANGE)


def test_fixed_size_stays(tmp_path: Path) -> None:
    _export(tmp_path / "saved", (None, 16, 16, 3))
    with pytest.raises(UsageError, match=r"takes 16x16\. Received: --size 32x32"):
        load_model(str(tmp_path / "saved"), replace(_RANGE, size=(32, 32)))


def test_unknown_range(tmp_path: Path) -> None:
    _export(tmp_path / "saved", (1, 16, 16, 3))
    with pytest.raises(UsageError, match="--input-range is required"):
        load_model(str(tmp_path / "saved"))


@pytest.mark.parametrize("content", [b"", b"no protobuf at all, only text"])
def test_damaged_graph(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(UsageError, match="is damaged"):
        load_model(str(tmp_path), _RANGE)


def test_missing_variables(tmp_path: Path) -> None:
    _export(tmp_path / "saved", (1, 16, 16, 3))
    for path in (tmp_path / "saved" / "variables").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="is damaged"):
        load_model(str(tmp_path / "saved"), _RANGE)


def test_no_signature(tmp_path: Path) -> None:
    tf.saved_model.save(_Module(), str(tmp_path / "saved"))
    with pytest.raises(UsageError, match="must have the signature serving_default"):
        load_model(str(tmp_path / "saved"), _RANGE)


def test_a_picture_of_the_background(tmp_path: Path) -> None:
    module = tf.Module()
    spec = tf.TensorSpec((1, 16, 16, 3), tf.float32)
    module.add = tf.function(
        lambda image, old: {"mask": (image + old) / 2}, input_signature=[spec, spec]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.add)
    loaded = load_model(str(tmp_path / "saved"), replace(_RANGE, output_channel=0))
    assert loaded.spec.others == (OtherInput(1, "old", (16, 16, 3)),)
    picture, old = np.random.default_rng(0).random((2, 1, 16, 16, 3), np.float32)
    assert np.allclose(loaded.model([picture, old]), (picture + old) / 2, atol=1e-6)


@pytest.mark.parametrize("size", [16, None])
def test_inputs_of_any_shape(tmp_path: Path, size: int | None) -> None:
    module = tf.Module()

    @tf.function
    def mask(level: tf.Tensor, photo: tf.Tensor, trimap: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mask": tf.sigmoid(photo[..., :1] * level[:, None, None] - trimap)}

    module.mask = mask
    shapes = {"level": (1, 1), "photo": (1, size, size, 3), "trimap": (1, size, size, 1)}
    specs = [tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()]
    signature = mask.get_concrete_function(*specs)
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=signature)
    loaded = load_model(str(tmp_path / "saved"), replace(_RANGE, size=(16, 16)))
    assert loaded.spec.others == (
        OtherInput(1, "level", (1,)),
        OtherInput(2, "trimap", (16, 16, 1)),
    )
    level, trimap = np.float32([[3.0]]), np.random.default_rng(2).random((1, 16, 16, 1), np.float32)
    expected = mask(level, _picture(), trimap)["mask"]
    assert np.allclose(loaded.model([_picture(), level, trimap]), expected, atol=1e-6)
    graph, _ = mask_graph(loaded.model, loaded.spec)
    runner = open_model(Export(graph).float_model(Precision.FLOAT32))
    frame = {"image": _picture(), "level": level, "trimap": trimap}
    assert [info.name for info in runner.inputs] == list(frame)
    assert np.allclose(runner.run(*frame.values())[0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [16, None])
def test_a_previous_mask(tmp_path: Path, size: int | None) -> None:
    module = tf.Module()
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 1))
    module.kernel = tf.Variable(kernel.astype(np.float32))

    # The mask comes first, in the signature and by its name.
    @tf.function
    def mask(before: tf.Tensor, picture: tf.Tensor) -> dict[str, tf.Tensor]:
        both = tf.concat([picture, before], -1)
        return {"mask": tf.sigmoid(tf.nn.conv2d(both, module.kernel, 1, "SAME"))}

    module.mask = mask
    ends = [("before", 1), ("picture", 3)]
    specs = [tf.TensorSpec((1, size, size, depth), tf.float32, name) for name, depth in ends]
    signature = mask.get_concrete_function(*specs)
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=signature)
    loaded = load_model(str(tmp_path / "saved"), replace(_RANGE, size=(16, 16)))
    assert loaded.spec.state == StateSpec(input=1, from_output=0)
    assert [tensor.shape[1:] for tensor in loaded.model.inputs] == [(16, 16, 3), (16, 16, 1)]
    before = np.random.default_rng(2).random((1, 16, 16, 1), np.float32)
    expected = mask(before, _picture())["mask"]
    assert np.allclose(loaded.model([_picture(), before]), expected, atol=1e-6)
    graph, _ = mask_graph(loaded.model, loaded.spec)
    data = Export(graph).float_model(Precision.FLOAT32)
    names = [info.name for info in open_model(data).inputs]
    frame = {"image": _picture(), "state": before}
    found = open_model(data).run(*(frame[name] for name in names))[0]
    assert np.allclose(found, expected, atol=1e-5)


def test_graph_that_would_touch_files_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    module = tf.Module()

    def mask(image: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.io.write_file(str(marker), "written")
        return {"mask": tf.sigmoid(image[..., :1])}

    spec = tf.TensorSpec((1, 16, 16, 3), tf.float32)
    module.mask = tf.function(mask, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.mask)
    marker.unlink(missing_ok=True)
    with pytest.raises(UsageError, match=r"would run code or touch files \(WriteFile\)"):
        load_model(str(tmp_path / "saved"), _RANGE)
    assert not marker.exists()
