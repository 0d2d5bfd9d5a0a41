"""The reference runs that ship with the studies: finished, added up by hand, and bounded by what must hold for them.

Every energy is read here a second time, straight from the text of the outputs, and combined without the package.
Bounds are theorems (a relaxed cell lies below the one it started from; slabs relaxed on their own and then joined
stiffly bind no more than the relaxed interface); agreement with calculations made independently of the package
(another lateral lattice constant, 6.00 Å, inputs written by hand) carries its tolerance.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.units import Bohr, Hartree

from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.base.files import shipped
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.runs.rundir import find_run_folders, open_run_folder

WORKFLOWS = Path(str(shipped("workflows")))
CSPBBR3 = WORKFLOWS / "interface_energy" / "reference"
CONTROL = WORKFLOWS / "halide_control" / "reference" / "runs"
NING = WORKFLOWS / "ning2015_interface" / "reference" / "runs"
STUDIES = ("interface_energy", "ning2015_interface", "halide_control")
FOLDERS = sorted(path.parent for study in STUDIES for path in (WORKFLOWS / study / "reference").rglob("run.json"))
RELAXED = [path for path in FOLDERS if (path / "relaxed.extxyz").exists()]
TRIO = ("film", "substrate", "interface")
MEV = 1000.0


def hartrees(folder: Path) -> list[float]:
    """Every printed total energy of the outputs of a run, in order."""
    found: list[float] = []
    for output in sorted(folder.glob("run.out*")):
        found += [float(word) for word in re.findall(r"ENERGY\| .*?(-\d+\.\d+)", output.read_text())]
    return found


def electronvolts(folder: Path) -> float:
    return hartrees(folder)[-1] * Hartree


def square(folder: Path) -> float:
    """Lateral area from the lattice line of the structure file."""
    words = re.search(r'Lattice="([^"]+)"', (folder / "structure.extxyz").read_text())
    assert words is not None
    a, b = (np.array(words[1].split()[i : i + 3], dtype=float) for i in (0, 3))
    return float(np.linalg.norm(np.cross(a, b)))


def binding(film: Path, substrate: Path, interface: Path) -> float:
    """W_ad by hand, meV/Å²."""
    apart = electronvolts(film) + electronvolts(substrate)
    return MEV * (apart - electronvolts(interface)) / square(interface)


def groups_of(*paths: Path) -> Iterator[dict[str, Any]]:
    yield from energies_of(find_run_folders(list(paths)))["groups"]


def at_limit(group: dict[str, Any], quantity: str) -> dict[str, float]:
    """A quantity at each limit of the chemical potential."""
    return {item["reference"]: item["value_mev_per_angstrom2"] for item in group[f"{quantity}_limits"]}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(WORKFLOWS)))
def test_every_run_is_finished_and_names_no_machine(folder: Path) -> None:
    run = read_run(folder)
    assert run.status == "done", run.reason
    assert open_run_folder(folder).record.origin == "shipped"
    text = "".join(path.read_text() for path in folder.iterdir())
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work)/", text)


def test_what_ships_is_small() -> None:
    everything = [path for study in STUDIES for path in (WORKFLOWS / study).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in everything) < 8_000_000


@pytest.mark.parametrize("folder", RELAXED, ids=lambda path: str(path.relative_to(WORKFLOWS)))
def test_relaxed_cells_lie_below_their_start_and_keep_to_their_criterion(folder: Path) -> None:
    steps = hartrees(folder)
    coarse = "EPS_SCF 3e-5" in (folder / "run.inp").read_text()
    # CP2K ends with a fresh SCF of the last geometry: at the coarse threshold it differs by up to 5e-4 hartree
    assert steps[-2] < steps[0]
    assert steps[-1] < steps[0] + (1e-3 if coarse else 0.0)
    limit = float(re.search(r"MAX_FORCE\s+(\S+)", (folder / "run.inp").read_text())[1])  # type: ignore[index]
    outputs = "".join(path.read_text() for path in sorted(folder.glob("run.out*")))
    said = [float(word) for word in re.findall(r"Max\. gradient\s+=\s+(\S+)", outputs)]
    assert said[-1] <= limit
    largest = read_run(folder).max_force_ev_per_angstrom
    assert largest is not None and largest <= np.sqrt(3) * limit * Hartree / Bohr * 1.001
    before, after = read_structure(folder / "structure.extxyz"), read_structure(folder / "relaxed.extxyz")
    assert before.get_chemical_symbols() == after.get_chemical_symbols()
    assert np.allclose(before.cell, after.cell)


@pytest.mark.parametrize("study", STUDIES)
def test_energies_agree_with_the_outputs_added_by_hand(study: str) -> None:
    checked = 0
    for group in groups_of(WORKFLOWS / study / "reference"):
        terms = {role: Path(term["path"]) for role, term in group["terms"].items()}
        for role, term in group["terms"].items():
            assert term["energy_ev"] == pytest.approx(electronvolts(terms[role]), abs=1e-9)
        if group["adsorption_energy_mev_per_angstrom2"] is None:
            continue
        by_hand = binding(*(terms[role] for role in TRIO))
        area = square(terms["interface"])
        assert group["area_angstrom2"] == pytest.approx(area, abs=1e-6)
        assert (group["adsorption_energy_mev_per_angstrom2"] - by_hand) * area / MEV == pytest.approx(0, abs=1e-9)
        checked += 1
    assert checked


def test_relaxing_every_cell_lowers_it() -> None:
    # same cell, same settings, started from the unrelaxed one
    for role in TRIO:
        assert hartrees(CSPBBR3 / "relaxed_3x3" / "PbBr2" / role)[-1] < hartrees(CSPBBR3 / "runs" / role)[-1]
        # 200 against 300 Ry changes these cells, unrelaxed, by less than 1e-5 hartree (calculated)
        assert hartrees(CONTROL / "CsPbBr2I_relaxed" / role)[-1] < hartrees(CONTROL / "CsPbBr2I" / role)[-1] - 1e-5
    assert (
        hartrees(CSPBBR3 / "relaxed_3x3" / "CsBr" / "substrate")[-1]
        < hartrees(CSPBBR3 / "runs" / "substrate_other")[-1]
    )


@pytest.mark.parametrize(
    ("relaxed", "built"),
    [
        (CSPBBR3 / "relaxed_3x3" / "PbBr2", CSPBBR3 / "runs"),
        (CONTROL / "CsPbBr2I_relaxed", CONTROL / "CsPbBr2I"),
    ],
    ids=["CsPbBr3", "CsPbBr2I"],
)
def test_the_relaxed_interface_binds_more_than_relaxed_slabs_against_the_unrelaxed_one(
    relaxed: Path, built: Path
) -> None:
    bound = binding(relaxed / "film", relaxed / "substrate", built / "interface")
    assert binding(*(relaxed / role for role in TRIO)) > bound


@pytest.mark.parametrize(
    ("film", "substrate", "interface", "independent", "tolerance"),
    [
        ("runs/film", "runs/substrate", "runs/interface", 18.96, 0.3),
        ("relaxed_3x3/PbBr2/film", "relaxed_3x3/PbBr2/substrate", "relaxed_3x3/PbBr2/interface", 23.6, 0.3),
        ("relaxed_3x3/PbBr2/film", "relaxed_3x3/CsBr/substrate", "relaxed_3x3/CsBr/interface", 3.2, 0.7),
    ],
)
def test_binding_agrees_with_calculations_at_another_lattice_constant(
    film: str, substrate: str, interface: str, independent: float, tolerance: float
) -> None:
    # 6.00 Å instead of 5.99, inputs written by hand; 3.2 is unrelaxed and can only be a little less than relaxed
    assert binding(CSPBBR3 / film, CSPBBR3 / substrate, CSPBBR3 / interface) == pytest.approx(
        independent, abs=tolerance
    )


def test_relaxed_surface_energies_agree_with_independent_ones() -> None:
    found = {group["group"]: group for group in groups_of(CSPBBR3 / "relaxed_3x3", CSPBBR3 / "runs")}
    bromide = found["PbS(100)//CsPbBr3(100), PbBr2, 3 + 3 relaxed"]
    assert bromide["surface_energy_film_mev_per_angstrom2"] == pytest.approx(16.10, abs=0.2)
    assert at_limit(bromide, "surface_energy_substrate")["CsBr-rich"] == pytest.approx(11.9, abs=0.5)
    assert at_limit(bromide, "interface_energy")["CsBr-rich"] == pytest.approx(4.4, abs=0.6)
    # the mean over both terminations knows no chemical potential and is the same whichever of the two is asked
    caesium = found["PbS(100)//CsPbBr3(100), CsBr, 3 + 3 relaxed"]
    key = "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2"
    assert bromide[key] == pytest.approx(caesium[key], abs=1e-9)
    for limit in ("CsBr-rich", "PbBr2-rich"):
        sides = [at_limit(group, "surface_energy_substrate")[limit] for group in (bromide, caesium)]
        assert bromide[key] == pytest.approx(sum(sides) / 2, abs=1e-6)


def test_contacts_of_the_relaxed_continuation() -> None:
    # lead of the film over bromine, sulphur over lead: one rock salt goes on into the other
    atoms = read_structure(CSPBBR3 / "relaxed_3x3" / "PbBr2" / "interface" / "relaxed.extxyz")
    region, symbols = atoms.arrays["region"], np.array(atoms.get_chemical_symbols())
    distances = atoms.get_all_distances(mic=True)

    def contact(upper: str, lower: str) -> float:
        return float(
            distances[np.ix_((region == "film") & (symbols == upper), (region != "film") & (symbols == lower))].min()
        )

    assert 2.9 < contact("Pb", "Br") < 3.4
    assert 2.6 < contact("S", "Pb") < 3.1


def test_the_stretched_film_left_rock_salt() -> None:
    # started with its symmetry it keeps it, at a higher energy; 200 and 300 Ry differ by some meV
    assert electronvolts(NING / "PbI2" / "film") < electronvolts(NING / "film_as_built") - 1.0
    shortest = {}
    for name in ("PbI2/film", "film_as_built"):
        atoms = read_structure(NING / name / "relaxed.extxyz")
        symbols = np.array(atoms.get_chemical_symbols())
        near = np.sort(atoms.get_all_distances(mic=True)[np.ix_(symbols == "Pb", symbols == "S")], axis=1)
        shortest[name] = near[:, :3].mean()
    assert shortest["PbI2/film"] < 2.9 < 3.0 < shortest["film_as_built"]


def test_the_means_over_both_terminations_stand_near_those_of_the_paper() -> None:
    # Ning et al. 2015: 9, 9, 12 and 6 meV/Å² with seven layers, and neither termination nor chemical potential named
    (mean,) = energies_of(find_run_folders([NING]))["means_of_terminations"]
    assert mean["surface_energy_film_mev_per_angstrom2"] == pytest.approx(9, abs=2)
    assert mean["surface_energy_substrate_mev_per_angstrom2"] == pytest.approx(9, abs=2)
    assert mean["adsorption_energy_mev_per_angstrom2"] == pytest.approx(12, abs=2)
    assert mean["interface_energy_mev_per_angstrom2"] == pytest.approx(6, abs=2)
    sides = [binding(NING / "PbI2" / "film", *(NING / side / role for role in TRIO[1:])) for side in ("MAI", "PbI2")]
    assert mean["adsorption_energy_mev_per_angstrom2"] == pytest.approx(sum(sides) / 2, abs=1e-9)
    assert 0 < 5 * sides[0] < sides[1]


@pytest.mark.parametrize("run", ["MAI/substrate", "MAI/interface", "PbI2/substrate", "PbI2/interface"])
def test_methylammonium_stays_whole(run: str) -> None:
    atoms = read_structure(NING / run / "relaxed.extxyz")
    symbols = np.array(atoms.get_chemical_symbols())
    distances = atoms.get_all_distances(mic=True)
    for carbon in np.flatnonzero(symbols == "C"):
        assert (distances[carbon, symbols == "N"] < 1.6).sum() == 1
        assert (distances[carbon, symbols == "H"] < 1.2).sum() == 3
    for nitrogen in np.flatnonzero(symbols == "N"):
        assert (distances[nitrogen, symbols == "H"] < 1.15).sum() == 3


def test_lead_iodide_binds_the_stretched_film_as_lead_bromide_binds_the_matched_one() -> None:
    iodide = binding(*(NING / "PbI2" / role for role in TRIO))
    bromide = binding(*(CSPBBR3 / "relaxed_3x3" / "PbBr2" / role for role in TRIO))
    assert iodide == pytest.approx(bromide, rel=0.2)


def test_rock_salt_continuations_bind_alike_and_the_other_termination_does_not() -> None:
    # unrelaxed E_ad of one stacking on three halides; the elastic energy, not the contact, tells them apart
    found = [binding(*(CONTROL / halide / role for role in TRIO)) for halide in ("CsPbBr2I", "NaI")]
    found.append(binding(*(CSPBBR3 / "runs" / role for role in TRIO)))
    other = CSPBBR3 / "relaxed_3x3" / "CsBr"
    weak = binding(CSPBBR3 / "relaxed_3x3" / "PbBr2" / "film", other / "substrate", other / "interface")
    assert min(found) > 4 * weak
    assert max(found) < 1.5 * min(found)


def test_the_binding_settles_with_thickness() -> None:
    # independent calculations of γ: 17.5, 16.9, 16.9 for 3, 5, 7 layers at a = 6.00 Å
    places = [CSPBBR3 / "runs", CSPBBR3 / "thickness" / "5x5", CSPBBR3 / "thickness" / "7x7"]
    three, five, seven = (binding(*(place / role for role in TRIO)) for place in places)
    assert abs(seven - five) < 0.3 < abs(five - three) < 2
    bulk = electronvolts(CSPBBR3 / "runs" / "film_bulk") / 4
    for place, pairs, independent in zip(places, (6, 10, 14), (17.5, 16.9, 16.9), strict=True):
        energy = electronvolts(place / "film") - pairs * bulk
        assert MEV * energy / (2 * square(place / "film")) == pytest.approx(independent, abs=0.3)


def test_the_interface_energy_between_its_two_limits() -> None:
    lead, caesium = CSPBBR3 / "relaxed_3x3" / "PbBr2", CSPBBR3 / "relaxed_3x3" / "CsBr"
    crystals = {
        "perovskite": electronvolts(CSPBBR3 / "runs" / "substrate_bulk"),
        "CsBr": electronvolts(CSPBBR3 / "runs" / "reservoir"),
        "PbBr2": electronvolts(CSPBBR3 / "relaxed_3x3" / "reservoir_PbBr2") / 4,
    }
    formation = crystals["perovskite"] - crystals["CsBr"] - crystals["PbBr2"]
    assert -0.5 < formation < 0
    area = square(lead / "interface")
    span = MEV * -formation / (2 * area)
    found = {group["group"]: group for group in groups_of(CSPBBR3 / "relaxed_3x3", CSPBBR3 / "runs")}
    ends = {}
    for name, sign in (("PbBr2", -1), ("CsBr", 1)):
        ends[name] = at_limit(found[f"PbS(100)//CsPbBr3(100), {name}, 3 + 3 relaxed"], "interface_energy")
        assert ends[name]["PbBr2-rich"] - ends[name]["CsBr-rich"] == pytest.approx(sign * span, abs=1e-6)
    # independent: 4.4 to -0.5
    assert ends["PbBr2"]["PbBr2-rich"] == pytest.approx(-0.5, abs=1.0)
    film = electronvolts(lead / "film") - 1.5 * electronvolts(CSPBBR3 / "runs" / "film_bulk")
    slab = electronvolts(caesium / "substrate") - crystals["perovskite"] - crystals["CsBr"]
    by_hand = MEV * (film + slab) / (2 * area) - binding(lead / "film", caesium / "substrate", caesium / "interface")
    assert ends["CsBr"]["CsBr-rich"] == pytest.approx(by_hand, abs=1e-6)
