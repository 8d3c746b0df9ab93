"""Runs inside of the emulated aarch64 Python: loads models, runs them, marks what is to be counted.

    python3.11 worker.py SITE

Needs the standard library, and numpy and ai_edge_litert in the folder SITE. Takes one request per
line on stdin, a JSON object with what to `do` and the `bytes` that follow it, and answers each in
the same way on stdout. `emulator.py` is the other end.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, BinaryIO

# `counter.c` watches for these system calls.
_MARK = 0x4D41
_BEGIN, _END = 0, 1

Reply = tuple[dict[str, Any], list[Any]]


class Worker:
    """Holds the model that was loaded last."""

    def __init__(self) -> None:
        self._interpreter: Any = None

    def hello(self, request: dict[str, Any], data: bytes) -> Reply:
        """Import everything."""
        import numpy as np
        from ai_edge_litert import interpreter

        return {"numpy": np.__version__, "interpreter": interpreter.__name__}, []

    def load(self, request: dict[str, Any], data: bytes) -> Reply:
        """Load a model, with XNNPACK or without, on one thread."""
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreter = None  # two large models need not fit into memory together
        self._interpreter = Interpreter(
            model_content=data,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN if request["xnnpack"] else plain,
        )
        own = len(self._interpreter._get_ops_details())
        self._interpreter.allocate_tensors()
        rows = self._interpreter._get_ops_details()[own:]
        inputs = [_describe(details) for details in self._interpreter.get_input_details()]
        return {"inputs": inputs, "partitions": sum(r["op_name"] == "DELEGATE" for r in rows)}, []

    def set_inputs(self, request: dict[str, Any], data: bytes) -> Reply:
        """Copy one array per input."""
        import numpy as np

        offset = 0
        for details in self._interpreter.get_input_details():
            dtype = np.dtype(details["dtype"])
            count = int(np.prod(details["shape"]))
            values = np.frombuffer(data, dtype, count, offset)
            offset += values.nbytes
            self._interpreter.set_tensor(details["index"], values.reshape(details["shape"]))
        return {}, []

    def count(self, request: dict[str, Any], data: bytes) -> Reply:
        """Run so many times between two marks; 0 runs count what the marks themselves take."""
        # The wrapped method itself: what Python's `invoke` does around it is no part of the model.
        invoke = self._interpreter._interpreter.Invoke if self._interpreter else None
        _run_marked(invoke, request["runs"])
        return {}, []

    def outputs(self, request: dict[str, Any], data: bytes) -> Reply:
        """Run once, unmarked, and send the outputs."""
        self._interpreter.invoke()
        details = self._interpreter.get_output_details()
        arrays = [self._interpreter.get_tensor(one["index"]) for one in details]
        return {"outputs": [_describe(one) for one in details]}, arrays


def main(site: str) -> None:
    """Serve requests until stdin ends."""
    # The runtime may print: descriptor 1 becomes stderr, and answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path.insert(0, site)
    gc.disable()  # it would come at other moments from run to run
    worker = Worker()
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        _answer(answers, *_served(worker, request, sys.stdin.buffer.read(request["bytes"])))


def _served(worker: Worker, request: dict[str, Any], data: bytes) -> Reply:
    try:
        reply: Reply = getattr(worker, request["do"])(request, data)
    except (RuntimeError, ValueError) as error:
        return {"error": " ".join(str(error).split())}, []
    return reply


def _answer(answers: BinaryIO, reply: dict[str, Any], arrays: list[Any]) -> None:
    payload = [array.tobytes() for array in arrays]
    answers.write(json.dumps({**reply, "bytes": sum(map(len, payload))}).encode() + b"\n")
    answers.writelines(payload)
    answers.flush()


def _run_marked(invoke: Any, runs: int) -> None:
    _mark(_BEGIN)
    for _ in range(runs):
        invoke()
    _mark(_END)


def _mark(moment: int) -> None:
    try:
        os.getpriority(_MARK, moment)
    except OSError:
        return


def _describe(details: dict[str, Any]) -> dict[str, Any]:
    shape = [int(size) for size in details["shape"]]
    return {"name": details["name"], "dtype": details["dtype"].__name__, "shape": shape}


if __name__ == "__main__":
    main(sys.argv[1])
