"""What the GPU's worker feeds a network with: pictures, and an empty mask beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portrait_tflite.benchmarks.gpu.worker import GpuWorker


def test_pictures_go_to_the_input_of_their_shape(
    tiny_graph: Callable[[], Any], tmp_path: Path
) -> None:
    graph = tiny_graph()
    state, image = (graph.tensor(f"in{n}", (1, 8, 8, n), "float32") for n in (1, 3))
    both = graph.tensor("both", (1, 8, 8, 4), "float32")
    graph.op("CONCATENATION", [image, state], both, 1, schema.ConcatenationOptionsT(axis=3))
    path = tmp_path / "net.tflite"
    path.write_bytes(graph.build([state, image], [both]))
    pictures = np.random.default_rng(0).random((2, 1, 8, 8, 3)).astype(np.float32)
    np.savez(tmp_path / "images.npz", *pictures)
    worker = GpuWorker()
    worker.load(str(path), str(tmp_path / "images.npz"))
    worker.reference("cpu", str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as found:
        for number, picture in enumerate(pictures):
            output = found[f"output_{number}_0"]
            np.testing.assert_array_equal(output[..., :3], picture)
            assert not output[..., 3].any()
