"""What android_demo/README.md has people type and copy is what the app takes and what compiles."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

from portrait_tflite.benchmarks.device.app import ACTIVITY, PACKAGE, TAG
from portrait_tflite.benchmarks.device.phone_files import FILES

_ROOT = Path(__file__).parents[2]
_DEMO = _ROOT / "android_demo"
_README = (_DEMO / "README.md").read_text("utf-8")
_KINDS = {"Int": "--ei", "Float": "--ef"}


def _kotlin(name: str) -> str:
    (path,) = _DEMO.glob(f"*/src/*/**/{name}.kt")
    return path.read_text("utf-8")


def _commands() -> list[str]:
    """List the lines of the README's shell blocks, continued ones joined."""
    blocks = re.findall(r"```sh\n(.*?)```", _README, re.DOTALL)
    return "".join(blocks).replace("\\\n", " ").splitlines()


def _order() -> list[str]:
    """Return the words that start a benchmark by hand."""
    (line,) = (line for line in _commands() if ".BenchmarkActivity" in line)
    return shlex.split(line, comments=True)


def test_the_order_by_hand_is_the_hosts() -> None:
    assert _order()[:7] == ["adb", "shell", "am", "start", "-W", "-n", ACTIVITY]


def test_the_extras_are_the_apps_in_name_and_type() -> None:
    text = _kotlin("BenchmarkOrder")
    taken = dict.fromkeys(re.findall(r'extras\.(?:text|names)\("(\w+)"', text), "--es")
    taken |= {
        name: _KINDS[kind] for kind, name in re.findall(r'extras\.number<(\w+)>\("(\w+)"', text)
    }
    words = _order()[7:]
    given = dict(zip(words[1::3], words[::3], strict=True))
    assert set(given) == set(taken) - {"model"}
    assert given == {name: taken[name] for name in given}
    assert re.findall(r"`(--e\w) model NAME`", _README) == [taken["model"]]


def test_the_values_above_are_the_defaults() -> None:
    words = _order()[7:]
    given = dict(zip(words[1::3], words[2::3], strict=True))
    names = dict(re.findall(r'extras\.names\("(\w+)", "([^"]+)"\)', _kotlin("BenchmarkOrder")))
    assert {name: given[name] for name in names} == names
    effort = dict(re.findall(r"val (\w+): \w+ = ([\d.]+)", _kotlin("Effort")))
    renamed = {"runs": "runs", "seconds": "seconds", "cooldown": "coolDownSeconds"}
    for extra, field in renamed.items():
        assert float(given[extra]) == float(effort[field]), extra
    (unnamed,) = re.findall(r'UNNAMED = "(\w+)"', _kotlin("BenchmarkOrder"))
    assert f"but `run` is `{unnamed}`" in _README


def test_ten_minutes_are_what_the_order_takes() -> None:
    words = _order()[7:]
    given = dict(zip(words[1::3], words[2::3], strict=True))
    variants, threads = (len(given[name].split(",")) for name in ("variants", "threads"))
    cells = variants * (2 * threads + 1)  # cpu and xnnpack; the gpu has no threads
    assert f"{cells} cells of" in _README
    minutes = cells * (float(given["seconds"]) + float(given["cooldown"])) / 60
    assert f"about {round(minutes, -1):.0f} minutes" in _README


def test_the_log_and_the_result_are_where_the_app_leaves_them() -> None:
    commands = [re.sub(r" +#.*", "", line) for line in _commands()]
    run = dict(zip(_order()[8::3], _order()[9::3], strict=True))["run"]
    assert f"adb logcat -s {TAG}" in commands
    assert f"adb shell cat {FILES}/results/{run}.json > {run}.json" in commands
    assert f"adb shell am force-stop {PACKAGE}" in commands
    # BenchmarkJob logs `done $name $path`.
    assert f"`done {run} /storage/emulated/0/Android/data/…/results/{run}.json`" in _README
    assert 'Log.i(TAG, "done $name ' in _kotlin("BenchmarkJob")


def test_every_activity_that_is_started_exists() -> None:
    manifest = (_DEMO / "app/src/main/AndroidManifest.xml").read_text("utf-8")
    started = re.findall(rf"-n {re.escape(PACKAGE)}/(\.\w+)", _README)
    assert len(started) == 2
    for name in started:
        assert f'android:name="{PACKAGE}{name}"' in manifest


def test_the_packages_are_those_of_ci() -> None:
    (line,) = (line for line in _commands() if "apt install" in line)
    packages = shlex.split(line, comments=True)[3:]
    ci = (_ROOT / ".ci/run").read_text("utf-8")
    assert f"\n  {' '.join(packages)} >/dev/null\nmvn " in ci


def test_what_is_to_be_copied_is_what_a_test_runs() -> None:
    (shown,) = re.findall(r"```kotlin\n(.*?)```", _README, re.DOTALL)
    ran = re.findall(
        r"^ *// README: .*?(?=^ *// README ends)", _kotlin("CopiedTest"), re.DOTALL | re.MULTILINE
    )
    assert [textwrap.dedent(lines).replace("// README: ", "// ") for lines in ran] == [shown]


def test_what_is_to_be_taken_along_is_there() -> None:
    (table,) = re.findall(r"\| take along \|.*?\n\n", _README, re.DOTALL)
    for name in re.findall(r"`app/…/([\w./]+)`", table):
        assert list(_DEMO.glob(f"app/src/main/kotlin/**/{name}")), name
    for name in re.findall(r"`([A-Z]\w+)`", table):
        assert list(_DEMO.glob(f"*/src/main/kotlin/**/{name}.kt")), name
    gradle = (_DEMO / "engine/build.gradle.kts").read_text("utf-8")
    assert "the four `litert` libraries" in table
    assert len(re.findall(r"implementation\(libs\.litert", gradle)) == 4


def test_the_readme_says_which_android_the_builds_are_for() -> None:
    pom = (_DEMO / "app/pom.xml").read_text("utf-8")
    (oldest,), (target,) = (re.findall(rf"<{name}\.sdk>(\d+)<", pom) for name in ("min", "target"))
    assert f"minSdk {oldest}" in _README
    assert f"targetSdk is {target}" in _README
