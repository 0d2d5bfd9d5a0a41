"""Levels of a run that CP2K makes here: orbital cubes and projections agree on where HOMO and LUMO live."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.builders.atoms.store import write_structure
from qdip_struct.cp2k.program import Program


@pytest.mark.cp2k
@pytest.mark.slow
def test_lead_sulfide_beside_hydrogen_keeps_both_edges(qdip, cp2k: Program, tmp_path: Path) -> None:
    """A PbS molecule (dot) and H2 (matrix), 6 Å apart: both edges are PbS's, by |ψ|² and by projection."""
    places = [[3, 3, 2.5], [3, 3, 4.85], [7, 7, 3.5], [7, 7, 4.24]]
    atoms = Atoms("PbSH2", positions=places, cell=[9, 9, 7.5], pbc=True)
    atoms.arrays["region"] = np.array(["dot", "dot", "matrix", "matrix"])
    write_structure(tmp_path / "pair.extxyz", atoms, provenance={}, report={})
    words = ["--preset", "quick", "--kpoints", "1,1,1", "--print", "pdos", "--print", "orbitals", "--stride", "2"]
    coarse = ["--set", "FORCE_EVAL/DFT/MGRID/CUTOFF=150"]
    assert qdip("inputs", tmp_path / "pair.extxyz", *words, *coarse, "-o", tmp_path / "runs")[0] == 0
    assert qdip("run", tmp_path / "runs", "--nproc", "1")[0] == 0
    code, out, _ = qdip("levels", tmp_path / "runs" / "pair", "--against", tmp_path / "runs" / "pair", "--json")
    assert code == 0
    document = json.loads(out)
    orbitals = {item["name"]: item for item in document["orbitals"]}
    assert set(orbitals) == {"HOMO", "LUMO"}
    for name, edge in (("HOMO", "homo"), ("LUMO", "lumo")):
        assert orbitals[name]["home"] == document[edge]["home"] == "dot"
        assert orbitals[name]["shares"]["dot"] == pytest.approx(document[edge]["weights"]["dot"], abs=0.05)
        assert orbitals[name]["norm"] == pytest.approx(1.0, abs=0.01)
    assert orbitals["HOMO"]["index"] == 6
    assert document["comparison"]["moved"] == []
    assert document["comparison"]["gap_change_ev"] == 0
