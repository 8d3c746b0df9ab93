"""The packaged default net on the GPU, on drawn portraits."""

from __future__ import annotations

from pathlib import Path

from portrait_tflite.benchmarks.cell import Cell
from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.doubts import FAR_OFF
from portrait_tflite.benchmarks.gpu.latency import measure_gpu
from portrait_tflite.convert.export import Export
from portrait_tflite.convert.loading.load import load_model
from portrait_tflite.convert.plan import mask_graph
from portrait_tflite.images import prepare
from portrait_tflite.models.registry import DEFAULT_NET
from portrait_tflite.models.synthetic import draw_portrait
from portrait_tflite.vocabulary import Delegate, Precision


def test_its_float16_file_gives_the_cpus_mask(adapter: Adapter, tmp_path: Path) -> None:
    loaded = load_model(DEFAULT_NET)
    graph, _ = mask_graph(loaded.model, loaded.spec)
    path = tmp_path / "float16.tflite"
    path.write_bytes(Export(graph).float_model(Precision.FLOAT16))
    height, width = loaded.spec.height, loaded.spec.width
    photos = [prepare(draw_portrait(seed, height, width)[0], loaded.spec) for seed in range(2)]
    row = measure_gpu(Cell("float16", path, Delegate.GPU), photos, runs=1)
    assert row.unavailable == ""
    assert row.fully_accelerated
    assert row.precision == "float16"
    assert row.against_cpu
    assert row.against_cpu.iou >= 0.995
    assert FAR_OFF not in row.warnings
