"""Every reader meets damaged and hostile files: it reads them or says in one line what is wrong, and nothing else.

The damage is seeded (:mod:`damage`), so a failure names the seed that repeats it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import damaged

from qdip_struct.base.cp2k_input import format_input, parse_input
from qdip_struct.base.documents import DEEPEST_NESTING, json_document, yaml_document
from qdip_struct.base.errors import DataError, QdipError
from qdip_struct.base.files import json_text, read_text, shipped
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.atoms.store import read_sidecar, structure_text
from qdip_struct.campaign.engines.jobscript import job_script, load_site
from qdip_struct.campaign.spec import expand, load_spec
from qdip_struct.cp2k.inputs.kinds import read_basis_sets, read_potentials
from qdip_struct.cp2k.outputs.cube import read_cube
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.pdos import read_pdos
from qdip_struct.cp2k.outputs.trajectory import read_cells, read_frames
from qdip_struct.materials.datasets import get_crystal, list_crystals
from qdip_struct.materials.elasticity import list_properties
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.runs.rundir import open_run_folder

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
CAMPAIGN = """\
name: small
build:
  interface: {film: PbS, substrate: CsPbBr3, film-layers: 3, gap: 3.1}
vary:
  film-layers: [3, 4]
  substrate: {bromide: CsPbBr3, iodide: CsPbI3}
inputs:
  preset: quick
  task: energy
"""
CELLS = "# Step Time [fs] Ax [Angstrom] ...\n 0 0.0 5 0 0 0 5 0 0 0 5 125\n 1 0.5 5 0 0 0 5 0 0 0 5 125\n"
RECORD = '{"role": "film", "group": "g", "structure_sha256": "0", "settings": {"cutoff": 300}, "qdip_version": "0"}'


def _structure(form: Any) -> bytes:
    return structure_text(conventional_cell(get_crystal("MAPbBr3")), format=form).encode()


def _folder(path: Path) -> None:
    path.rename(path.with_name("run.json"))
    open_run_folder(path.parent)


READERS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "cube": ("x.cube", lambda: (RUNS / "cubes" / "run-v_hartree-1_0.cube").read_bytes(), read_cube),
    "pdos": ("x.pdos", lambda: (RUNS / "cubes" / "run-k1-1.pdos").read_bytes(), read_pdos),
    "frames": ("x.xyz", lambda: (RUNS / "md" / "run-pos-1.xyz").read_bytes(), lambda path: list(read_frames(path))),
    "cells": ("x.cell", CELLS.encode, read_cells),
    "input": ("run.inp", lambda: (RUNS / "md" / "run.inp").read_bytes(),
              lambda path: format_input(parse_input(read_text(path)))),
    "output": ("run.out", lambda: (RUNS / "geo_done" / "run.out").read_bytes(),
               lambda path: json_text(read_run(path).to_dict())),
    "basis": ("BASIS", lambda: b"# c\nH DZVP GTH-q1\n 1\n 1 0 0 2 1\n 8.3 0.2\n 1.2 0.5\n#\n", read_basis_sets),
    "potential": ("POT", lambda: b"H GTH-PBE-q1\n 1\n 0.2 2 -4.1 0.7\n 0\n", read_potentials),
    "extxyz": ("s.extxyz", lambda: _structure("extxyz"), read_structure),
    "cif": ("s.cif", lambda: _structure("cif"), read_structure),
    "vasp": ("s.vasp", lambda: _structure("vasp"), read_structure),
    "xyz": ("s.xyz", lambda: _structure("xyz"), read_structure),
    "sidecar": ("s.json", lambda: RECORD.encode(), lambda path: read_sidecar(path.with_suffix(".extxyz"))),
    "record": ("record", lambda: RECORD.encode(), _folder),
    "crystals": ("c.yaml", lambda: shipped("structures", "crystals.yaml").read_bytes(),
                 lambda path: list_crystals(files=(path,))),
    "properties": ("p.yaml", lambda: shipped("structures", "properties.yaml").read_bytes(),
                   lambda path: list_properties(files=(path,))),
    "site": ("site.yaml", lambda: shipped("workflows", "sites", "slurm.yaml").read_bytes(),
             lambda path: job_script(load_site(str(path)), n_runs=2)),
    "campaign": ("campaign.yaml", CAMPAIGN.encode, lambda path: list(expand(load_spec(path)))),
}  # fmt: skip
"""File name, whole content, reader."""


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    file, content, reader = READERS[name]
    whole = content()
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = folder / file
        path.write_bytes(whole if seed == 0 else damaged(whole, seed=seed))
        try:
            reader(path)
        except QdipError as error:
            assert seed > 0, f"the whole file is refused: {error}"
            assert len(str(error).splitlines()) == 1, f"seed {seed}: {error}"
            assert len(str(error)) < 1000, f"seed {seed}"


DEEP = {
    "lists in a line": "[" * 100_000,
    "mappings in a line": "{a: " * 20_000,
    "lists in lists": "- " * 50_000 + "x",
    "keys": "? " * 30_000,
    "indented": "\n".join(" " * n + "a:" for n in range(2000)),
    "a long number": "a: " + "1" * 5000,
    "a date": "a: 2024-13-45",
    "a bomb": "a: &a [x, x]\n"
    + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "an object": "a: !!python/object/apply:os.system ['true']",
    "an own tag": "a: !thing 1",
    "two documents": "a: 1\n---\nb: 2\n",
}


@pytest.mark.parametrize("kind", DEEP)
def test_hostile_yaml_is_refused_before_it_does_harm(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(DEEP[kind])
    with pytest.raises(DataError, match="not valid YAML"):
        yaml_document(path)


def test_nesting_up_to_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * DEEPEST_NESTING + "]" * DEEPEST_NESTING)
    assert str(yaml_document(path)).count("[") == DEEPEST_NESTING
    path.write_text("[" * (DEEPEST_NESTING + 1) + "]" * (DEEPEST_NESTING + 1))
    with pytest.raises(DataError, match="levels"):
        yaml_document(path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a": 1', "1" * 5000, "", "{'a': 1}", "NaN", '{"a": [Infinity]}', '"\\ud800"', '{"\\udcff": 1}',
     "[" * (DEEPEST_NESTING + 1) + "]" * (DEEPEST_NESTING + 1), '{"a": ' * 500 + "1" + "}" * 500],
)  # fmt: skip
def test_hostile_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(text)
    with pytest.raises(DataError, match="not valid JSON"):
        json_document(path)


def test_json_up_to_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    for text in ("[" * DEEPEST_NESTING + "]" * DEEPEST_NESTING, '["\\ud83d\\ude00", "\\u0393"]', "1"):
        path.write_text(text)
        assert json_document(path) == json.loads(text)
