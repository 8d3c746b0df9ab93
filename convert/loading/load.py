"""A trained network from wherever it lies, with the preprocessing that belongs to it."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from portrait_tflite.convert.dilated_transposed import (
    make_runnable,
    require_rows_that_tensorflow_makes,
)
from portrait_tflite.convert.loading.archive import H5_SUFFIXES, KERAS_SUFFIX, read_config
from portrait_tflite.convert.loading.broadcasts import follow_batch
from portrait_tflite.convert.loading.custom_objects import read_custom_objects
from portrait_tflite.convert.loading.keras2 import CLASSES
from portrait_tflite.convert.loading.opened import has_own_call
from portrait_tflite.convert.loading.repair import (
    placeholder_classes,
    repair_config,
    write_repaired,
)
from portrait_tflite.convert.loading.saved_model import load_saved_model
from portrait_tflite.convert.loading.sizing import Size, first_sentence, fix_size, order_inputs
from portrait_tflite.convert.mask_interval import from_zero_to_one
from portrait_tflite.convert.mask_output import choose_activation, choose_mask
from portrait_tflite.convert.network_inputs import End, keras_ends, other_inputs
from portrait_tflite.convert.previous_mask import find_state
from portrait_tflite.convert.spec import resolve_channels, resolve_spec
from portrait_tflite.errors import UsageError
from portrait_tflite.file_names import TFLITE_SUFFIX, is_tflite
from portrait_tflite.models.registry import Net, all_nets, find_net
from portrait_tflite.vocabulary import (
    Activation,
    Channels,
    Fit,
    Interpolation,
    ModelSpec,
)

_UNKNOWN = re.compile(r"(?:locate|Unknown) (?:class|layer|object|function):? '?([\w>]+)")
_NOT_IMPORTED = re.compile(r"deserialize \w+ '([\w>]+)' because its parent module ([\w.]+) cannot")
_PATH_SUFFIXES = (KERAS_SUFFIX, *H5_SUFFIXES, TFLITE_SUFFIX, ".pb", ".onnx", ".pt", ".pth")


@dataclass(frozen=True)
class LoadOptions:
    """What the user says about a model; None and () leave it to the file or the zoo.

    Attributes:
        size: `(height, width)` of the input.
        input_range: What bytes 0 and 255 become.
        mean: Subtracted per channel; one number serves all channels.
        std: Divided by per channel.
        output: Index of the output that is the mask.
        output_channel: Channel of it that is the person.
        activation: Appended to logits; `none` states that the output is a probability.
        custom_objects: Python file with `LAMBDAS` or `CUSTOM_OBJECTS`; it is run.
        random_weights: Whether a net of the zoo may go without trained weights.
        seed: Of those random weights.
        arrays: Names of what calibration has arrays for: those inputs are fed with them.
    """

    size: Size | None = None
    input_range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Channels | None = None
    fit: Fit | None = None
    interpolation: Interpolation | None = None
    output: int | None = None
    output_channel: int | None = None
    activation: Activation | None = None
    custom_objects: Path | None = None
    random_weights: bool = False
    seed: int = 0
    arrays: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to be converted.

    Attributes:
        model: The picture `[batch, h, w, c]` of the size in `spec` is its first input; behind it
            comes what else it takes. All outputs of the file, of which `spec.output` names the mask
            `[batch, h, w, k]`. Its activation is not appended.
        source: The path or zoo name as given.
        name: Its stem, safe as part of a file name.
        zoo: Whether it is a net of the zoo.
    """

    model: keras.Model
    spec: ModelSpec
    source: str
    name: str
    zoo: bool


def load_model(source: str, options: LoadOptions | None = None) -> LoadedModel:
    """Load `.keras`, whole-model `.h5`, a SavedModel folder or a net of the zoo.

    Code in the file is never run; a file that needs some is refused.

    Raises:
        UsageError: The file is missing, damaged or no mask network, or an option that it needs is
            missing or contradicts it.
        ConversionError: It is not clear what is fed back to it, or it has a layer that TensorFlow
            does not run.
    """
    options = options or LoadOptions()
    net = _find_zoo_net(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of what only training needs
        model = _build_net(net, options) if net else _read(Path(source), options)
        model = fix_size(_as_graph(model, source, options), options.size, source)
        resolve_channels(model.inputs[0].shape[-1], options.channels, source)
        _require_finite(model, source)
        _require_float(model, source)
        require_rows_that_tensorflow_makes(model, source)
        make_runnable(model)
        follow_batch(model)
        names = keras_ends(model.outputs)
        model, output = choose_mask(model, source, options.output, options.output_channel)
        zoo_spec = net.spec if net else None
        spec = resolve_spec(model.inputs[0], options, output, source, zoo_spec)
        spec = _with_inputs(spec, model, names, source, options.arrays)
        # Of a mask that is fed back the network expects what it gave.
        if options.activation is None and spec.state is None:
            model = from_zero_to_one(model, output.index)
        activation = choose_activation(model, spec, source, options.activation)
    spec = replace(spec, output=replace(output, activation=activation))
    return LoadedModel(model, spec, source, _safe_name(source), net is not None)


def _find_zoo_net(source: str) -> Net | None:
    """Return the zoo's net of that name; None where `source` is a path."""
    if source in all_nets():
        return find_net(source)
    path = Path(source)
    looks_like_path = len(path.parts) != 1 or path.suffix.lower() in _PATH_SUFFIXES
    return None if path.exists() or looks_like_path else find_net(source)


def _read(path: Path, options: LoadOptions) -> keras.Model:
    if path.is_dir():
        objects = read_custom_objects(options.custom_objects)
        return load_saved_model(path, options.size, options.channels, objects, options.arrays)
    if is_tflite(path):
        raise UsageError(f"a Keras model is required here. Received: {path}, finished already.")
    config = read_config(path)
    custom = read_custom_objects(options.custom_objects)
    repaired = repair_config(path, config, custom)
    classes = {**CLASSES, **custom.classes, **placeholder_classes(custom.lambdas)}
    classes |= _under_their_packages(classes, repaired)
    with tempfile.TemporaryDirectory() as folder:
        # Keras reads files only, so a repaired architecture goes into a copy of the file.
        readable = path if repaired == config else write_repaired(path, repaired, Path(folder))
        return _load_keras(path, readable, classes)


def _load_keras(path: Path, readable: Path, classes: dict[str, Any]) -> keras.Model:
    try:
        return keras.models.load_model(
            readable, custom_objects=classes, compile=False, safe_mode=True
        )
    # Keras lets through whatever a layer's constructor raises.
    except Exception as error:
        raise UsageError(_why_not_loaded(path, error)) from error


def _why_not_loaded(path: Path, error: Exception) -> str:
    unknown = _UNKNOWN.search(str(error)) or _NOT_IMPORTED.search(str(error))
    if unknown is None:
        return f"{path} cannot be loaded by Keras: {first_sentence(error)}"
    name, module = (*unknown.groups(), "")[:2]
    name = name.rpartition(">")[2]
    define = (
        f'efine it in a file with CUSTOM_OBJECTS = {{"{name}": {name}}} and give it by '
        "--custom-objects FILE.py."
    )
    if not module:
        return f"{path} uses {name}, which Keras does not have.\nD{define}"
    return (
        f"{path} uses {name} of {module}, which cannot be imported here.\n"
        f"Install {module.partition('.')[0]} beside portrait-tflite, or d{define}"
    )


def _under_their_packages(classes: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """Return the classes that the file has registered in a package, by their names there."""
    found: dict[str, Any] = {}
    for part in config.values() if isinstance(config, dict) else config:
        if isinstance(part, dict | list):
            found |= _under_their_packages(classes, part)
        elif isinstance(part, str) and (name := part.rpartition(">")[2]) in classes:
            found[part] = classes[name]
    return found


def _build_net(net: Net, options: LoadOptions) -> keras.Model:
    weights = net.weights_path
    if weights is None and not options.random_weights:
        raise UsageError(
            f"{net.name} has no packaged weights: give a trained file (`portrait-tflite train "
            f"{net.name} --data DIR`), or --random-weights to try the pipeline."
        )
    height, width = options.size or (net.spec.height, net.spec.width)
    keras.utils.set_random_seed(options.seed)
    model = net.build_at(height, width)
    if weights is None or options.random_weights:
        _randomize(model, options.seed)
    else:
        model.load_weights(weights)
    return model


def _randomize(model: keras.Model, seed: int) -> None:
    """Give biases and statistics values other than 0 and 1.

    The converter drops a zero bias and then cannot fuse the activation behind it: the file would
    be another than that of a trained network.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = np.asarray(weight)
        if value.ndim == 1:
            value = value + rng.uniform(-0.1, 0.1, value.shape).astype(value.dtype)
            weight.assign(value)


def _as_graph(model: keras.Model, source: str, options: LoadOptions) -> keras.Model:
    """Return the network as a graph from inputs to outputs, a Sequential or subclass too.

    The picture is the first input.
    """
    if getattr(model, "inputs", None):
        inputs = order_inputs(model, source, options.arrays)
        image = inputs if len(inputs) > 1 else inputs[0]
        outputs = model(model.inputs) if has_own_call(model) else model.outputs
        return keras.Model(image, outputs, name=model.name)
    if options.size is None:
        raise UsageError(f"{source} does not state its input: --size HxW is required.")
    count = options.channels.depth if options.channels else Channels.RGB.depth
    image = keras.Input((*options.size, count), name="image")
    try:
        return keras.Model(image, model(image), name=model.name)
    except Exception as error:  # whatever the user's own class raises
        raise UsageError(
            f"{source} does not take {options.size[0]}x{options.size[1]}x{count} images: "
            f"{first_sentence(error)}"
        ) from error


def _with_inputs(
    spec: ModelSpec, model: keras.Model, named: Sequence[End], source: str, arrays: Sequence[str]
) -> ModelSpec:
    """Tell what the network takes besides the picture.

    Args:
        named: Its outputs under their own names.
    """
    mask = spec.output.index
    outputs = [
        End(end.name, tuple(tensor.shape[1:]))
        for end, tensor in zip(named, model.outputs, strict=True)
    ]
    # Of the mask, whatever its classes, only the person is left.
    outputs[mask] = End(named[mask].name, (*outputs[mask].shape[:2], 1))
    inputs = keras_ends(model.inputs)
    state = spec.state or find_state(inputs, outputs, mask, source, arrays)
    return replace(spec, state=state, others=other_inputs(inputs, 0, state))


def _require_finite(model: keras.Model, source: str) -> None:
    for weight in model.weights:
        value = np.asarray(weight)
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise UsageError(
                f"finite weights are required. Received: NaN or infinity in {weight.path} of "
                f"{source}. Take an earlier checkpoint."
            )


def _require_float(model: keras.Model, source: str) -> None:
    for layer in model._flatten_layers():
        if mode := getattr(layer, "quantization_mode", None):
            raise UsageError(
                f"a float network is required. Received: {source}, whose layer {layer.name!r} "
                f"Keras quantized ({mode}). Save it before model.quantize()."
            )


def _safe_name(source: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(source).stem).strip("._-") or "model"
