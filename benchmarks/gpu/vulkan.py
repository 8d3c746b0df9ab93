"""The adapters that Vulkan's loader finds: `python -m portrait_tflite.benchmarks.gpu.vulkan`.

Prints JSON: `{"adapters": [[name, software], …]}`, or `{"error": …}` where there is no loader. A
driver that crashes takes its process with it, so this is run in one of its own.

The three calls are declared here rather than taken from a binding: structures and numbers are those
of the Vulkan 1.0 specification, which never change (Khronos registry, `vulkan_core.h`).
"""

from __future__ import annotations

import ctypes
import json

LOADER = "libvulkan.so.1"

_INSTANCE_CREATE_INFO = 1  # VkStructureType
_TYPE_CPU = 4  # VkPhysicalDeviceType
_NAME_BYTES = 256
_REST_BYTES = 4096  # the whole VkPhysicalDeviceProperties has 824 on 64-bit machines


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = (
        ("structure_type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class _Properties(ctypes.Structure):
    """The head of VkPhysicalDeviceProperties; what follows is only written to."""

    _fields_ = (
        ("api_version", ctypes.c_uint32),
        ("driver_version", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("device_type", ctypes.c_int),
        ("name", ctypes.c_char * _NAME_BYTES),
        ("rest", ctypes.c_ubyte * _REST_BYTES),
    )


def list_devices() -> list[tuple[str, bool]]:
    """Return name and "is software" of each physical device; empty where there is no driver.

    Raises:
        OSError: There is no Vulkan loader.
    """
    vulkan = ctypes.CDLL(LOADER)
    instance = ctypes.c_void_p()
    request = _InstanceCreateInfo(structure_type=_INSTANCE_CREATE_INFO)
    if vulkan.vkCreateInstance(ctypes.byref(request), None, ctypes.byref(instance)):
        return []  # no driver, or none that starts
    try:
        return [_describe(vulkan, device) for device in _devices(vulkan, instance)]
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _devices(vulkan: ctypes.CDLL, instance: ctypes.c_void_p) -> list[ctypes.c_void_p]:
    count = ctypes.c_uint32()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    handles = (ctypes.c_void_p * count.value)()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
    return [ctypes.c_void_p(handle) for handle in handles[: count.value]]


def _describe(vulkan: ctypes.CDLL, device: ctypes.c_void_p) -> tuple[str, bool]:
    properties = _Properties()
    vulkan.vkGetPhysicalDeviceProperties(device, ctypes.byref(properties))
    return properties.name.decode(errors="replace"), properties.device_type == _TYPE_CPU


def main() -> None:
    """Print what there is."""
    try:
        found: dict[str, object] = {"adapters": list_devices()}
    except OSError as error:
        found = {"error": " ".join(str(error).split())}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
