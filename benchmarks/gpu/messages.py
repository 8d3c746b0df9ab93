"""What LiteRT says while it works on the GPU; nothing else tells adapter and refused ops.

Lines are those of ai-edge-litert 2.3, whose WebGPU accelerator writes them to stderr at every log
level.
"""

from __future__ import annotations

import re

from portrait_tflite.benchmarks.gpu.adapters import Adapter

_SELECTED = re.compile(r"Selected adapter: (?P<name>.+?), arch=.*adapterType=(?P<kind>.+)")
_COUNTS = re.compile(
    r"(\d+|No) operations will run on the GPU, and (?:the remaining|all) (\d+) operations"
)
_REFUSED_HEAD = "not supported by GPU delegate:"
_REFUSED = re.compile(r"^(?P<op>[A-Z][A-Z0-9_]+)(?: \([^)]*\))?: (?P<reason>.+)$")
_NO_ADAPTER = "No adapters found"
_COMPLAINT = re.compile(r"^(?:WARNING|ERROR|Warning|Error): (?:\[[^]]*\] ?)?(?P<text>.+)$")
# Said on every machine, or told by `left_out`.
_NOISE = re.compile(r"plugin|NPU|InitGoogle|OpenCL|buffer requirements|not supported by GPU")
_WHERE_IN_SOURCE = re.compile(r"ERROR: \[[^]]*\]|[└├│─]")
_LONGEST = 300


def selected_adapter(said: str) -> Adapter | None:
    """Return the adapter that the runtime says it took; None where it took none."""
    found = _SELECTED.search(said)
    if not found:
        return None
    return Adapter(found["name"], software="CPU" in found["kind"])


def left_out(said: str) -> str:
    """Return which ops the GPU did not take, and why; empty where it took all.

    Example:
        `57 of 74 ops would run on the CPU, for RESHAPE (Tensor dimensions must be less than 5)`
    """
    counts = _COUNTS.search(said)
    if not counts or not int(counts[2]):
        return ""
    on_gpu, on_cpu = 0 if counts[1] == "No" else int(counts[1]), int(counts[2])
    refused = ", ".join(f"{op} ({reason})" for op, reason in _refused_ops(said))
    where = f"{on_cpu} of {on_gpu + on_cpu} ops would run on the CPU"
    return f"{where}, for {refused}" if refused else where


def explain(error: str, said: str) -> str:
    """Return why the runtime gave up, in one line: its last complaint, and its error."""
    if _NO_ADAPTER in said:
        return "the runtime takes none of the adapters that Vulkan finds"
    complaints = [
        found["text"]
        for line in said.splitlines()
        if (found := _COMPLAINT.match(line)) and not _NOISE.search(line)
    ]
    text = " ".join(_WHERE_IN_SOURCE.sub(" ", error).split()).removeprefix("RuntimeError: ")
    return "; ".join([*complaints[-1:], text.rstrip(".")])[:_LONGEST]


def _refused_ops(said: str) -> list[tuple[str, str]]:
    """List the kinds of refused ops with the reason: the lines behind the heading.

    How many there are of a kind is not said: equal lines are written once.
    """
    _, _, behind = said.partition(_REFUSED_HEAD)
    found: dict[tuple[str, str], None] = {}
    for line in behind.splitlines()[1:]:
        match = _REFUSED.match(line)
        if not match:
            break
        # The reason is a sentence; the name of the op's tensor follows.
        found[match["op"], match["reason"].split(". ")[0].rstrip(".")] = None
    return list(found)
