"""What LiteRT 2.3 said on SwiftShader, and what is read from it."""

from __future__ import annotations

from portrait_tflite.benchmarks.gpu.adapters import Adapter
from portrait_tflite.benchmarks.gpu.messages import explain, left_out, selected_adapter

SELECTED = (
    "I0000 00:00:1795271932.207579    7938 environment.cc:532] Selected adapter: SwiftShader "
    "Device (Subzero), arch=swiftshader, vendor=google, backend=Vulkan, "
    "adapterType=CPU / Software\n"
)
REFUSED = """INFO: [gpu_environment.h:155] Created LiteRT GpuEnvironment.
ERROR: Following operations are not supported by GPU delegate:
RESHAPE: Tensor dimensions must be less than 5. net/up_1/Repeat/Tile
RESHAPE: Tensor dimensions must be less than 5. net/up_2/Repeat/Tile
TRANSPOSE_CONV: Max version supported: 3. Requested version 4.
17 operations will run on the GPU, and the remaining 57 operations will run on the CPU.
I0000 00:00:1795272165.400162    8996 delegate_kernel.cc:984] Initializing API from graph.
"""
NOT_ALL = "RuntimeError: ERROR: [./litert/cc/litert_compiled_model.h:1961] └ Some ops are not taken"


def test_the_adapter_is_the_runtimes_own() -> None:
    assert selected_adapter(SELECTED) == Adapter("SwiftShader Device (Subzero)", software=True)
    hardware = SELECTED.replace("CPU / Software", "discrete GPU").replace("SwiftShader", "Real")
    assert selected_adapter(hardware) == Adapter("Real Device (Subzero)", software=False)
    assert selected_adapter(REFUSED) is None


def test_ops_left_to_the_cpu_are_named_once_with_the_reason() -> None:
    assert left_out(REFUSED) == (
        "57 of 74 ops would run on the CPU, for RESHAPE (Tensor dimensions must be less than 5), "
        "TRANSPOSE_CONV (Max version supported: 3)"
    )
    assert left_out(SELECTED) == ""


def test_where_the_gpu_takes_none_the_ops_are_named_too() -> None:
    said = (
        "ERROR: Following operations are not supported by GPU delegate:\n"
        "CONV_2D: Tensor type(INT16) is not supported. in_0\n"
        "No operations will run on the GPU, and all 1 operations will run on the CPU.\n"
    )
    assert left_out(said) == (
        "1 of 1 ops would run on the CPU, for CONV_2D (Tensor type(INT16) is not supported)"
    )


def test_a_count_alone_is_told_too() -> None:
    line = "1 operations will run on the GPU, and the remaining 2 operations will run on the CPU."
    assert left_out(line) == "2 of 3 ops would run on the CPU"
    assert left_out(line.replace("remaining 2", "remaining 0")) == ""


def test_an_error_comes_with_the_last_complaint_and_without_its_place_in_the_source() -> None:
    said = (
        "WARNING: [npu_registry.cc:34] NPU accelerator could not be loaded\n"
        "WARNING: Attempting to use a delegate that only supports static-sized tensors\n"
        "WARNING: Logging before InitGoogle() is written to STDERR\n"
    )
    assert explain(NOT_ALL, said) == (
        "Attempting to use a delegate that only supports static-sized tensors; "
        "Some ops are not taken"
    )
    assert explain(NOT_ALL, "") == explain(f"{NOT_ALL}.", "") == "Some ops are not taken"


def test_an_adapter_that_the_runtime_does_not_take_is_said_plainly() -> None:
    said = "ERROR: [delegate_webgpu.cc:359] Failed to initialize: INTERNAL: No adapters found\n"
    assert explain(NOT_ALL, said) == "the runtime takes none of the adapters that Vulkan finds"


def test_a_reason_is_not_endless() -> None:
    assert len(explain("RuntimeError: " + "word " * 1000, "")) == 300
