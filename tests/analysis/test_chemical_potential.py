"""Limits of the chemical potential and straight lines between them."""

from dataclasses import replace

import pytest
from known_energies import known_run

from qdip_struct.analysis.energies.chemical_potential import (
    PotentialLine,
    excess_units,
    range_from_formation_energy,
    range_from_runs,
    slope_of,
    table_of,
)
from qdip_struct.analysis.energies.comparability import EnergyRun
from qdip_struct.base.errors import MismatchError


def crystal(energy: float, composition: dict[str, int], role: str = "reservoir") -> EnergyRun:
    return known_run(role, energy, composition)


BULK = crystal(-300.2, {"Cs": 1, "Pb": 1, "Br": 3}, "substrate_bulk")
SALT = crystal(4 * -80.0, {"Cs": 4, "Br": 4})
OTHER = crystal(4 * -220.0, {"Pb": 4, "Br": 8})


def test_range_between_two_crystals() -> None:
    span = range_from_runs(BULK, SALT, OTHER)
    assert span.formation_energy_ev == pytest.approx(-0.2)
    assert span.lower_ev == pytest.approx(-0.2)
    assert (span.compound, span.component, span.other) == ("CsPbBr3", "CsBr", "PbBr2")
    assert span.stable
    doubled = crystal(8 * -300.2, {"Cs": 8, "Pb": 8, "Br": 24}, "substrate_bulk")
    assert range_from_runs(doubled, SALT, OTHER).lower_ev == pytest.approx(-0.2)


def test_a_component_that_enters_twice_halves_the_range() -> None:
    """Cs2PbBr4 = 2 CsBr + PbBr2: Δμ(CsBr) goes down to half of the formation energy."""
    compound = crystal(-380.3, {"Cs": 2, "Pb": 1, "Br": 4}, "substrate_bulk")
    span = range_from_runs(compound, SALT, OTHER)
    assert span.formation_energy_ev == pytest.approx(-0.3)
    assert span.lower_ev == pytest.approx(-0.15)
    given = range_from_formation_energy(compound.composition, SALT.composition, formation_energy_ev=-0.3)
    assert given.lower_ev == pytest.approx(-0.15)
    assert given.other == "PbBr2"


def test_lines_meet_the_limits() -> None:
    span = range_from_formation_energy(BULK.composition, SALT.composition, formation_energy_ev=-0.2)
    slab = crystal(0.0, {"Cs": 1, "Pb": 2, "Br": 5}, "substrate")
    assert excess_units(slab, BULK, SALT) == pytest.approx(-1.0)
    line = PotentialLine("γ", 13.0, slope_of(slab, BULK, SALT))
    table = table_of(span, [line])
    values = table["lines"][0]["values_mev_per_angstrom2"]
    assert values[-1] == 13.0
    assert values[0] == pytest.approx(13.0 - 1000 * 0.2 / 72)
    assert table["delta_mu_ev"][0] == -0.2
    assert table["limit_names"] == ["PbBr2-rich", "CsBr-rich"]
    rich = crystal(0.0, {"Cs": 2, "Pb": 1, "Br": 4}, "substrate")
    assert slope_of(rich, BULK, SALT) == pytest.approx(-slope_of(slab, BULK, SALT))


def test_molecular_cations_count_whole() -> None:
    bulk = {"C": 4, "N": 4, "H": 24, "Pb": 4, "I": 12}
    span = range_from_formation_energy(bulk, {"Pb": 3, "I": 6}, formation_energy_ev=-0.1)
    assert (span.compound, span.component, span.other) == ("MAPbI3", "PbI2", "MAI")


def test_what_does_not_make_up_the_compound_is_refused() -> None:
    with pytest.raises(MismatchError, match="is not made of"):
        range_from_runs(BULK, SALT, crystal(-1.0, {"Pb": 1, "Cl": 2}))
    with pytest.raises(MismatchError, match="not finished: truncated"):
        range_from_runs(BULK, replace(SALT, status="truncated"), OTHER)
    with pytest.raises(MismatchError, match="functional"):
        range_from_runs(BULK, SALT, replace(OTHER, settings={"functional": "PBESOL", "kpoints": (4, 4, 4)}))
    with pytest.raises(MismatchError, match="and another crystal"):
        range_from_formation_energy(BULK.composition, {"Na": 1, "I": 1}, formation_energy_ev=-0.1)
    with pytest.raises(MismatchError, match="and another crystal"):
        range_from_formation_energy(BULK.composition, BULK.composition, formation_energy_ev=-0.1)
    with pytest.raises(MismatchError, match="is not made of"):
        excess_units(crystal(0.0, {"Pb": 3}, "substrate"), BULK, SALT)
