"""The table of ions against the tables that ASE and pymatgen carry."""

from collections import Counter

import pytest
from ase.data import atomic_masses_iupac2016, atomic_numbers

from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.molecules import library
from qdip_struct.materials.ions import (
    CONTACT_RADII_ANGSTROM,
    FORMAL_CHARGES,
    FORMULA_ORDER,
    IONIC_RADII_ANGSTROM,
    IONS,
    MOLECULES,
    TOUCHING_RADII_ANGSTROM,
    charges_given,
    oxidation_states,
    written_formula,
)


@pytest.mark.parametrize("ion", sorted(set(IONIC_RADII_ANGSTROM) - {"Sn", *MOLECULES}))
def test_radii_are_those_of_shannon_for_six_neighbours(ion: str) -> None:
    """Sn2+ is not in the table of 1976. Halides and chalcogenides are weak fields: high spin."""
    core = pytest.importorskip("pymatgen.core")
    spin = "High Spin" if ion in ("Mn", "Fe", "Co") else ""
    assert core.Species(ion, FORMAL_CHARGES[ion]).get_shannon_radius("VI", spin=spin) == IONIC_RADII_ANGSTROM[ion]


@pytest.mark.parametrize("name", sorted(set(IONS) - set(MOLECULES)))
def test_numbers_and_masses_are_those_of_the_elements(name: str) -> None:
    ion = IONS[name]
    assert ion.number == ion.scattering_electrons == atomic_numbers[name]
    # ASE has the IUPAC values of 2016; where one was changed since, the fourth digit moved.
    assert ion.mass == pytest.approx(atomic_masses_iupac2016[ion.number], rel=2e-4)
    # A pseudopotential leaves an even number of electrons out, whole shells.
    assert 0 < ion.gth_pbe_electrons <= ion.number and (ion.number - ion.gth_pbe_electrons) % 2 == 0


@pytest.mark.parametrize(
    ("name", "electrons"),
    [("MA", 18), ("FA", 24), ("NH4", 10), ("GUA", 32), ("DMA", 26), ("EA", 26), ("BA", 42), ("PEA", 66), ("MBA", 66),
     ("HCOO", 24), ("OAc", 32), ("OA", 158)],
)  # fmt: skip
def test_molecular_ions_are_their_atoms(name: str, electrons: int) -> None:
    unit = library(name)
    assert IONS[name].atoms == Counter(unit.symbols)
    charge = IONS[name].charge
    assert charge is not None
    assert IONS[name].scattering_electrons == sum(atomic_numbers[s] for s in unit.symbols) - charge == electrons
    assert IONS[name].mass == pytest.approx(sum(IONS[s].mass for s in unit.symbols))


def test_what_a_formula_may_hold_is_charged_and_classed() -> None:
    expected = {"A": {1}, "B": {2}, "chalcogenide": {-2}, "halide": {-1}}
    for ion in IONS.values():
        if ion.formula:
            assert ion.site is not None and {ion.charge} == expected[ion.site]
            assert ion.name in FORMULA_ORDER and IONIC_RADII_ANGSTROM[ion.name] > 0
            assert ion.site != "B" or (ion.anion_cutoff and ion.coordination)
    assert min(CONTACT_RADII_ANGSTROM.values()) > 0.25 and min(TOUCHING_RADII_ANGSTROM.values()) > 0.25


@pytest.mark.parametrize(
    ("counts", "metal", "state"),
    [
        ({"Sn": 2, "O": 4}, "Sn", 4),
        ({"Cs": 1, "Sn": 1, "I": 3}, "Sn", 2),
        ({"Cs": 8, "Sn": 4, "I": 24}, "Sn", 4),
        ({"MA": 1, "Sn": 1, "I": 3}, "Sn", 2),
        ({"Cs": 8, "Ag": 4, "Bi": 4, "Br": 24}, "Bi", 3),
        ({"Ti": 2, "O": 4}, "Ti", 4),
        ({"Cu": 4, "O": 4}, "Cu", 2),
        ({"Cu": 1, "In": 1, "S": 2}, "Cu", 1),
        ({"Zn": 8, "Al": 16, "O": 32}, "Al", 3),
    ],
)
def test_oxidation_states_follow_from_the_composition(counts: dict[str, int], metal: str, state: int) -> None:
    found = oxidation_states(counts)
    assert found[metal] == state
    assert sum(found[name] * count for name, count in counts.items()) == 0


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"Pb": 1, "I": 1}, r"Pb1 \+2, I1 -1 sum to \+1 e"),
        ({"Pb": 3, "O": 4}, r"Pb \+2.67"),
        ({"Xe": 1}, "for Xe"),
    ],
)
def test_a_crystal_that_cannot_be_balanced_is_refused_with_the_sum(counts: dict[str, int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        oxidation_states(counts)


@pytest.mark.parametrize(
    ("counts", "given"),
    [
        ({"Cu": 1, "Fe": 1, "S": 2}, {"Cu": 2, "Fe": 2}),
        ({"Sn": 1, "O": 2}, {"Sn": 4}),
        ({"C8H11ClN": 2, "Pb": 1, "Br": 4}, {"C8H11ClN": 1}),
        ({"Si": 8}, {}),
        ({"Te": 1, "O": 2}, {}),
        ({"Ag": 0.5, "Bi": 0.5, "S": 1.0}, {}),
        ({"Br": 0.67, "I": 0.33, "Cs": 0.33, "Pb": 0.33}, {}),
        ({"BA": 2, "Pb": 1, "I": 4}, {}),
        ({"GUA": 1, "Sn": 1, "I": 3}, {}),
    ],
)
def test_states_that_are_given_stand_and_the_sum_is_zero(counts: dict[str, float], given: dict[str, int]) -> None:
    found = oxidation_states(counts, given=given)
    assert given.items() <= found.items()
    assert sum(found[name] * count for name, count in counts.items()) == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("formula", ["SnO2", "SnS", "PbI2", "TeO2", "CuFeS2", "BaTiO3", "Cs2AgBiBr6", "PbO2"])
def test_states_are_those_of_pymatgen(formula: str) -> None:
    core = pytest.importorskip("pymatgen.core")
    composition = core.Composition(formula)
    counts = {str(element): int(n) for element, n in composition.items()}
    assert oxidation_states(counts) == {name: int(q) for name, q in composition.oxi_state_guesses()[0].items()}


@pytest.mark.parametrize("given", [{}, {"Fe": 2}, {"Fe": 3}])
def test_mixed_valence_is_refused_with_the_sum(given: dict[str, int]) -> None:
    total = 3 * given.get("Fe", 3) - 8
    with pytest.raises(DataError, match=rf"sum to \{total:+d} e; Fe \+2.67, O -2 would do, which is mixed valence"):
        oxidation_states({"Fe": 3, "O": 4}, given=given)


def test_charges_are_read_by_name_word_and_formula() -> None:
    assert charges_given(None) == {}
    assert charges_given("Sn=4, acetate=-1,C8H12N=+1") == {"Sn": 4, "OAc": -1, "C8H12N": 1}


@pytest.mark.parametrize(
    ("counts", "formula"),
    [
        ({"C8H11ClN": 2, "Pb": 1, "Br": 4}, "(C8H11ClN)2PbBr4"),
        ({"I": 4, "PEA": 2, "Pb": 1}, "PEA2PbI4"),
        ({"HCOO": 2, "Pb": 1}, "Pb(HCOO)2"),
        ({"OAc": 1, "FA": 1}, "FAOAc"),
    ],
)
def test_molecules_in_formulas(counts: dict[str, int], formula: str) -> None:
    assert written_formula(counts) == formula
