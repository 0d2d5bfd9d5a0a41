"""Slabs in their cells and what else must be calculated: where they stand, whole formula units, findings."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal

from qdip_struct.base.errors import DataError
from qdip_struct.builders.interface.interface import build_interface
from qdip_struct.builders.interface.interface_options import Stack
from qdip_struct.builders.slab.slab import build_slab, surface_of
from qdip_struct.builders.slab.stoichiometry import in_cell, ions_of, termination_names
from qdip_struct.materials.datasets import get_crystal


@pytest.mark.parametrize("low", [-12.0, 0.0, 31.5])
def test_a_slab_stands_in_the_middle_of_its_cell_or_is_lifted_as_told(low: float) -> None:
    heights = low + np.array([0.0, 2.5, 7.0])
    slab = Atoms("PbSPb", positions=[[1.0, 2.0, z] for z in heights])
    cell = np.diag([6.0, 6.0, 30.0])
    middle = in_cell(slab, cell)
    assert middle.positions[:, 2].min() == pytest.approx(30.0 - middle.positions[:, 2].max())
    assert np.diff(middle.positions[:, 2]) == pytest.approx(np.diff(heights))
    assert middle.pbc.all() and np.array_equal(middle.cell.array, cell)
    assert in_cell(slab, cell, lift=1.25).positions[:, 2] == pytest.approx(heights + 1.25)
    assert slab.positions[:, 2] == pytest.approx(heights)


def together(built) -> dict[str, int]:
    """Ions of a slab and of its companion."""
    one, two = ions_of(built.slab), ions_of(built.others["substrate_other"])
    return {name: one.get(name, 0) + two.get(name, 0) for name in {*one, *two}}


def messages(built) -> str:
    return " | ".join(f"{item['message']}; {item['remedy']}" for item in built.report["findings"])


@pytest.mark.parametrize(
    ("name", "plane", "layers", "unit"),
    [("CsPbBr3", (1, 0, 0), 5, {"Cs": 1, "Pb": 1, "Br": 3}), ("CsPbBr3", (1, 1, 0), 3, {"Cs": 1, "Pb": 1, "Br": 3}),
     ("CsPbBr3", (1, 1, 1), 5, {"Cs": 1, "Pb": 1, "Br": 3}), ("PbS", (1, 1, 1), 5, {"Pb": 1, "S": 1}),
     ("CdSe:wurtzite", (0, 0, 1), 3, {"Cd": 1, "Se": 1}), ("CsPbBr3:gamma", (1, 0, 0), 3, {"Cs": 1, "Pb": 1, "Br": 3}),
     ("CsPbI3:delta", (0, 0, 1), 5, {"Cs": 1, "Pb": 1, "I": 3})],
)  # fmt: skip
def test_a_companion_makes_whole_formula_units_of_any_plane(name, plane, layers, unit) -> None:
    surface = surface_of(get_crystal(name), plane=plane)
    for termination in termination_names(surface):
        built = build_slab(get_crystal(name), plane=plane, layers=layers, termination=termination)
        if not built.report["excess"]:
            assert not built.others
            continue
        total = together(built)
        assert set(total) == set(unit)
        assert len({total[ion] / unit[ion] for ion in unit}) == 1, (termination, total)


def test_a_companion_ends_where_the_slab_begins() -> None:
    # The slab ends in one bridging oxygen row: what is left has its other row on the other side.
    cell = crystal(
        ["Sn", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    built = build_slab(cell, plane=(1, 1, 0), layers=4, termination="SnO")
    assert built.report["layer_names"] == ["SnO", "O", "O", "SnO"]
    total = together(built)
    assert total["O"] == 2 * total["Sn"]
    # Twelve monolayers are four periods; nearest to four monolayers is the five of SnO2's O, O, SnO, O, O.
    assert len({round(z, 2) for z in built.others["substrate_other"].positions[:, 2]}) == 5


@pytest.mark.parametrize(("termination", "has"), [("AX", True), ("BX2", True)])
def test_a_reservoir_is_there_only_where_it_balances_the_slab(termination, has) -> None:
    assert ("reservoir" in build_slab(get_crystal("CsPbBr3"), layers=5, termination=termination).others) is has
    for plane in ((1, 1, 0), (1, 1, 1)):
        for name in termination_names(surface_of(get_crystal("CsPbBr3"), plane=plane)):
            built = build_slab(get_crystal("CsPbBr3"), plane=plane, layers=3, termination=name)
            assert "reservoir" not in built.others and "no reservoir crystal" in messages(built)


def test_charge_and_dipole_are_findings_with_a_remedy_that_helps() -> None:
    lead = get_crystal("PbS")
    charged = build_slab(lead, plane=(1, 1, 1), layers=3, termination="Pb")
    assert charged.report["formal_charge"]["total"] == 2
    assert "+2 e" in messages(charged) and "2 monolayers below this layer" in messages(charged)
    helped = build_slab(lead, plane=(1, 1, 1), layers=2, termination="Pb")
    assert helped.report["formal_charge"]["total"] == 0 and "Tasker type 3" in messages(helped)
    assert build_slab(lead, layers=3).report["findings"] == []
    triple = Atoms(
        "PbI2", scaled_positions=[[0, 0, 0], [1 / 3, 2 / 3, 0.2675], [2 / 3, 1 / 3, 0.7325]],
        cell=[4.557, 4.557, 6.979, 90, 90, 120], pbc=True,
    )  # fmt: skip
    wrong = build_slab(triple, plane=(0, 0, 1), layers=3, termination="Pb")
    assert "termination I:2 at a multiple of 3" in messages(wrong)
    assert build_slab(triple, plane=(0, 0, 1), layers=3, termination="I:2").report["findings"] == []
    with pytest.raises(DataError, match=r"Pb1 \+2, I1 -1 sum to \+1 e"):
        build_slab(Atoms("PbI", positions=[[0, 0, 0], [0, 0, 3]], cell=[4, 4, 6], pbc=True), plane=(0, 0, 1))


def test_a_perovskite_film_has_its_companion_and_its_reservoir() -> None:
    film, lead, iodide = get_crystal("CsPbBr3"), get_crystal("PbS"), get_crystal("CsPbI3")
    stack = Stack(film_layers=5, film_termination="AX", substrate_layers=3, termination="PbS")
    built = build_interface(film, lead, stack=stack)
    assert set(built.others) == {"film_other", "film_reservoir"}
    one, two = ions_of(built.film), ions_of(built.others["film_other"])
    assert {name: one[name] + two[name] for name in one} == {"Cs": 5, "Pb": 5, "Br": 15}
    assert ions_of(built.others["film_reservoir"]) == {"Cs": 1, "Br": 1}
    assert built.others["film_other"].cell.array == pytest.approx(built.film.cell.array)
    assert set(built.others["film_other"].get_array("region")) == {"film"}
    assert built.report["film_reservoir"] == "CsBr" and built.report["reservoir"] is None
    assert built.reports["film"]["findings"] == [] and built.reports["film_other"]["excess"] == {"Br": -1, "Cs": -1}
    # One crystal for both where they are alike, two where they differ.
    same = build_interface(film, film, stack=Stack(film_layers=5, film_termination="AX"))
    assert (
        set(same.others) == {"substrate_other", "film_other", "reservoir"} and same.report["film_reservoir"] == "CsBr"
    )
    both = build_interface(film, iodide, stack=Stack(film_layers=5, film_termination="AX"))
    assert ions_of(both.others["reservoir"]) == {"Cs": 1, "I": 1}
    assert ions_of(both.others["film_reservoir"]) == {"Cs": 1, "Br": 1}


def test_a_charged_film_is_a_finding_of_the_film() -> None:
    stack = Stack(film_plane=(1, 1, 1), substrate_plane=(1, 1, 1), film_layers=3, substrate_layers=4, termination="S")
    built = build_interface(get_crystal("PbS"), get_crystal("PbSe"), stack=replace(stack, termination="Se"))
    found = {part: built.reports[part]["findings"] for part in ("film", "substrate")}
    charge = int(built.film.get_array("formal_charge").sum())
    assert abs(charge) == 2 and f"{charge:+d} e" in found["film"][0]["message"]
    assert "Tasker type 3" in found["substrate"][0]["message"]
