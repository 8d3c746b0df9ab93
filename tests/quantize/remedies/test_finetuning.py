"""Fine-tuning for int8 as a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from portrait_tflite.convert.export import Export
from portrait_tflite.convert.files.flatbuffer import indices, read_model
from portrait_tflite.convert.finetuning.options import FineTuningOptions
from portrait_tflite.convert.graph import Graph, trace
from portrait_tflite.errors import ConversionError
from portrait_tflite.images import normalize
from portrait_tflite.quantize.built import Trainable
from portrait_tflite.quantize.int8.measured_network import measured_network
from portrait_tflite.quantize.int8.ranged_network import RangedNetwork
from portrait_tflite.quantize.int8.tensor_ranges import Range
from portrait_tflite.quantize.remedies.finetuning import FineTuningForInt8
from portrait_tflite.quantize.remedies.rounding import Rounding
from portrait_tflite.quantize.variants import build_variants
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate, IoType, ModelSpec, Precision, Target

SIZE = 16
SPEC = ModelSpec(SIZE, SIZE, mean=(0.5,), std=(0.25,))
OPTIONS = FineTuningOptions(rounds=1, steps=4, learning_rate=1e-3)


@pytest.fixture(scope="module")
def pictures() -> Any:
    coarse = np.random.default_rng(3).integers(0, 256, (12, 4, 4, 3))
    return coarse.repeat(SIZE // 4, 1).repeat(SIZE // 4, 2).astype(np.uint8)


@pytest.fixture(scope="module")
def frames(pictures: Any) -> list[Any]:
    return [(normalize(picture[None], SPEC),) for picture in pictures]


@pytest.fixture(scope="module")
def graph() -> Graph:
    keras.utils.set_random_seed(4)
    x = keras.Input((SIZE, SIZE, 3))
    y = layers.Conv2D(8, 3, 2, activation="relu", bias_initializer="uniform", name="first")(x)
    y = layers.Conv2DTranspose(1, 2, 2, bias_initializer="uniform", name="logits")(y)
    return trace(keras.Model(x, layers.Activation("sigmoid", name="mask")(y)))


@pytest.fixture(scope="module")
def network(graph: Graph, frames: list[Any]) -> RangedNetwork:
    data = Export(graph).float_model(Precision.FLOAT32)
    return measured_network(data, frames, Range(-2.0, 2.0))


def _remedy(graph: Graph, pictures: Any, folder: Path, **changed: Any) -> FineTuningForInt8:
    given = {"trainable": Trainable(graph), "takes_bytes": False, **changed}
    return FineTuningForInt8(
        taught=graph, spec=SPEC, pictures=pictures, options=OPTIONS, folder=folder, **given
    )


def test_the_network_is_made_afresh_and_judged_by_the_one_before(
    network: RangedNetwork, graph: Graph, pictures: Any, frames: list[Any], tmp_path: Path
) -> None:
    shares: list[float] = []
    remedy = _remedy(graph, pictures, tmp_path)
    treated = remedy.apply(network, frames, shares.append)
    assert treated is not None
    assert treated.afresh
    assert treated.float_layers == ()
    assert treated.network.data != network.data
    assert treated.network.reference == network.data
    assert treated.network.unrounded == treated.network.data
    picture = indices(read_model(treated.network.data).subgraphs[0].inputs)[0]
    assert treated.network.ranges[picture] == Range(-2.0, 2.0)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert treated.detail.startswith("1 round on 11 pictures, 1 held out: IoU with float's masks")
    assert list(tmp_path.iterdir()) == []


def test_the_teacher_stays_behind_the_next_remedies(
    network: RangedNetwork, graph: Graph, pictures: Any, frames: list[Any], tmp_path: Path
) -> None:
    tuned = _remedy(graph, pictures, tmp_path).apply(network, frames, lambda _: None)
    assert tuned is not None
    rounded = Rounding().apply(tuned.network, frames, lambda _: None)
    assert rounded is not None
    assert rounded.network.reference == network.data
    assert rounded.network.unrounded == tuned.network.data


def test_what_takes_bytes_is_trained_in_its_own_units(
    graph: Graph, pictures: Any, frames: list[Any], tmp_path: Path
) -> None:
    built = build_variants(
        {Delegate.XNNPACK: graph}, [Precision.INT8], Target.CPU, lambda: iter(map(list, frames)),
        IoType.UINT8, frames[:2], spec=SPEC,
    )["int8"]  # fmt: skip
    assert built.spec is not None
    assert built.treatable is not None
    assert built.treatable.trainable is not None
    assert built.treatable.trainable.graph is graph
    remedy = _remedy(
        graph, pictures, tmp_path, trainable=built.treatable.trainable, takes_bytes=True
    )
    treated = remedy.apply(built.treatable.network, built.treatable.frames, lambda _: None)
    plain = _remedy(graph, pictures, tmp_path).apply(
        measured_network(Export(graph).float_model(Precision.FLOAT32), frames),
        frames,
        lambda _: None,
    )
    assert treated is not None
    assert plain is not None
    assert treated.detail == plain.detail
    (of_bytes,) = open_model(treated.network.data).run(pictures[:1].astype(np.float32))
    (of_units,) = open_model(plain.network.data).run(frames[0][0])
    assert np.abs(of_bytes - of_units).max() < 1e-4


def test_a_graph_that_no_longer_takes_bytes_is_an_error(graph: Graph, frames: list[Any]) -> None:
    built = build_variants(
        {Delegate.XNNPACK: graph}, [Precision.INT8], Target.CPU, lambda: iter(map(list, frames)),
        IoType.UINT8, frames[:2], spec=SPEC,
    )["int8"]  # fmt: skip
    assert built.treatable is not None
    assert built.treatable.trainable is not None
    x = keras.Input((SIZE, SIZE, 3))
    other = trace(keras.Model(x, layers.Activation("tanh")(x)))
    with pytest.raises(ConversionError, match="must take its input"):
        built.treatable.trainable.exported(other)
