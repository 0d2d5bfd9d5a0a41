"""Writing without loss: atomic, never over a result, nothing left behind."""

import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import json_text, read_text, sha256, write_text


def test_existing_file_is_kept_without_force(tmp_path: Path) -> None:
    place = tmp_path / "a.txt"
    write_text(place, "first")
    with pytest.raises(UsageError, match="--force"):
        write_text(place, "second")
    assert place.read_text() == "first"
    write_text(place, "second", force=True)
    assert place.read_text() == "second"


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_text(tmp_path / "file" / "below", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_full_disk_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place = tmp_path / "a.txt"
    write_text(place, "first")
    monkeypatch.setattr("qdip_struct.base.files.os.fsync", full)
    with pytest.raises(DataError, match=r"cannot write .*a\.txt: No space left"):
        write_text(place, "second", force=True)
    assert place.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_json_holds_no_nan_and_keeps_order() -> None:
    document = {"b": np.float64(1.5), "a": [math.nan, np.int64(3), np.array([[1.0, np.inf]])], "c": Path("x/y")}
    assert json.loads(json_text(document)) == {"b": 1.5, "a": [None, 3, [[1.0, None]]], "c": "x/y"}
    assert list(json.loads(json_text(document))) == ["b", "a", "c"]


def test_binary_file_is_refused_by_name(tmp_path: Path) -> None:
    place = tmp_path / "x.bin"
    place.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"x\.bin.*not UTF-8"):
        read_text(place)


def test_sha256_is_the_published_one() -> None:
    assert sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
