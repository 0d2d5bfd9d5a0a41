"""Formulas: amounts, free sites, refusals, and text that is read again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.composition import parse_formula

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
