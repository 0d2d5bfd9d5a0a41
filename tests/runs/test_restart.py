"""Torn restart files are recognised wherever the tear is; the last whole state is found."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.runs.restart import (
    GEOMETRY,
    discard_state,
    good_state,
    is_whole_geometry,
    is_whole_wave_function,
    saved_state,
)

WAVE = "run-RESTART.wfn"


def records(*contents: bytes) -> bytes:
    """A Fortran file of sequential unformatted records."""
    return b"".join(struct.pack("=i", len(c)) + c + struct.pack("=i", len(c)) for c in contents)


WHOLE = records(struct.pack("=5i", 2, 1, 10, 1, 3), bytes(range(8)), bytes(80), b"\x01" * 16)
POSITIONS = "&FORCE_EVAL\n &SUBSYS\n  &COORD\n   H 0.0 0.0 {z}\n   H 1.0E+00 0.0 0.0\n  &END COORD\n &END\n&END\n"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cut=st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_every_truncation_but_one_between_records_is_seen(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    place = tmp_path_factory.mktemp("wave") / WAVE
    place.write_bytes(WHOLE)
    assert is_whole_wave_function(place)
    place.write_bytes(WHOLE[:cut])
    between = {28, 28 + 16, 28 + 16 + 88}
    assert is_whole_wave_function(place) is (cut in between), cut


def test_records_longer_than_one_mark_can_say_and_the_kpoint_file(tmp_path: Path) -> None:
    """A long record is written in parts; all marks but the last opening and the first closing one are negative."""
    first, second = struct.pack("=5i", 2, 1, 10, 1, 3), bytes(12)
    parts = struct.pack("=i", -20) + first + struct.pack("=i", 20) + struct.pack("=i", 12) + second
    (tmp_path / WAVE).write_bytes(parts + struct.pack("=i", -12))
    assert is_whole_wave_function(tmp_path / WAVE)
    (tmp_path / "run-RESTART.kp").write_bytes(records(struct.pack("=i", 1), bytes(16)))
    assert is_whole_wave_function(tmp_path / "run-RESTART.kp")
    (tmp_path / WAVE).write_bytes(records(struct.pack("=i", 1), bytes(16)))
    assert not is_whole_wave_function(tmp_path / WAVE), "the wrong kind of file"
    assert not is_whole_wave_function(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (POSITIONS.format(z="0.5"), True),
        (POSITIONS.format(z="NaN"), False),
        (POSITIONS.format(z="***"), False),
        (POSITIONS.format(z="0.5")[:-6], False),
        (POSITIONS.format(z="0.5").replace("   H 1.0E+00 0.0 0.0\n", ""), False),
        ("", False),
        ("\0" * 200, False),
        ("&FORCE_EVAL\n&END\n", False),
    ],
)
def test_geometry_needs_a_finite_place_for_every_atom(text: str, whole: bool, tmp_path: Path) -> None:
    (tmp_path / GEOMETRY).write_text(text)
    assert is_whole_geometry(tmp_path / GEOMETRY, n_atoms=2) is whole


def test_first_whole_backup_takes_the_place_of_the_torn_file(tmp_path: Path) -> None:
    (tmp_path / GEOMETRY).write_text("&FORCE_EVAL\n")
    (tmp_path / f"{GEOMETRY}.bak-1").write_text("")
    (tmp_path / f"{GEOMETRY}.bak-2").write_text(POSITIONS.format(z="0.2"))
    (tmp_path / f"{GEOMETRY}.bak-3").write_text(POSITIONS.format(z="0.3"))
    (tmp_path / WAVE).write_bytes(WHOLE[:-3])
    state = good_state(tmp_path, n_atoms=2)
    assert state.geometry is not None
    assert state.geometry.read_text() == POSITIONS.format(z="0.2")
    assert not state.orbitals
    assert (tmp_path / f"{GEOMETRY}.damaged").read_text() == "&FORCE_EVAL\n"
    assert (tmp_path / f"{WAVE}.damaged").read_bytes() == WHOLE[:-3]
    assert good_state(tmp_path, n_atoms=2) == state


def test_nothing_whole_means_from_the_start(tmp_path: Path) -> None:
    assert good_state(tmp_path, n_atoms=2).geometry is None
    (tmp_path / GEOMETRY).write_text(POSITIONS.format(z="0.1"))
    (tmp_path / f"{GEOMETRY}.bak-1").write_text(POSITIONS.format(z="0.2"))
    (tmp_path / WAVE).write_bytes(WHOLE)
    before = saved_state(tmp_path)
    assert set(before) == {GEOMETRY, WAVE}
    assert good_state(tmp_path, n_atoms=2).orbitals
    assert saved_state(tmp_path) == before, "what is whole is not touched"
    discard_state(tmp_path)
    assert set(saved_state(tmp_path)) == {GEOMETRY}, "the orbitals are blamed first"
    discard_state(tmp_path)
    state = good_state(tmp_path, n_atoms=2)
    assert (state.geometry, state.orbitals, saved_state(tmp_path)) == (None, False, {})
