"""Commands on run folders with damaged files: an answer, or one line that says what is wrong, and nothing else.

The damage is seeded (:mod:`damage`); a failure names the seed and the file that repeat it.
"""

import contextlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from damage import damaged, damaged_json

from qdip_struct.base.files import shipped
from qdip_struct.cli.main import main
from qdip_struct.runs.collection import collect, collect_one, read_result, result_path

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
GROUP = Path(str(shipped("workflows", "interface_energy"))) / "reference" / "runs"
RECORD = {
    "role": "single", "group": "g", "structure_sha256": "0", "settings": {}, "qdip_version": "0", "n_atoms": 2,
    "pdos_regions": ["all"], "composition": {"H": 2}, "cell_angstrom": [[6, 0, 0], [0, 6, 0], [0, 0, 6]],
}  # fmt: skip
ROLES = ("film", "film_bulk", "interface", "reservoir", "substrate", "substrate_bulk")


def call(words: Sequence[str | Path]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def check(words: Sequence[str | Path], told: str) -> int:
    """Call a command and hold it to what every command promises."""
    code, out, err = call(words)
    assert code in (0, 1, 2, 3), told
    assert "internal fault" not in err, f"{told}: {err}"
    assert "Traceback" not in err, told
    assert not set(err) & {"\x00", "\x1b"}, told
    if not out:
        assert code in (1, 2), told
        assert err.startswith("error: ") or "\nerror: " in err, f"{told}: {err}"
    elif "--json" in words:
        json.loads(out, parse_constant=refuse_constant)
    return code


def damage_one(folder: Path, *, seed: int) -> str:
    """Damage one file of a folder and say which."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[zlib.crc32(str(seed).encode()) % len(files)]
    content = path.read_bytes()
    changed = damaged_json(content, seed=seed) if path.suffix == ".json" and seed % 4 else damaged(content, seed=seed)
    path.write_bytes(changed)
    return f"seed {seed}, {path.name}"


@pytest.mark.parametrize("command", ["collect", "status", "energies"])
def test_a_damaged_group_of_runs(command: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    for role in ROLES:
        shutil.copytree(GROUP / role, whole / role)
    collect([whole])
    for seed in range(1, 31):
        folder = tmp_path / "damaged"
        shutil.copytree(whole, folder)
        told = damage_one(folder, seed=seed)
        check((command, folder, "--json"), told)
        check((command, folder), told)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "whole"], told
        shutil.rmtree(folder)


@pytest.mark.parametrize("command", ["levels", "dipole", "energies", "charge-difference"])
def test_a_damaged_run_with_cubes_and_projections(command: str, tmp_path: Path) -> None:
    for seed in range(1, 31):
        folder = tmp_path / "run"
        shutil.copytree(RUNS / "cubes", folder)
        (folder / "run.json").write_text(json.dumps(RECORD))
        told = damage_one(folder, seed=seed)
        cube = folder / "run-ELECTRON_DENSITY-1_0.cube"
        places = (cube, cube, RUNS / "cubes" / cube.name) if command == "charge-difference" else (folder,)
        check((command, *places, "--json"), told)
        shutil.rmtree(folder)


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """A run with its result.json, older than which its output is."""
    folder = tmp_path / "run"
    shutil.copytree(RUNS / "energy", folder)
    (folder / "run.json").write_text(json.dumps(RECORD))
    collect_one(folder)
    return folder


def test_a_result_is_believed_whole_or_not_at_all(collected: Path) -> None:
    place, true = result_path(collected), collect_one(collected)
    whole = place.read_bytes()
    assert read_result(place) is not None
    for length in range(len(whole)):
        place.write_bytes(whole[:length])
        assert read_result(place) is None, length
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        place.write_bytes(whole[:length])
        assert collect_one(collected) == true, length
        assert place.read_bytes() == whole, length


def test_no_flipped_bit_of_a_result_comes_through(collected: Path) -> None:
    place, true = result_path(collected), collect_one(collected)
    whole = place.read_bytes()
    for n, byte in enumerate(whole):
        place.write_bytes(whole[:n] + bytes((byte ^ (1 << n % 8),)) + whole[n + 1 :])
        assert read_result(place) is None, n
    assert collect_one(collected) == true


def test_a_changed_energy_is_read_anew_however_young_the_result_is(collected: Path) -> None:
    place, true = result_path(collected), collect_one(collected)
    place.write_text(place.read_text().replace(f'"energy_ev": {true.energy_ev}', '"energy_ev": -1.0'))
    later = place.stat().st_mtime_ns + 10**9
    os.utime(place, ns=(later, later))
    assert collect_one(collected) == true


@pytest.mark.parametrize("seed", range(1, 41))
def test_a_result_of_other_types_is_made_anew(collected: Path, seed: int) -> None:
    place, true = result_path(collected), collect_one(collected)
    place.write_bytes(damaged_json(place.read_bytes(), seed=seed))
    assert collect_one(collected) == true
    check(("status", collected.parent, "--json"), f"seed {seed}")
