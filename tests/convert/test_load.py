"""Loading good models of every format, and what the spec is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.errors import UsageError
from portrait_tflite.vocabulary import Activation, Channels, Fit, Interpolation, OutputSpec

Net = Callable[..., keras.Model]


@pytest.fixture
def net() -> Net:
    """Give a builder of tiny mask nets with random biases."""

    def build(
        height: int | None = 16,
        width: int | None = 16,
        channels: int = 3,
        *,
        first: keras.layers.Layer | None = None,
        last: str | None = "sigmoid",
        masks: int = 1,
    ) -> keras.Model:
        image = keras.Input((height, width, channels), name="picture")
        x = first(image) if first else image
        x = layers.Conv2D(4, 3, padding="same", bias_initializer="uniform")(x)
        mask = layers.Conv2D(masks, 1, activation=last, bias_initializer="uniform")(x)
        return keras.Model(image, mask)

    return build


def _run(model: keras.Model, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray:
    picture = np.linspace(0, 1, height * width * channels, dtype=np.float32)
    return np.asarray(model(picture.reshape(1, height, width, channels), training=False))


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_loads_what_keras_saved(tmp_path: Path, net: Net, suffix: str) -> None:
    path = tmp_path / f"My net (2){suffix}"
    net().save(path)
    loaded = load_model(str(path), LoadOptions(input_range=(0, 1)))
    assert loaded.name == "My_net_2"
    assert loaded.source == str(path)
    assert not loaded.zoo
    assert loaded.model.outputs[0].shape == (None, 16, 16, 1)
    assert np.allclose(_run(loaded.model), _run(keras.models.load_model(path, compile=False)))


def test_loads_a_sequential_model(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(1, 3, padding="same", activation="sigmoid")]
    )
    model.save(tmp_path / "net.keras")
    loaded = load_model(str(tmp_path / "net.keras"), LoadOptions(input_range=(0, 1)))
    assert np.allclose(_run(loaded.model), _run(model))


def test_options_make_the_spec(tmp_path: Path, net: Net) -> None:
    net(masks=3, last="softmax").save(tmp_path / "net.keras")
    options = LoadOptions(
        input_range=(0.0, 1.0),
        mean=(0.4, 0.5, 0.6),
        std=(0.2,),
        channels=Channels.BGR,
        fit=Fit.LETTERBOX,
        interpolation=Interpolation.AREA,
        output_channel=2,
    )
    spec = load_model(str(tmp_path / "net.keras"), options).spec
    assert (spec.height, spec.width, spec.channels) == (16, 16, Channels.BGR)
    assert (spec.input_range, spec.mean, spec.std) == ((0.0, 1.0), (0.4, 0.5, 0.6), (0.2,))
    assert (spec.fit, spec.interpolation) == (Fit.LETTERBOX, Interpolation.AREA)
    assert spec.output == OutputSpec(0, 2, Activation.NONE)


def test_one_channel_is_gray(tmp_path: Path, net: Net) -> None:
    net(channels=1).save(tmp_path / "net.keras")
    loaded = load_model(str(tmp_path / "net.keras"), LoadOptions(input_range=(0, 255)))
    assert loaded.spec.channels is Channels.GRAY


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (layers.Rescaling(1 / 255), (0.0, 255.0)),
        (layers.Rescaling(1 / 127.5, offset=-1), (0.0, 255.0)),
        (layers.Rescaling(2.0, offset=-1), (0.0, 1.0)),
        (layers.Normalization(mean=[123.0, 116, 103], variance=[3000.0, 3000, 3000]), (0.0, 255.0)),
        (layers.Normalization(mean=[0.48, 0.45, 0.4], variance=[0.05, 0.05, 0.05]), (0.0, 1.0)),
    ],
)
def test_the_first_layer_states_the_range(
    tmp_path: Path, net: Net, first: keras.layers.Layer, expected: tuple[float, float]
) -> None:
    net(first=first).save(tmp_path / "net.keras")
    assert load_model(str(tmp_path / "net.keras")).spec.input_range == expected


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (keras.applications.mobilenet_v2.preprocess_input, (0.0, 255.0)),
        (keras.applications.densenet.preprocess_input, (0.0, 255.0)),
        (lambda x: x * (1 / 255), (0.0, 255.0)),
        (lambda x: (x - 127.5) / 128.0, (0.0, 255.0)),
        (lambda x: keras.ops.cast(x, "float32") / 255.0 * 2 - 1, (0.0, 255.0)),
        (lambda x: (x - 0.5) / 0.5, (0.0, 1.0)),
        (lambda x: 2 * x - 1, (0.0, 1.0)),
        (lambda x: x - 0.5, None),
        (lambda x: x / 20.0, None),
        (lambda x: keras.ops.relu(x) / 255.0, None),
        (lambda x: x[..., ::-1] / 255.0, None),
    ],
)
def test_operators_at_the_input_state_the_range(
    tmp_path: Path, first: Callable[[Any], Any], expected: tuple[float, float] | None
) -> None:
    image = keras.Input((16, 16, 3))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(first(image))
    keras.Model(image, mask).save(tmp_path / "net.keras")
    if expected is None:
        with pytest.raises(UsageError, match="--input-range is required"):
            load_model(str(tmp_path / "net.keras"))
        return
    assert load_model(str(tmp_path / "net.keras")).spec.input_range == expected


def test_the_option_outweighs_the_file(tmp_path: Path, net: Net) -> None:
    net(first=layers.Rescaling(1 / 255)).save(tmp_path / "net.keras")
    options = LoadOptions(input_range=(0.0, 200.0))
    assert load_model(str(tmp_path / "net.keras"), options).spec.input_range == (0.0, 200.0)


@settings(deadline=None, max_examples=4)
@given(height=st.integers(4, 40), width=st.integers(4, 40))
def test_rebuilds_for_another_size(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int
) -> None:
    path = tmp_path_factory.mktemp("net") / "net.keras"
    image = keras.Input((None, None, 3))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", bias_initializer="uniform")
    model = keras.Model(image, mask(image))
    model.save(path)
    loaded = load_model(str(path), LoadOptions(size=(height, width), input_range=(0, 1)))
    assert loaded.model.inputs[0].shape == (None, height, width, 3)
    assert (loaded.spec.height, loaded.spec.width) == (height, width)
    assert np.allclose(_run(loaded.model, height, width), _run(model, height, width), atol=1e-6)


def test_rebuilds_a_fixed_size(tmp_path: Path, net: Net) -> None:
    model = net()
    model.save(tmp_path / "net.keras")
    loaded = load_model(str(tmp_path / "net.keras"), LoadOptions(size=(24, 32), input_range=(0, 1)))
    assert loaded.model.outputs[0].shape == (None, 24, 32, 1)


def _two_outputs(path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    first = layers.Conv2D(2, 1, activation="softmax", bias_initializer="uniform")(x)
    second = layers.Conv2D(1, 1, strides=2, bias_initializer="uniform")(x)
    keras.Model(image, [first, second]).save(path)


def test_keeps_all_outputs_and_names_the_mask(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    _two_outputs(path)
    options = LoadOptions(input_range=(0, 1), output=1, activation=Activation.SIGMOID)
    loaded = load_model(str(path), options)
    assert [output.shape[1:] for output in loaded.model.outputs] == [(16, 16, 2), (8, 8, 1)]
    assert loaded.spec.output == OutputSpec(1, 0, Activation.SIGMOID)


@pytest.mark.parametrize("shape", [(256,), (256, 1), (16, 16)])
def test_unflattens_a_mask(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(image)
    keras.Model(image, layers.Reshape(shape)(x)).save(tmp_path / "net.keras")
    loaded = load_model(str(tmp_path / "net.keras"), LoadOptions(input_range=(0, 1)))
    assert loaded.model.outputs[0].shape == (None, 16, 16, 1)


def _ends(kind: str, x: keras.KerasTensor) -> keras.KerasTensor:
    mask = layers.Conv2D(2, 1, bias_initializer="uniform")(x)
    if kind == "layer":
        return layers.Softmax()(mask)
    if kind == "activation":
        return layers.Activation("sigmoid")(mask)
    if kind == "operation":
        return keras.ops.sigmoid(mask)
    return layers.UpSampling2D(2)(layers.Dropout(0.5)(layers.Activation("softmax")(mask)))


@pytest.mark.parametrize("kind", ["layer", "activation", "operation", "resized"])
def test_sees_that_a_mask_is_a_probability(tmp_path: Path, kind: str) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    keras.Model(image, _ends(kind, x)).save(tmp_path / "net.keras")
    options = LoadOptions(input_range=(0, 1), output_channel=1)
    loaded = load_model(str(tmp_path / "net.keras"), options)
    assert loaded.spec.output.activation is Activation.NONE


@pytest.mark.parametrize("activation", list(Activation))
def test_logits_with_the_users_word(tmp_path: Path, net: Net, activation: Activation) -> None:
    net(last=None, masks=2).save(tmp_path / "net.keras")
    options = LoadOptions(input_range=(0, 1), output_channel=0, activation=activation)
    loaded = load_model(str(tmp_path / "net.keras"), options)
    assert loaded.spec.output.activation is activation


def test_zoo_net_with_random_weights() -> None:
    options = LoadOptions(random_weights=True, size=(32, 64), seed=3)
    loaded, same = load_model("hodzic_unet", options), load_model("hodzic_unet", options)
    assert loaded.zoo
    assert loaded.name == "hodzic_unet"
    assert loaded.spec.input_range == (0.0, 1.0)
    assert (loaded.spec.height, loaded.spec.width) == (32, 64)
    assert np.array_equal(_run(loaded.model, 32, 64), _run(same.model, 32, 64))
    biases = [w for w in loaded.model.weights if w.path.endswith("/bias")]
    assert biases
    assert all(np.abs(np.asarray(bias)).max() > 0 for bias in biases)


def test_subclassed_model_with_a_size(tmp_path: Path) -> None:
    code = tmp_path / "net.py"
    code.write_text(
        "import keras\n"
        "class Tiny(keras.Model):\n"
        "    def __init__(self, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "        self.mask = keras.layers.Conv2D(1, 3, padding='same', activation='sigmoid')\n"
        "    def call(self, x):\n"
        "        return self.mask(x)\n"
        "CUSTOM_OBJECTS = {'Tiny': Tiny}\n"
    )
    names: dict[str, type[keras.Model]] = {}
    exec(code.read_text(), names)
    model = names["Tiny"]()
    model(np.zeros((1, 16, 16, 3), np.float32))
    model.save(tmp_path / "net.keras")
    options = LoadOptions(size=(16, 16), input_range=(0, 1), custom_objects=code)
    loaded = load_model(str(tmp_path / "net.keras"), options)
    assert np.allclose(_run(loaded.model), _run(model))
