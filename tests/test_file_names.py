"""What a `.tflite` is known by, and which network its name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from portrait_tflite.file_names import is_tflite, network_name


def test_a_tflite_is_known_by_its_suffix() -> None:
    assert is_tflite("folder/net.tflite")
    assert is_tflite(Path("NET.TFLITE"))
    assert not is_tflite("net.tflite/saved_model")
    assert not is_tflite("tflite")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("portrait-int8.tflite", "portrait"),
        ("somewhere-int8/my-net-float16.tflite", "my-net"),
        ("net-int16x8.tflite", "net"),
        ("selfie.tflite", "selfie"),
        ("net-int8-v2.tflite", "net-int8-v2"),
        ("netint8.tflite", "netint8"),
        ("-int8.tflite", "-int8"),
    ],
)
def test_the_precision_is_no_part_of_the_networks_name(file: str, name: str) -> None:
    assert network_name(Path(file)) == name
