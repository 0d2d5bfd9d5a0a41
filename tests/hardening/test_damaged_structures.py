"""The door of structures meets thousands of damaged files: it reads them or says in one line what is wrong, soon.

The damage is seeded (:mod:`damage`), so a failure names the file and the seed that repeat it.
"""

import bz2
import gzip
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase.io.lammpsdata import write_lammps_data
from damage import damaged

from qdip_struct.base.errors import QdipError
from qdip_struct.builders.atoms.cells import conventional_cell, crystal_to_cut
from qdip_struct.builders.atoms.store import structure_text
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import file_notes

CRYSTALS = Path(__file__).parents[1] / "data" / "crystals"
QUICK, SLOW = 300, 10_000
LONGEST_S = 10.0
"""Of a processor: what else the machine does is no fault of a reader."""
MOST_MEMORY = 1_000_000_000


def _molecules() -> Any:
    return conventional_cell(get_crystal("MAPbBr3"))


def _text(form: Any) -> bytes:
    return structure_text(_molecules(), format=form).encode()


def _binary(form: str) -> bytes:
    stream = BytesIO() if form == "traj" else StringIO()
    atoms = _molecules()
    atoms.set_initial_magnetic_moments([1.0] * len(atoms))
    ase.io.write(stream, atoms, format=form)
    content = stream.getvalue()
    return content if isinstance(content, bytes) else content.encode()


def _lammps(style: str) -> bytes:
    stream = StringIO()
    write_lammps_data(stream, _molecules(), atom_style=style, masses=True, velocities=True)
    return stream.getvalue().encode()


def _steps() -> bytes:
    stream = StringIO()
    ase.io.write(stream, [_molecules()] * 3, format="vasp-xdatcar")
    return stream.getvalue().encode()


SOURCES: dict[str, Callable[[], bytes]] = {
    "s.cif": lambda: _text("cif"),
    "c1_mixed.cif": lambda: (CRYSTALS / "c1_mixed.cif").read_bytes(),
    "c3_origin2.cif": lambda: (CRYSTALS / "c3_origin2.cif").read_bytes(),
    "c9_pbnm.cif": lambda: (CRYSTALS / "c9_pbnm.cif").read_bytes(),
    "POSCAR": lambda: _text("vasp"),
    "XDATCAR": _steps,
    "s.extxyz": lambda: _text("extxyz"),
    "s.xyz": lambda: _text("xyz"),
    "s.data": lambda: _lammps("full"),
    "charge.lmp": lambda: _lammps("charge"),
    "s.json": lambda: _binary("json"),
    "s.traj": lambda: _binary("traj"),
    "relaxed.txt": lambda: _text("vasp"),
    "cell": lambda: _text("cif"),
    "s.cif.gz": lambda: gzip.compress(_text("cif"), mtime=0),
    "POSCAR.bz2": lambda: bz2.compress(_text("vasp")),
}
"""Whole content by name; the names decide the formats, or leave it to what stands in the file."""


def _told_of(path: Path) -> str:
    """What a reader says of a damaged file: nothing where it reads it, ``refused``, or what is wrong here."""
    try:
        crystal_to_cut(str(path))
        file_notes(path, symprec=0.01)
    except QdipError as error:
        said = str(error)
        return "refused" if len(said.splitlines()) == 1 and len(said) < 1000 else f"says {said[:200]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def _meet(count: int, folder: Path) -> dict[str, Any]:
    """Meet ``count`` damaged files, as many of each name as of the others."""
    warnings.simplefilter("ignore")
    read, longest, faults = 0, (0.0, "", 0), []
    each = -(-count // len(SOURCES))
    for name, make in SOURCES.items():
        whole = make()
        (folder / name).write_bytes(whole)
        crystal_to_cut(str(folder / name))
        for seed in range(1, each + 1):
            (folder / name).write_bytes(damaged(whole, seed=seed))
            began = time.process_time()
            told = _told_of(folder / name)
            longest = max(longest, (time.process_time() - began, name, seed))
            read += not told
            if told not in ("", "refused"):
                faults.append(f"{name}, seed {seed}: {told}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    met = each * len(SOURCES)
    return {"met": met, "read": read, "longest": longest, "memory_bytes": memory, "faults": faults}


def _in_a_process(count: int, folder: Path, *, timeout: float) -> dict[str, Any]:
    """The same in a process of its own, whose memory and end are its own: spglib has ended the whole program once."""
    code = f"import json, test_damaged_structures as t, pathlib; print(json.dumps(t._meet({count}, pathlib.Path('.'))))"
    places = [str(Path(__file__).parent), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(places)}, capture_output=True, text=True,
        timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("count", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)])
def test_damaged_structures_are_read_or_refused_soon_and_in_little_memory(count: int, tmp_path: Path) -> None:
    found = _in_a_process(count, tmp_path, timeout=60.0 + 0.3 * count)
    assert not found["faults"], found["faults"][:20]
    assert found["met"] >= count
    assert 0 < found["read"] < found["met"]
    assert found["longest"][0] < LONGEST_S, found
    assert found["memory_bytes"] < MOST_MEMORY, found
