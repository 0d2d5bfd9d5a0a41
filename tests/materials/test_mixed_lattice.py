"""Lattice constants of mixed crystals: Vegard's rule, bowing, refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant

FRACTIONS = st.integers(0, 1000).map(lambda n: n / 1000)
STEADY = settings(deadline=None, derandomize=True, max_examples=60)


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
