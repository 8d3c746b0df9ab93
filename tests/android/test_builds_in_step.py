"""The Maven build, the Gradle build, the manifest and the host's driver name the same things."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import portrait_tflite
from portrait_tflite.benchmarks.device import app

_DEMO = Path(__file__).parents[2] / "android_demo"
_POM = "{http://maven.apache.org/POM/4.0.0}"
_ANDROID = "{http://schemas.android.com/apk/res/android}"


def _properties(*poms: str) -> dict[str, str]:
    found = {}
    for pom in poms:
        for node in ElementTree.parse(_DEMO / pom).getroot().find(f"{_POM}properties") or []:
            found[node.tag.removeprefix(_POM)] = node.text or ""
    return found


def _catalogue() -> dict[str, Any]:
    return tomllib.loads((_DEMO / "gradle/libs.versions.toml").read_text())


def _gradle(module: str) -> str:
    return (_DEMO / module / "build.gradle.kts").read_text()


def _manifest() -> ElementTree.Element:
    return ElementTree.parse(_DEMO / "app/src/main/AndroidManifest.xml").getroot()


@pytest.mark.parametrize(
    ("maven", "gradle"),
    [
        ("kotlin.version", "kotlin"),
        ("serialization.version", "serialization"),
        ("jvm.target", "jvmTarget"),
        ("animal.sniffer.version", "animalSniffer"),
        ("min.sdk", "minSdk"),
        ("target.sdk", "targetSdk"),
        ("version.code", "versionCode"),
    ],
)
def test_both_builds_hold_the_same_version(maven: str, gradle: str) -> None:
    properties = _properties("pom.xml", "app/pom.xml")
    assert properties[maven] == _catalogue()["versions"][gradle]


def test_one_version_for_python_maven_and_gradle() -> None:
    poms = [ElementTree.parse(path).getroot() for path in _DEMO.glob("*/pom.xml")]
    parents = {pom.findtext(f"{_POM}parent/{_POM}version") for pom in poms}
    own = ElementTree.parse(_DEMO / "pom.xml").getroot().findtext(f"{_POM}version")
    assert parents == {own}
    assert own == _catalogue()["versions"]["versionName"] == portrait_tflite.__version__


def test_both_builds_hold_the_same_modules() -> None:
    pom = ElementTree.parse(_DEMO / "pom.xml").getroot()
    maven = {node.text for node in pom.iterfind(f"{_POM}modules/{_POM}module")}
    gradle = set(re.findall(r'":(\w+)"', (_DEMO / "settings.gradle.kts").read_text()))
    assert maven - {"aar"} == gradle  # Gradle takes Android archives as they are


def test_both_builds_hold_the_same_interpreter_archives() -> None:
    maven = set(
        re.findall(r"<artifactId>tensorflow-(lite[\w-]*)<", (_DEMO / "aar/pom.xml").read_text())
    )
    names = re.findall(r"implementation\(libs\.(litert[\w.]*)\)", _gradle("engine"))
    assert {name.replace("litert", "lite").replace(".", "-") for name in names} == maven


def test_gradle_takes_no_library_that_the_catalogue_lacks() -> None:
    known = {name.replace("-", ".") for name in _catalogue()["libraries"]}
    for module in ("core", "engine", "app"):
        assert set(re.findall(r"\(libs\.(?!versions|plugins)([\w.]+)\)", _gradle(module))) <= known


def test_application_id_and_abis() -> None:
    properties = _properties("app/pom.xml")
    gradle = _gradle("app")
    assert f'applicationId = "{properties["application.id"]}"' in gradle
    assert f'namespace = "{properties["application.id"]}"' in gradle
    listed = re.search(r"abiFilters \+= listOf\((.*?)\)", gradle)
    assert listed
    abis = {name.split("/")[0] for name in properties["abi.files"].split(",")}
    assert set(re.findall(r'"([\w-]+)"', listed[1])) == abis


def test_the_host_drives_this_app() -> None:
    assert _properties("app/pom.xml")["application.id"] == app.PACKAGE
    name = f"{app.PACKAGE}.BenchmarkActivity"
    activities = {node.get(f"{_ANDROID}name"): node for node in _manifest().iter("activity")}
    assert activities[name].get(f"{_ANDROID}exported") == "true"
    assert f"{app.PACKAGE}/.BenchmarkActivity" == app.ACTIVITY
    source = "app/src/main/kotlin/io/github/portrait_tflite/demo/benchmark/BenchmarkJob.kt"
    assert f'TAG = "{app.TAG}"' in (_DEMO / source).read_text()


def test_the_host_finds_what_the_readmes_builds_make() -> None:
    readme = (_DEMO / "README.md").read_text()
    (made,) = re.findall(r"mvn verify +# (app/\S+\.apk)", readme)
    assert _properties("app/pom.xml")["apk"] == f"${{project.build.directory}}/{Path(made).name}"
    found = {path.relative_to(_DEMO) for path in app._BUILT}
    assert Path(made) in found
    # Gradle names what it makes by module and build type, and "unsigned" without a key.
    (build,) = re.findall(r"gradle :app:assemble(\w+)", readme)
    kind = build.lower()
    assert Path(f"app/build/outputs/apk/{kind}/app-{kind}.apk") in found
    block = re.search(rf"buildTypes {{\s+{kind} {{(.*?)\n        }}", _gradle("app"), re.DOTALL)
    assert block
    assert "signingConfig = signingConfigs" in block[1]


def test_every_activity_of_the_manifest_exists() -> None:
    for activity in _manifest().iter("activity"):
        path = (activity.get(f"{_ANDROID}name") or "").replace(".", "/")
        assert (_DEMO / "app/src/main/kotlin" / f"{path}.kt").is_file()


def test_the_manifest_asks_for_the_camera_and_nothing_else() -> None:
    manifest = _manifest()
    names = {node.get(f"{_ANDROID}name") for node in manifest.iter("uses-permission")}
    assert names == {"android.permission.CAMERA"}
    features = [n for n in manifest.iter("uses-feature") if n.get(f"{_ANDROID}name")]
    assert {node.get(f"{_ANDROID}required") for node in features} == {"false"}


def test_the_manifest_names_the_gpu_drivers_as_optional() -> None:
    named = {
        node.get(f"{_ANDROID}name"): node.get(f"{_ANDROID}required")
        for node in _manifest().iter("uses-native-library")
    }
    assert "libOpenCL.so" in named
    assert set(named.values()) == {"false"}


def test_versions_and_package_stand_in_the_builds_alone() -> None:
    manifest = _manifest()
    assert "package" not in manifest.attrib  # Gradle refuses it; package.xml adds it for Maven
    assert manifest.find("uses-sdk") is None
