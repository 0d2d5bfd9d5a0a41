"""Formulas and Vegard's rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.errors import UsageError
from qdip_struct.materials.composition import mixed_lattice_constant, parse_formula
from qdip_struct.materials.crystals import get_crystal
from qdip_struct.materials.properties import find_property, lattice_at

FRACTIONS = st.integers(0, 1000).map(lambda n: n / 1000)
STEADY = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("CsPbBr2I", {"X": {"Br": 2 / 3, "I": 1 / 3}}),
        ("CsPb(Br0.67,I0.33)3", {"X": {"Br": 0.67, "I": 0.33}}),
        ("MAPbI2.5Br0.5", {"A": {"MA": 1.0}, "X": {"I": 5 / 6, "Br": 1 / 6}}),
        ("PbS0.5Se0.5", {"anion": {"S": 0.5, "Se": 0.5}}),
        ("Cs0.2FA0.8PbI3", {"A": {"Cs": 0.2, "FA": 0.8}}),
        ("Cd0.33Zn0.67S", {"cation": {"Cd": 0.33, "Zn": 0.67}}),
        ("NaI", {"cation": {"Na": 1.0}, "anion": {"I": 1.0}}),
        ("CsPb(Br2,I1)3", None),
    ],
)
def test_amounts(text, expected):
    if expected is None:
        with pytest.raises(UsageError, match="add up"):
            parse_formula(text)
        return
    formula = parse_formula(text)
    for label, fractions in expected.items():
        sublattice = next(s for s in formula.sublattices if s.label == label)
        assert dict(zip(sublattice.species, sublattice.fractions, strict=True)) == pytest.approx(fractions)


@pytest.mark.parametrize(
    "text, free",
    [("CsPb(Br,I)3", ["X"]), ("(Cs,MA)Pb(Br,I)3", ["A", "X"]), ("Pb(S,Se)", ["anion"]), ("CdZnS", ["cation"]),
     ("CsPbI3", [])],
)  # fmt: skip
def test_free_sites(text, free):
    assert [site.label for site in parse_formula(text).free] == free


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "empty"),
        ("Xx", "unknown species"),
        ("CsPbBr2", "holds 2 per formula unit, expected 3"),
        ("PbI2", "neither a perovskite"),
        ("CsPb(Br,I)2", "holds 2 per formula unit, expected 3"),
        ("CsPbBr-1I4", "cannot read"),
        ("CsPb(Br,Br)3", "twice"),
        ("CsPb(Br;I)3", "cannot read"),
        ("CsPbBr(Br,I)2", "twice"),
        ("pbs", "cannot read"),
    ],
)
def test_nonsense_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        parse_formula(text)


@STEADY
@given(FRACTIONS, FRACTIONS)
def test_a_formula_reads_its_own_text(x, y):
    formula = parse_formula("(Cs,MA)Pb(Br,I)3").at({"A": (x, 1 - x), "X": (y, 1 - y)})
    again = parse_formula(formula.text)
    for one, other in zip(formula.sublattices, again.sublattices, strict=True):
        mine = {s: f for s, f in zip(one.species, one.fractions, strict=True) if f > 2e-5}
        theirs = dict(zip(other.species, other.fractions, strict=True))
        assert theirs == pytest.approx(mine, abs=1e-4)


@STEADY
@given(FRACTIONS, FRACTIONS)
def test_weights_add_up_and_the_constant_lies_between_the_ends(x, y):
    formula = parse_formula("(Cs,MA)Pb(Br,I)3").at({"A": (x, 1 - x), "X": (y, 1 - y)})
    assert sum(weight for _, weight in formula.weights()) == pytest.approx(1.0)
    mixed = mixed_lattice_constant(formula)
    ends = [a for _, _, a in mixed.terms]
    assert min(ends) - 1e-12 <= mixed.a_angstrom <= max(ends) + 1e-12


@STEADY
@given(FRACTIONS)
def test_the_line_of_liu(x):
    formula = parse_formula("CsPb(Br,I)3").at({"X": (x, 1 - x)})
    assert mixed_lattice_constant(formula, dataset="liu2019").a_angstrom == pytest.approx(6.21 - 0.36 * x)


def test_bowing_lies_below_the_line_by_a_quarter_in_the_middle():
    straight = mixed_lattice_constant("CsPbBr1.5I1.5", dataset="liu2019")
    for pair in (("Br", "I"), ("I", "Br")):
        bent = mixed_lattice_constant("CsPbBr1.5I1.5", dataset="liu2019", bowing={pair: 0.04})
        assert straight.a_angstrom - bent.a_angstrom == pytest.approx(0.01)


def test_mixed_structures_are_refused():
    with pytest.raises(UsageError, match="mixes structures"):
        mixed_lattice_constant("Pb0.5Cd0.5S")


def test_data_sets_do_not_mix():
    with pytest.raises(UsageError, match="data set liu2019 has no MAPbI3"):
        mixed_lattice_constant("MAPbI2.5Br0.5", dataset="liu2019")


def test_high_temperature_cells_come_to_room_temperature():
    value, spread = lattice_at(get_crystal("CsPbI3:cubic"), temperature=298.0)
    assert value == pytest.approx(6.289 * (1 - 40e-6 * 336))
    assert value == pytest.approx(6.205, abs=1e-3)
    assert spread > get_crystal("CsPbI3:cubic").uncertainty_angstrom
    assert lattice_at(get_crystal("CsPbI3:cubic"), temperature=634.0)[0] == 6.289
    assert lattice_at(get_crystal("CsPbI3:cubic"), temperature=None)[0] == 6.289


def test_temperature_is_refused_where_it_has_no_meaning():
    with pytest.raises(UsageError, match="has no temperature"):
        lattice_at(get_crystal("PbS", dataset="pbe_cp2k"), temperature=298.0)
    with pytest.raises(UsageError, match="no thermal expansion"):
        lattice_at(get_crystal("CsPbCl3"), temperature=600.0)
    for bad in (-1.0, float("nan"), 1e6):
        with pytest.raises(UsageError, match="0 to 2000 K"):
            lattice_at(get_crystal("PbS"), temperature=bad)


def test_every_property_has_a_source():
    assert find_property("PbS", "elastic").source
    assert find_property("PbS", "nothing") is None
