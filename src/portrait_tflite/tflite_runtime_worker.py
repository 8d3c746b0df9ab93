"""Run one `.tflite` on tflite-runtime's built-in kernels; a script for another interpreter.

    python tflite_runtime_worker.py MODEL INPUTS.npz OUTPUTS.npz

Imports nothing but numpy and tflite_runtime: it runs where portrait_tflite is not installed.
INPUTS holds `input_0`, `input_1`, …; OUTPUTS gets `output_0`, … in the tensors' own dtypes.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np


def main(model: str, inputs: str, outputs: str) -> None:
    """Run once and write the outputs."""
    runtime = importlib.import_module("tflite_runtime.interpreter")
    interpreter = runtime.Interpreter(
        model_path=model,
        num_threads=1,
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    with np.load(inputs) as arrays:
        for number, details in enumerate(interpreter.get_input_details()):
            interpreter.set_tensor(details["index"], arrays[f"input_{number}"])
    interpreter.invoke()
    results = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    np.savez(outputs, **{f"output_{number}": array for number, array in enumerate(results)})


if __name__ == "__main__":
    main(*sys.argv[1:])
