"""Which adapter is measured on; Vulkan's loader is asked for real, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from portrait_tflite.benchmarks.gpu import adapters
from portrait_tflite.benchmarks.gpu import status as status_module
from portrait_tflite.benchmarks.gpu.adapters import Adapter, find_adapter, list_adapters
from portrait_tflite.benchmarks.gpu.status import GpuStatus, gpu_status, require_gpu
from portrait_tflite.errors import UnavailableError

Found = dict[str, list[Adapter] | str]

CARD = Adapter("Card", software=False)
LLVMPIPE = Adapter("llvmpipe", software=True)
SWIFTSHADER = Adapter("SwiftShader", software=True, driver="/browser/vk_swiftshader_icd.json")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Found:
    """Give what the loader finds by each driver file, to be filled; "" for by itself.

    A text is what it dies of.
    """
    found: Found = {"": [], SWIFTSHADER.driver: [SWIFTSHADER]}

    def listed(driver: str = "") -> list[Adapter]:
        answer = found[driver]
        if isinstance(answer, str):
            raise UnavailableError(answer)
        return answer

    for variable in adapters.DRIVER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(adapters, "list_adapters", listed)
    monkeypatch.setattr(adapters, "_find_swiftshader", lambda: [Path(SWIFTSHADER.driver)])
    return found


def test_a_real_one_goes_first(machine: Found) -> None:
    machine[""] = [LLVMPIPE, CARD]
    assert find_adapter() == CARD


def test_swiftshader_goes_before_what_litert_refuses(
    machine: Found,
) -> None:
    machine[""] = [LLVMPIPE]
    assert find_adapter() == SWIFTSHADER
    machine[SWIFTSHADER.driver] = []
    assert find_adapter() == LLVMPIPE


def test_a_driver_that_was_named_is_the_only_choice(
    machine: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", "/named.json")
    machine[""] = [LLVMPIPE]
    assert find_adapter() == LLVMPIPE
    machine[""] = []
    with pytest.raises(UnavailableError, match=r"none by the driver that is named: /named\.json"):
        find_adapter()


def test_a_driver_that_crashes_does_not_hide_swiftshader(
    machine: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine[""] = "the first died"
    assert find_adapter() == SWIFTSHADER
    machine[SWIFTSHADER.driver] = "SwiftShader died too"
    with pytest.raises(UnavailableError, match="the first died"):
        find_adapter()
    machine[SWIFTSHADER.driver] = []
    with pytest.raises(UnavailableError, match="the first died"):
        find_adapter()
    machine[SWIFTSHADER.driver] = [SWIFTSHADER]
    monkeypatch.setenv("VK_DRIVER_FILES", "/named.json")
    with pytest.raises(UnavailableError, match="the first died"):
        find_adapter()


def test_swiftshader_that_crashes_does_not_hide_what_was_found(
    machine: Found,
) -> None:
    machine[""] = [LLVMPIPE]
    machine[SWIFTSHADER.driver] = "SwiftShader died"
    assert find_adapter() == LLVMPIPE


def test_without_any_the_message_says_what_to_install(
    machine: Found,
) -> None:
    machine[SWIFTSHADER.driver] = []
    with pytest.raises(UnavailableError, match="apt-get install libvulkan1 chromium"):
        find_adapter()


def test_swiftshader_is_found_beside_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded = tmp_path / ".cache/ms-playwright/chromium-1200/chrome-linux64"
    downloaded.mkdir(parents=True)
    (downloaded / "vk_swiftshader_icd.json").write_text("{}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(adapters, "_BROWSERS", (str(tmp_path / "none"),))
    assert list(adapters._find_swiftshader()) == [downloaded / "vk_swiftshader_icd.json"]


def test_the_loader_names_the_adapter_and_its_kind(adapter: Adapter) -> None:
    assert adapter in list_adapters(adapter.driver)
    assert adapter.software == ("SwiftShader" in adapter.name or "llvmpipe" in adapter.name)


def test_a_driver_that_is_not_there_gives_none(adapter: Adapter) -> None:
    assert list_adapters("/nowhere/icd.json") == []


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are found by LD_LIBRARY_PATH")
def test_a_broken_loader_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libvulkan.so.1").write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"loader that works.*libvulkan\.so\.1.*apt-get"):
        list_adapters()


def test_a_driver_that_crashes_the_loader_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(adapters.sys, "executable", str(python))
    with pytest.raises(UnavailableError, match="it ended with status -11"):
        list_adapters()


def test_the_status_comes_from_a_run(adapter: Adapter) -> None:
    status = gpu_status()
    assert status.available
    assert (status.adapter, status.software, status.reason) == (adapter.name, adapter.software, "")
    assert require_gpu(status) is status


def test_an_adapter_that_litert_does_not_take_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # The worker's loader finds nothing, as LiteRT does of llvmpipe.
    broken = Adapter("llvmpipe", software=True, driver="/nowhere/icd.json")
    monkeypatch.setattr(status_module, "find_adapter", lambda: broken)
    with pytest.raises(UnavailableError, match=r"Received: llvmpipe: the runtime takes none"):
        require_gpu()


def test_a_gpu_that_was_named_and_is_not_there_is_an_error() -> None:
    with pytest.raises(UnavailableError, match="no card"):
        require_gpu(GpuStatus(available=False, reason="no card"))
