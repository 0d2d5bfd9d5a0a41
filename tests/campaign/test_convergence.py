"""Convergence studies: levels that change one thing, and results read from the folders alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

from qdip_struct.base.errors import UsageError
from qdip_struct.campaign.convergence import make_levels, parse_vary
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.program import Program
from qdip_struct.runs.rundir import find_run_folders

SLAB = bulk("PbS", "rocksalt", a=6.0, cubic=True) * (1, 2, 1)
SLAB.center(vacuum=10.0, axis=2)
CSBR = Atoms("CsBr", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[4.4] * 3, pbc=True)


def test_values_are_sorted_and_nonsense_is_refused() -> None:
    assert parse_vary("cutoff=400,200,300,200") == ("cutoff", (200.0, 300.0, 400.0))
    for text in ("cutoff", "mesh=1,2", "cutoff=1", "cutoff=a,b", "cutoff=-1,2", "cutoff=nan,2", "kpoints=1.5,2"):
        with pytest.raises(UsageError):
            parse_vary(text)


def test_each_level_changes_one_thing() -> None:
    request = InputsRequest()
    cutoffs = make_levels(SLAB, name="cutoff", values=(200, 300), request=request)
    assert [level.request.set for level in cutoffs] == [
        (f"FORCE_EVAL/DFT/MGRID/CUTOFF={value}",) for value in (200, 300)
    ]
    meshes = make_levels(SLAB, name="kpoints", values=(2, 4), request=request)
    assert [level.request.mesh for level in meshes] == [(2, 1, 1), (4, 2, 1)]
    vacua = make_levels(SLAB, name="vacuum", values=(15, 30), request=request)
    heights = [level.atoms.cell.lengths()[2] for level in vacua]
    assert heights[1] - heights[0] == pytest.approx(15)
    with pytest.raises(UsageError, match="no vacuum"):
        make_levels(CSBR, name="vacuum", values=(15, 30), request=request)


@pytest.mark.cp2k
def test_cutoff_study_end_to_end_with_the_real_cp2k(
    tmp_path: Path, qdip: Callable[..., tuple[int, str, str]], cp2k: Program
) -> None:
    structure, study, plot = tmp_path / "csbr.extxyz", tmp_path / "study", tmp_path / "c.svg"
    CSBR.write(structure)
    vary = ["--vary", "cutoff=100,200", "--set", "FORCE_EVAL/DFT/SCF/EPS_SCF=1E-5"]
    assert qdip("converge", structure, *vary, "--preset", "ning2015", "-o", study)[0] == 0
    assert qdip("converge", study)[0] == 3
    assert qdip("run", study, "--nproc", "2")[0] == 0
    code, out, _ = qdip("converge", study, "--plot", plot, "--json")
    assert code == 0
    points = json.loads(out)["points"]
    energies = {f.record.vary.value: read_run(f.path).energy_ev for f in find_run_folders([study])}
    assert [p["energy_per_atom_ev"] * 2 for p in points] == pytest.approx([energies[100.0], energies[200.0]])
    assert points[0]["difference_mev_per_atom"] == pytest.approx(1000 * (energies[100.0] - energies[200.0]) / 2)
    assert points[1]["difference_mev_per_atom"] == 0
    assert plot.read_text().startswith("<?xml")


def test_wrong_use_is_explained(tmp_path: Path, qdip: Callable[..., tuple[int, str, str]]) -> None:
    structure = tmp_path / "csbr.extxyz"
    CSBR.write(structure)
    assert "--vary" in qdip("converge", structure)[2]
    code, _, err = qdip("converge", tmp_path)
    assert (code, "no run folder" in err) == (1, True)
