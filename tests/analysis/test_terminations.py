"""Means over two terminations: against the limits of the chemical potential in real runs, and what is no pair."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from energy_folders import edit_record, energy_hartree, set_energy, set_mesh

from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.base.files import shipped
from qdip_struct.runs.rundir import find_run_folders

REFERENCE = Path(str(shipped("workflows", "interface_energy"))) / "reference"
EV_PER_HARTREE = 27.211386


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """Real relaxed runs of PbS(100) on the CsBr and on the PbBr2 termination of CsPbBr3, with the bulk runs."""
    shutil.copytree(REFERENCE / "relaxed_3x3", tmp_path / "relaxed")
    for role in ("film_bulk", "substrate_bulk", "reservoir"):
        shutil.copytree(REFERENCE / "runs" / role, tmp_path / "runs" / role)
    return tmp_path


def answer(folder: Path) -> dict[str, Any]:
    return energies_of(find_run_folders([folder]))


def test_the_mean_is_that_of_the_two_at_every_chemical_potential(both: Path) -> None:
    document = answer(both)
    (mean,) = document["means_of_terminations"]
    groups = {group["group"]: group for group in document["groups"]}
    pair = [groups[name] for name in mean["groups"]]
    for limits in zip(*(group["interface_energy_limits"] for group in pair), strict=True):
        assert limits[0]["reference"] == limits[1]["reference"]
        at = sum(limit["value_mev_per_angstrom2"] for limit in limits) / 2
        assert mean["interface_energy_mev_per_angstrom2"] == pytest.approx(at, abs=1e-9)
    spread = [abs(g["interface_energy_limits"][0]["value_mev_per_angstrom2"] - at) for g in pair]
    assert min(spread) > 1.0
    adsorption = sum(group["adsorption_energy_mev_per_angstrom2"] for group in pair) / 2
    assert mean["adsorption_energy_mev_per_angstrom2"] == pytest.approx(adsorption, abs=1e-12)


def test_energy_of_one_interface_enters_by_half(both: Path) -> None:
    before = answer(both)["means_of_terminations"][0]["interface_energy_mev_per_angstrom2"]
    folder = both / "relaxed" / "CsBr" / "interface"
    set_energy(folder, energy_hartree(folder) + 0.010)
    after = answer(both)
    area = after["groups"][0]["area_angstrom2"]
    change = after["means_of_terminations"][0]["interface_energy_mev_per_angstrom2"] - before
    assert change == pytest.approx(1000 * 0.010 * EV_PER_HARTREE / area / 2, rel=1e-6)


def test_without_bulk_of_the_film_only_the_bond_is_averaged(both: Path) -> None:
    shutil.rmtree(both / "runs" / "film_bulk")
    (mean,) = answer(both)["means_of_terminations"]
    assert mean["interface_energy_mev_per_angstrom2"] is None
    assert mean["surface_energy_film_mev_per_angstrom2"] is None
    assert mean["adsorption_energy_mev_per_angstrom2"] > 0


@pytest.mark.parametrize("missing", ["runs/substrate_bulk", "relaxed/CsBr/interface", "relaxed/PbBr2/interface"])
def test_no_mean_without_both_interfaces_and_the_bulk(both: Path, missing: str) -> None:
    shutil.rmtree(both / missing)
    assert answer(both)["means_of_terminations"] == []


def test_other_settings_are_no_pair_and_no_refusal(both: Path) -> None:
    shutil.copytree(both / "relaxed" / "PbBr2" / "film", both / "relaxed" / "CsBr" / "film")
    group = json.loads((both / "relaxed" / "CsBr" / "interface" / "run.json").read_text())["group"]
    edit_record(both / "relaxed" / "CsBr" / "film", lambda record: record.update(group=group))
    for role in ("film", "substrate", "interface"):
        set_mesh(both / "relaxed" / "CsBr" / role, (3, 3, 1))
    document = answer(both)
    bound = [g["group"] for g in document["groups"] if g["adsorption_energy_mev_per_angstrom2"] is not None]
    assert len(bound) == 2 and group in bound
    assert document["means_of_terminations"] == []
    assert not any({Path(path).name for path in item["paths"]} == {"interface"} for item in document["refused"])


def test_one_termination_twice_is_no_pair_and_the_strongest_registry_enters(both: Path) -> None:
    weaker = both / "relaxed" / "PbBr2_elsewhere"
    shutil.copytree(both / "relaxed" / "PbBr2" / "interface", weaker)
    set_energy(weaker, energy_hartree(weaker) + 0.002)
    edit_record(weaker, lambda record: record.update(group="elsewhere"))
    edit_record(weaker, lambda record: record["structure"].update(registry="hollow", registry_fraction=[0.0, 0.0]))
    document = answer(both)
    assert len(document["groups"]) >= 3
    (mean,) = document["means_of_terminations"]
    assert not any("elsewhere" in name for name in mean["groups"])


def test_the_command_prints_the_table(both: Path, qdip: Any) -> None:
    code, out, _ = qdip("energies", both)
    assert code == 0 and "means of both terminations" in out
    code, out, _ = qdip("energies", both, "--json")
    entry = json.loads(out)["means_of_terminations"][0]
    key = "interface_energy_mev_per_angstrom2"
    assert entry["interface_energy_j_per_m2"] == pytest.approx(entry[key] * 0.0160218, rel=1e-5)
