"""The papers' systems: what is measured on known structures, what is refused, and that the shipped list is whole."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from qdip_struct.base.errors import DataError
from qdip_struct.base.files import shipped
from qdip_struct.builders.atoms.regions import formal_charges
from qdip_struct.cli.main import COMMANDS
from qdip_struct.papers.statements import paper_names
from qdip_struct.papers.systems import (
    PaperNumber,
    compare_numbers,
    faults,
    measure,
    paper_curves,
    paper_systems,
    relaxed_dots,
    stated_energies,
)


def rock_salt_slab(layers: int, *, vacuum: float, a: float = 5.936) -> Atoms:
    slab = bulk("PbS", "rocksalt", a=a, cubic=True).repeat((2, 2, layers // 2))
    slab.positions[:, 2] += 1.0
    slab.cell[2, 2] = np.ptp(slab.positions[:, 2]) + vacuum
    return charged(slab)


def charged(atoms: Atoms) -> Atoms:
    atoms.set_array("formal_charge", np.asarray(formal_charges(atoms.get_chemical_symbols())))
    atoms.set_array("region", np.full(len(atoms), "film"))
    return atoms


def test_a_slab_is_measured():
    found = measure(rock_salt_slab(6, vacuum=17.0))
    assert found["n_atoms"] == 2 * 2 * 3 * 8
    assert found["edge_angstrom"] == pytest.approx(2 * 5.936)
    assert found["lead_layers"] == 6
    assert found["vacuum_angstrom"] == pytest.approx(17.0)
    assert found["shortest_distance_angstrom"] == pytest.approx(5.936 / 2)
    assert found["formal_charge"] == 0
    assert found["electrons"] == 2 * 2 * 3 * 4 * (4 + 6)
    assert found["diameter_angstrom"] is None and found["volume_fraction"] is None


def test_the_volume_of_a_dot_is_that_of_its_ions():
    crystal = charged(bulk("PbS", "rocksalt", a=6.0, cubic=True).repeat(3))
    numbers = np.full(len(crystal), -1)
    numbers[:100] = 0
    crystal.set_array("dot", numbers)
    found = measure(crystal)
    volume = 100 * 3.0**3
    assert found["volume_fraction"] == pytest.approx(volume / 18.0**3)
    assert found["diameter_angstrom"] == pytest.approx((6 * volume / np.pi) ** (1 / 3))


def test_measures_do_not_depend_on_where_the_origin_is():
    slab = rock_salt_slab(4, vacuum=20.0)
    moved = slab.copy()
    moved.positions += [1.3, -0.7, 2.1]
    assert measure(moved) == pytest.approx(measure(slab), nan_ok=True)


def test_unfit_structures_are_named():
    slab = rock_salt_slab(4, vacuum=10.0)
    assert faults(measure(slab)) == ()
    lacking = slab[1:]
    assert any("formal charge" in fault for fault in faults(measure(lacking)))
    close = slab.copy()
    close.positions[0] += 0.6 * (close.positions[close.symbols == "S"][0] - close.positions[0])
    assert any("apart" in fault for fault in faults(measure(close)))
    odd = charged(Atoms("PbI", positions=[[0, 0, 0], [0, 0, 3.2]], cell=[20, 20, 20]))
    assert any("odd number" in fault for fault in faults(measure(odd)))


def number(**changes):
    given = {"what": "edge_angstrom", "of": "a", "stated": 10.0, "tolerance": 0.1, "where": "text", "verdict": "holds"}
    return PaperNumber(**{**given, **changes})


@pytest.mark.parametrize("value, verdict", [(10.1, "holds"), (9.9, "holds"), (10.11, "differs"), (None, "differs")])
def test_numbers_are_judged_by_their_tolerance(value, verdict):
    (item,) = compare_numbers([number()], measured={"a": {"edge_angstrom": value}})
    assert item.verdict == verdict and item.as_expected == (verdict == "holds")


@pytest.mark.parametrize("changes", [{"of": "b"}, {"what": "height"}])
def test_a_number_of_nothing_is_refused(changes):
    with pytest.raises(DataError, match="nothing was measured"):
        compare_numbers([number(**changes)], measured={"a": {"edge_angstrom": 1.0}})


def test_every_paper_has_its_systems():
    systems = paper_systems()
    assert {system.paper for system in systems} == set(paper_names())
    names = [system.id for system in systems]
    assert len(set(names)) == len(names) == 13
    for system in systems:
        assert system.id.startswith(system.paper) and system.about and system.structures
        assert f"build {system.build.split()[0]}" in COMMANDS
    assert {curve.paper for curve in paper_curves()} <= set(paper_names())
    assert [system.id for system in paper_systems(["baronnier2022"])] == ["baronnier2022-core-shell"]
    assert paper_curves(["garcia_de_arquer2017"]) == ()


def test_relaxed_dots_and_energies_name_what_ships():
    for dot in relaxed_dots():
        folder = shipped("workflows", *dot.folder.split("/"))
        files = [word for word in dot.words.split() if word.endswith(".extxyz")]
        assert files and all((folder / file).is_file() for file in files)
    assert [energy.stated for energy in stated_energies(["ning2015"])] == [9, 9, 12, 6]
    assert stated_energies(["deng2024"]) == ()


def test_energies_are_compared_for_the_same_crystals_only():
    film, substrate, adsorption, _ = stated_energies()
    mapi = {"film": {"Pb": 12, "S": 12}, "substrate": {"C": 2, "H": 12, "N": 2, "Pb": 3, "I": 8}}
    other = {"film": {"Pb": 6, "S": 6}, "substrate": {"Cs": 1, "Pb": 2, "Br": 5}}
    assert film.is_of(mapi) and substrate.is_of(mapi) and adsorption.is_of(mapi)
    assert film.is_of(other) and not substrate.is_of(other) and not adsorption.is_of(other)
    assert not adsorption.is_of({"film": {"Pb": 1, "S": 1}})
