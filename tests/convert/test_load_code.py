"""Models that hold code: never run, refused with a way on, and loaded by the user's own file."""

from __future__ import annotations

import codecs
import json
import marshal
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.graph import trace
from portrait_tflite.convert.loading.load import LoadOptions, load_model
from portrait_tflite.errors import UsageError

_RANGE = LoadOptions(input_range=(0.0, 1.0))
_HALVE = 'def halve(x):\n    return x * 0.5\nLAMBDAS = {"halve": halve}\n'


def _options(code: Path) -> LoadOptions:
    return LoadOptions(input_range=(0.0, 1.0), custom_objects=code)


def _lambda_net(path: Path, marker: Path) -> keras.Model:
    """Save a net whose Lambda layer would write `marker` when its code is run."""

    def payload(x: keras.KerasTensor) -> keras.KerasTensor:
        import pathlib

        pathlib.Path(str(marker)).touch()
        return x * 0.5

    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(2, 3, padding="same", bias_initializer="uniform")(image)
    x = layers.Lambda(payload, output_shape=(16, 16, 2), name="halve")(x)
    mask = layers.Conv2D(1, 1, activation="sigmoid", bias_initializer="uniform")(x)
    model = keras.Model(image, mask)
    model.save(path)
    marker.unlink(missing_ok=True)
    return model


def _as_lambda_expression(path: Path, marker: Path) -> None:
    """Make the saved Lambda hold bytecode, as a lambda does, that would write `marker`."""
    source = f"lambda x: [__import__('pathlib').Path({str(marker)!r}).touch(), x][1]"
    code = codecs.encode(marshal.dumps(eval(source).__code__), "base64").decode("ascii")
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            layer = next(x for x in config["config"]["layers"] if x["class_name"] == "Lambda")
            layer["config"].update(function=[code, None, None], function_type="lambda")
            file.attrs["model_config"] = json.dumps(config)
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    layer = next(x for x in config["config"]["layers"] if x["class_name"] == "Lambda")
    layer["config"]["function"] = {"class_name": "__lambda__", "config": {"code": code}}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_is_refused_and_not_run(tmp_path: Path, suffix: str) -> None:
    path, marker = tmp_path / f"net{suffix}", tmp_path / "marker"
    _lambda_net(path, marker)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"Lambda layers \(halve\)") as caught:
        load_model(str(path), _RANGE)
    message = str(caught.value)
    assert 'LAMBDAS = {"halve": function}' in message
    assert "--custom-objects FILE.py" in message
    assert message.count("\n") <= 1
    assert caught.value.exit_code == 2
    assert not marker.exists()
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_bytecode_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    marker = tmp_path / "marker"
    _lambda_net(path, marker)
    _as_lambda_expression(path, marker)
    with pytest.raises(UsageError, match=r"Lambda layers \(halve\)"):
        load_model(str(path), _RANGE)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("expression", [False, True])
def test_the_users_function_stands_in(tmp_path: Path, suffix: str, expression: bool) -> None:
    path, marker = tmp_path / f"net{suffix}", tmp_path / "marker"
    model = _lambda_net(path, marker)
    if expression:
        _as_lambda_expression(path, marker)
    code = tmp_path / "functions.py"
    code.write_text(_HALVE)
    loaded = load_model(str(path), _options(code))
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    assert not marker.exists()
    assert np.allclose(loaded.model(picture), model(picture), atol=1e-6)
    clone = keras.models.clone_model(loaded.model)
    clone.set_weights(loaded.model.get_weights())
    assert np.allclose(clone(picture), loaded.model(picture))
    assert not (tmp_path / "__pycache__").exists()


def test_code_outside_of_lambda_layers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    _lambda_net(path, tmp_path / "marker")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1]["config"]["activation"] = {
        "class_name": "__lambda__",
        "config": {"code": "4wEA"},
    }
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    code = tmp_path / "functions.py"
    code.write_text(_HALVE)
    with pytest.raises(UsageError, match=r"layer conv2d\w* holds Python code"):
        load_model(str(path), _options(code))


def test_what_the_users_function_does_is_read(tmp_path: Path) -> None:
    path, code = tmp_path / "net.keras", tmp_path / "functions.py"
    _lambda_net(path, tmp_path / "marker")
    function = "def twice(x):\n    return keras.ops.relu(x) * 2.0\n"
    code.write_text(f"import keras\n{function}LAMBDAS = {{'halve': twice}}\n")
    graph = trace(load_model(str(path), _options(code)).model)
    names = [type(node.op).__name__ for node in graph.nodes()]
    assert names[1:] == ["Conv2D", "Relu", "Multiply", "Conv2D"]  # behind the input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LAMBDAS = {'helve': abs}", r"must name Lambda layers .*\(halve\)\. Received: helve"),
        ("LAMBDAS = [abs]", "LAMBDAS in .* must be a dict"),
        ("LAMBDAS = {'halve': 3}", "LAMBDAS in .* must be a dict"),
        ("x = 1", "a file with none of them"),
        ("1 / 0", "fails with ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", "fails with SystemExit"),
        ("def (", "fails with SyntaxError"),
    ],
)
def test_bad_custom_objects(tmp_path: Path, text: str, message: str) -> None:
    path, code = tmp_path / "net.keras", tmp_path / "functions.py"
    _lambda_net(path, tmp_path / "marker")
    code.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_model(str(path), _options(code))


def test_missing_custom_objects_file(tmp_path: Path) -> None:
    _lambda_net(tmp_path / "net.keras", tmp_path / "marker")
    with pytest.raises(UsageError, match=r"takes a Python file.*nothing\.py \(No such file"):
        load_model(str(tmp_path / "net.keras"), _options(tmp_path / "nothing.py"))


def test_unknown_layer_class_says_how_to_go_on(tmp_path: Path) -> None:
    class Own(layers.Layer):
        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return x * 2

    image = keras.Input((16, 16, 3))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(Own()(image))
    keras.Model(image, mask).save(tmp_path / "net.keras")
    with pytest.raises(UsageError, match=r'uses Own.*\n.*CUSTOM_OBJECTS = \{"Own": Own\}'):
        load_model(str(tmp_path / "net.keras"), _RANGE)
    code = tmp_path / "own.py"
    code.write_text(
        "import keras\nclass Own(keras.layers.Layer):\n    def call(self, x):\n"
        "        return x * 2\nCUSTOM_OBJECTS = {'Own': Own}\n"
    )
    assert load_model(str(tmp_path / "net.keras"), _options(code)).spec.height == 16


def test_an_unknown_function_says_how_to_go_on(tmp_path: Path) -> None:
    """Registered by a library that is not imported here."""
    path = tmp_path / "net.keras"
    image = keras.Input((8, 8, 3))
    keras.Model(image, layers.Conv2D(1, 3, activation="relu")(image)).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    function = {
        "module": "builtins",
        "class_name": "function",
        "config": "own",
        "registered_name": "lib>own",
    }
    named = members["config.json"].replace(b'"relu"', json.dumps(function).encode())
    members["config.json"] = named
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in members.items():
            archive.writestr(name, held)
    with pytest.raises(UsageError, match=r"uses own, which Keras does not have\.\nDefine it"):
        load_model(str(path), _RANGE)


_OWN = """import keras
{}class Own(keras.layers.Layer):
    def call(self, x):
        return x * 2
"""
_REGISTERED = "@keras.saving.register_keras_serializable(package='mine')\n"


def _save_own(path: Path, module: str, *, registered: bool) -> None:
    """Save a network with a layer of its own, of which Keras knows nothing afterwards."""

    class Own(layers.Layer):
        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return x * 2

    Own.__module__ = module
    if registered:
        keras.saving.register_keras_serializable(package="mine")(Own)
    image = keras.Input((16, 16, 3))
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(Own()(image))
    keras.Model(image, mask).save(path)
    keras.saving.get_custom_objects().pop("mine>Own", None)


@pytest.mark.parametrize("saved", [False, True], ids=["saved plainly", "saved registered"])
@pytest.mark.parametrize("decorator", ["", _REGISTERED], ids=["plain", "registered"])
def test_a_layer_class_needs_no_dict(tmp_path: Path, saved: bool, decorator: str) -> None:
    _save_own(tmp_path / "net.keras", "nowhere.blocks", registered=saved)
    code = tmp_path / "own.py"
    code.write_text(_OWN.format(decorator))
    assert load_model(str(tmp_path / "net.keras"), _options(code)).spec.height == 16
    keras.saving.get_custom_objects().pop("mine>Own", None)


def test_a_layer_that_fails_says_why(tmp_path: Path) -> None:
    _save_own(tmp_path / "net.keras", "nowhere.blocks", registered=False)
    code = tmp_path / "own.py"
    code.write_text(_OWN.format("").replace("x * 2", "self.missing(x)"))
    with pytest.raises(UsageError, match=r"by Keras: .*has no attribute .missing"):
        load_model(str(tmp_path / "net.keras"), _options(code))


def test_a_file_may_only_import_what_registers_itself(tmp_path: Path) -> None:
    _save_own(tmp_path / "net.keras", "nowhere.blocks", registered=True)
    code = tmp_path / "imports.py"
    code.write_text(
        f"def define():\n    {_OWN.format('').replace(chr(10), chr(10) + '    ')}\n"
        "    keras.saving.register_keras_serializable(package='mine')(Own)\ndefine()\n"
    )
    assert load_model(str(tmp_path / "net.keras"), _options(code)).spec.height == 16
    keras.saving.get_custom_objects().pop("mine>Own", None)


@pytest.mark.parametrize("registered", [False, True])
def test_a_class_of_a_library_that_is_not_here_names_both(tmp_path: Path, registered: bool) -> None:
    # Keras looks into its own libraries by itself, and into no others.
    _save_own(tmp_path / "net.keras", "keras_hub.nowhere", registered=registered)
    message = r"uses Own of keras_hub\.nowhere, which cannot .*\nInstall keras_hub .*\"Own\": Own"
    with pytest.raises(UsageError, match=message):
        load_model(str(tmp_path / "net.keras"), _RANGE)


@pytest.mark.parametrize(("factor", "known"), [("0.5", True), ("9.0", False)])
def test_a_mask_that_the_users_function_makes_is_measured(
    tmp_path: Path, factor: str, known: bool
) -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(image)
    model = keras.Model(image, layers.Lambda(lambda x: x, output_shape=(16, 16, 1), name="end")(x))
    model.save(tmp_path / "net.keras")
    code = tmp_path / "functions.py"
    code.write_text(f"LAMBDAS = {{'end': lambda x: x * {factor}}}\n")
    if known:
        assert load_model(str(tmp_path / "net.keras"), _options(code)).spec.output.channel == 0
        return
    with pytest.raises(UsageError, match=r"ends in end .* --activation sigmoid or softmax"):
        load_model(str(tmp_path / "net.keras"), _options(code))


def test_keras_2_configs_are_mended(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3), name="picture")
    x = layers.DepthwiseConv2D(3, padding="same", bias_initializer="uniform", name="dw")(image)
    x = layers.BatchNormalization(name="bn")(x)
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x)
    model = keras.Model(image, mask)
    path = tmp_path / "net.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            layer.pop("module", None)
            layer.pop("registered_name", None)
            if layer["class_name"] == "DepthwiseConv2D":
                old = {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}
                layer["config"].update(groups=1, depthwise_initializer=old)
            if layer["class_name"] == "BatchNormalization":
                layer["config"]["axis"] = [3]
        file.attrs["model_config"] = json.dumps(config)
    loaded = load_model(str(path), _RANGE)
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    assert np.allclose(loaded.model(picture), model(picture), atol=1e-6)
