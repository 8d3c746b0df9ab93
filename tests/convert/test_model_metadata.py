"""Named records inside a `.tflite`, and files attached behind it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from portrait_tflite.convert.audit import audit_model
from portrait_tflite.convert.files.flatbuffer import read_model, serialize
from portrait_tflite.convert.files.half_precision import (
    ALLOWED,
    RECORD,
    allow_half_precision,
    is_allowed,
)
from portrait_tflite.convert.files.model_metadata import (
    attach_files,
    attached_files,
    records_of,
    with_record,
    without_files,
)
from portrait_tflite.convert.mending.mend import mend_model
from portrait_tflite.runtime import open_model
from portrait_tflite.vocabulary import Delegate

Build = Callable[..., Any]
RunOnce = Callable[[bytes], list[bytes]]
LABELS = {"labels.txt": b"person\n"}


def test_a_record_is_added_and_replaced(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    first = with_record(data, "ours", b"one")
    second = with_record(with_record(first, "other", b"two"), "ours", b"three")
    assert records_of(data) == {}
    assert records_of(first) == {"ours": b"one"}
    assert records_of(second) == {"other": b"two", "ours": b"three"}
    assert run_once(second) == run_once(data)


def test_attached_files_come_back_and_the_model_runs(relu_net: Build, run_once: RunOnce) -> None:
    data = relu_net()
    attached = attach_files(data, LABELS)
    assert attached.startswith(data)
    assert attached == attach_files(data, LABELS)
    assert attached_files(attached) == LABELS
    assert attached_files(data) == {}
    assert run_once(attached) == run_once(data)
    assert audit_model(attached).ops == audit_model(data).ops
    assert without_files(attached) == serialize(read_model(data))
    assert without_files(data) is data


def test_a_record_keeps_what_is_attached(relu_net: Build) -> None:
    again = with_record(attach_files(relu_net(), LABELS), "ours", b"one")
    assert records_of(again) == {"ours": b"one"}
    assert attached_files(again) == LABELS


def test_mending_keeps_records_and_what_is_attached(relu_net: Build, run_once: RunOnce) -> None:
    data = attach_files(with_record(relu_net(), "ours", b"one"), LABELS)
    mended = mend_model(data)
    assert mended.records
    assert records_of(mended.data)["ours"] == b"one"
    assert attached_files(mended.data) == LABELS
    assert run_once(mended.data) == run_once(data)
    assert mend_model(data, rewrites=()).data == data


def test_a_damaged_archive_is_none(relu_net: Build) -> None:
    whole = attach_files(relu_net(), LABELS)
    assert attached_files(whole[:-10]) == {}
    end = io.BytesIO()
    zipfile.ZipFile(end, "w").close()
    assert attached_files(relu_net() + end.getvalue()) == {}


def test_half_precision_is_allowed_and_stays(float_net: Build, run_once: RunOnce) -> None:
    data = float_net()
    image = np.full((1, 8, 8, 4), 3.0, np.float32)
    allowed, skipped = allow_half_precision(data, [(image,)])
    assert skipped is None
    assert records_of(allowed) == {RECORD: ALLOWED}
    assert is_allowed(allowed)
    assert not is_allowed(data)
    assert not is_allowed(with_record(data, RECORD, b"fp16accfp32"))
    assert is_allowed(attach_files(allowed, LABELS))
    assert run_once(allowed) == run_once(data)
    assert open_model(allowed, Delegate.XNNPACK).partitions == 1


@pytest.mark.parametrize("value", [5000.0, -5000.0, np.nan, np.inf])
def test_values_near_the_limit_are_refused(float_net: Build, value: float) -> None:
    data = float_net("NEG")
    image = np.zeros((1, 8, 8, 4), np.float32)
    image[0, 1, 2, 3] = value
    kept, skipped = allow_half_precision(data, [(np.zeros_like(image),), (image,)])
    assert kept == data
    assert skipped is not None
    assert "float16's largest, 65504" in skipped.reason
