"""The APK that Maven built: what is in it, and how it is stored."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import pytest

_APP = Path(__file__).parents[2] / "android_demo/app"
_APK = _APP / "target/portrait-tflite.apk"
_ABIS = {"arm64-v8a", "armeabi-v7a", "x86_64"}
_ALIGNMENT = {".tflite": 4, ".so": 4096}


@pytest.fixture(scope="module")
def apk(require_or_skip: Callable[[str], NoReturn]) -> ZipFile:
    if not _APK.is_file():
        require_or_skip("the APK is not built: cd android_demo && mvn verify")
    return ZipFile(_APK)


def _ask(require_or_skip: Callable[[str], NoReturn], tool: str, *arguments: str) -> str:
    if shutil.which(tool) is None:
        require_or_skip(f"{tool} is not installed")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout


def _start(apk: ZipFile, entry: ZipInfo) -> int:
    """Find where an entry's data begins: its local header has a length of its own."""
    with _APK.open("rb") as stream:
        stream.seek(entry.header_offset + 26)
        name, extra = struct.unpack("<HH", stream.read(4))
    return int(entry.header_offset + 30 + name + extra)


def test_nets_and_libraries_are_stored_and_aligned(apk: ZipFile) -> None:
    mapped = [e for e in apk.infolist() if Path(e.filename).suffix in _ALIGNMENT]
    assert {Path(entry.filename).suffix for entry in mapped} == set(_ALIGNMENT)
    for entry in mapped:
        assert entry.compress_type == ZIP_STORED, entry.filename
        assert _start(apk, entry) % _ALIGNMENT[Path(entry.filename).suffix] == 0, entry.filename


def _page_bytes(library: bytes) -> set[int]:
    """Read what an ELF file's loadable segments are aligned to."""
    wide = library[4] == 2
    start, size, count = (
        (*struct.unpack_from("<Q", library, 32), *struct.unpack_from("<HH", library, 54))
        if wide
        else (*struct.unpack_from("<I", library, 28), *struct.unpack_from("<HH", library, 42))
    )
    headers = [library[start + number * size :][:size] for number in range(count)]
    loaded = [header for header in headers if struct.unpack_from("<I", header)[0] == 1]
    place = ("<Q", 48) if wide else ("<I", 28)
    return {int(struct.unpack_from(place[0], header, place[1])[0]) for header in loaded}


def test_libraries_are_for_pages_of_4_kb_as_the_readme_says(apk: ZipFile) -> None:
    libraries = [name for name in apk.namelist() if name.endswith(".so")]
    assert {alignment for name in libraries for alignment in _page_bytes(apk.read(name))} == {4096}
    readme = (_APK.parents[2] / "README.md").read_text()
    assert "aligned for 4 KB" in " ".join(readme.split())


def test_every_abi_has_the_interpreter_and_the_gpu(apk: ZipFile) -> None:
    libraries = {name for name in apk.namelist() if name.startswith("lib/")}
    assert libraries == {
        f"lib/{abi}/libtensorflowlite_{part}.so" for abi in _ABIS for part in ("jni", "gpu_jni")
    }


def test_the_packaged_model_is_whole(apk: ZipFile) -> None:
    source = Path(__file__).parents[2] / "android_demo/app/src/main/assets"
    packaged = {name for name in apk.namelist() if name.startswith("assets/")}
    files = {f"assets/{path.relative_to(source)}" for path in source.rglob("*") if path.is_file()}
    assert packaged == files


def test_classes_that_native_code_and_layouts_call_keep_their_names(
    apk: ZipFile, tmp_path: Path, require_or_skip: Callable[[str], NoReturn]
) -> None:
    names = [name for name in apk.namelist() if name.endswith(".dex")]
    dumps = [_ask(require_or_skip, "dexdump", apk.extract(name, tmp_path)) for name in names]
    native = ["org/tensorflow/lite/NativeInterpreterWrapper", "org/tensorflow/lite/gpu/GpuDelegate"]
    layouts = "".join(path.read_text() for path in _APP.glob("src/main/res/layout*/*.xml"))
    views = re.findall(r"<(io\.github\.[\w.]+)", layouts)
    assert views
    for name in [*native, *(view.replace(".", "/") for view in views)]:
        assert any(f"Class descriptor  : 'L{name};'" in dump for dump in dumps), name


def test_the_binary_manifest_says_what_the_source_says(
    apk: ZipFile, require_or_skip: Callable[[str], NoReturn]
) -> None:
    tree = _ask(
        require_or_skip, "aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", str(_APK)
    )
    assert "E: uses-native-library" in tree
    # Android opens to an app only the drivers that it names.
    for abi in _ABIS:
        delegate = apk.read(f"lib/{abi}/libtensorflowlite_gpu_jni.so")
        opened = {name.decode() for name in re.findall(rb"libOpenCL[\w-]*\.so", delegate)}
        assert len(opened) == 3
        assert set(re.findall(r'="(libOpenCL[\w-]*\.so)"', tree)) == opened
    assert "extractNativeLibs(0x010104ea)=false" in tree
    badging = _ask(require_or_skip, "aapt2", "dump", "badging", str(_APK))
    permissions = [line for line in badging.splitlines() if line.startswith("uses-permission")]
    assert permissions == ["uses-permission: name='android.permission.CAMERA'"]
    assert "sdkVersion:'26'" in badging
    assert "targetSdkVersion:'34'" in badging
