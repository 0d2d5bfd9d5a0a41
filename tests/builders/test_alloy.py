"""Alloys: whole ions in the right numbers, seeds that repeat, arrangements as random as they claim."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.alloy import blocks_for, correlation_error, decorate, occupy, whole_counts
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.slab.block import bulk_block
from qdip_struct.builders.slab.surface import surface_cell
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_named


def supercell(name="CsPbBr3", n=2, periods=2):
    surface = surface_cell(get_crystal(name), plane=(1, 0, 0))
    return bulk_block(surface, matrix=np.diag([n, n]), periods=periods).sites


def chain(pattern, spacing=4.0):
    """Ions in a line, far from their neighbours sideways."""
    n = len(pattern)
    return SiteCell(
        cell=np.diag([spacing * n, 50.0, 50.0]), positions=np.column_stack([np.arange(n) * spacing, np.zeros((n, 2))]),
        species=np.array(list(pattern), dtype="U2"), sublattice=np.array(["X"] * n), name="chain",
        template=np.full(n, -1),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4), st.integers(1, 500))
def test_whole_counts_add_up_and_stay_within_one(fractions, n):
    counts = whole_counts(fractions, n)
    ideal = np.array(fractions) / sum(fractions) * n
    assert counts.sum() == n and (counts >= 0).all() and np.abs(counts - ideal).max() < 1.0


@pytest.mark.parametrize("arrangement", ["random", "sqs"])
@pytest.mark.parametrize("share", [1 / 3, 1 / 6, 0.5])
def test_composition_is_exact_where_it_can_be(arrangement, share):
    sites, made = decorate(
        supercell(), sublattice="X", fractions={"Br": 1 - share, "I": share}, arrangement=arrangement
    )
    assert (sites.species == "I").sum() == round(24 * share) and (sites.species == "Br").sum() == 24 - round(24 * share)
    assert made.realised["I"] == pytest.approx(share) and made.n_sites == 24
    untouched = sites.sublattice != "X"
    assert set(sites.species[untouched]) == {"Cs", "Pb"}


def test_the_same_seed_gives_the_same_ions_and_another_seed_others():
    def species(seed):
        shares = {"Br": 2 / 3, "I": 1 / 3}
        return decorate(supercell(n=3), sublattice="X", fractions=shares, seed=seed)[0].species.tolist()

    assert species(4) == species(4)
    assert len({tuple(species(seed)) for seed in range(4)}) > 1


def test_quasi_random_is_better_than_random_on_average():
    shares = {"Br": 0.5, "I": 0.5}
    errors = {
        arrangement: np.mean(
            [decorate(supercell(n=3), sublattice="X", fractions=shares, arrangement=arrangement, seed=k)[1]
             .correlation_error for k in range(5)]
        )
        for arrangement in ("random", "sqs")
    }  # fmt: skip
    assert errors["sqs"] < 0.3 * errors["random"]


def test_quasi_random_reaches_the_best_arrangement_of_a_small_cell():
    sites = supercell(n=1, periods=2)
    index = np.flatnonzero(sites.sublattice == "X")
    best = np.inf
    for chosen in itertools.combinations(index, 3):
        species = sites.species.copy()
        species[list(chosen)] = "I"
        best = min(best, correlation_error(sites.take(np.arange(len(sites))).__class__(
            cell=sites.cell, positions=sites.positions, species=species, sublattice=sites.sublattice, name="",
            template=sites.template), sublattice="X"))  # fmt: skip
    made = decorate(sites, sublattice="X", fractions={"Br": 0.5, "I": 0.5}, seed=1)[1]
    assert made.correlation_error == pytest.approx(best, abs=1e-9)


def test_correlation_error_of_known_chains():
    # Alternating: neighbours are never alike (shells 1 and 3), always alike (shell 2); x = ½, x² = ¼:
    # every pair probability is off by ¼, so the error is ¼. A single species is off by nothing.
    assert correlation_error(chain("ABABABABABAB"), sublattice="X") == pytest.approx(0.25)
    assert correlation_error(chain("AAAAAAAAAA"), sublattice="X") == 0.0
    separated = correlation_error(chain("A" * 50 + "B" * 50), sublattice="X")
    assert 0.2 < separated < 0.25


def test_mixed_crystals_carry_their_vegard_lattice():
    alloy = crystal_named("CsPbBr2I", dataset="liu2019")
    assert alloy.a_angstrom == pytest.approx(6.21 - 0.36 * 2 / 3)
    assert alloy.occupancies == {"X": {"Br": pytest.approx(2 / 3), "I": pytest.approx(1 / 3)}}
    assert alloy.end_member == "CsPbBr3" and alloy.label == "CsPbBr2I:cubic"
    assert crystal_named("CsPbBr2I", lattice=6.131).a_angstrom == pytest.approx(6.131)
    anion = crystal_named("PbS0.5Se0.5", dataset="liu2019")
    assert anion.a_angstrom == pytest.approx((5.94 + 6.12) / 2)
    assert crystal_named("MAPbI2.5Br0.5").phase == "cubic" and get_crystal("MAPbI3").phase == "tetragonal"


def test_crystals_that_differ_in_their_shares_alone_are_not_equal():
    alloy = crystal_named("CsPbBr2I")
    other = replace(alloy, occupancies={"X": {"Br": 0.5, "I": 0.5}})
    assert alloy != other and hash(alloy) == hash(other) and {alloy: 1, other: 2}[alloy] == 1


def test_a_large_matrix_and_a_cut_dot_are_filled_by_the_same_rule():
    sites, shares = supercell(n=4, periods=3), {"X": {"Br": 2 / 3, "I": 1 / 3}}
    filled = occupy(sites, occupancies=shares, seed=2)
    assert (filled.species == "I").sum() == 48 and set(filled.species[filled.sublattice != "X"]) == {"Cs", "Pb"}
    arranged = occupy(sites, occupancies=shares, seed=2, arrangement="sqs")
    assert (
        arranged.species.tolist() == decorate(sites, sublattice="X", fractions=shares["X"], seed=2)[0].species.tolist()
    )
    with pytest.raises(UsageError, match="no sublattice"):
        occupy(sites, occupancies={"anion": {"S": 1.0}}, seed=0)


def test_the_block_grows_until_the_composition_fits():
    assert blocks_for({"X": {"I": 5 / 6, "Br": 1 / 6}}, sites_per_block={"X": 3}) == 2
    assert blocks_for({"X": {"I": 1 / 3, "Br": 2 / 3}}, sites_per_block={"X": 3}) == 1
    assert blocks_for({"X": {"I": 0.5, "Br": 0.5}}, sites_per_block={"X": 6}) == 1


def test_what_cannot_be_arranged_is_refused():
    with pytest.raises(UsageError, match="too few"):
        decorate(supercell(n=1, periods=1), sublattice="X", fractions={"Br": 0.99, "I": 0.01})
    with pytest.raises(UsageError, match="no sites"):
        decorate(supercell("PbS"), sublattice="X", fractions={"Br": 0.5, "I": 0.5})
    with pytest.raises(UsageError, match="charge"):
        decorate(supercell(), sublattice="X", fractions={"Br": 0.5, "S": 0.5})
    for shares in ({"Br": -0.5, "I": 1.5}, {"Br": float("nan")}, {}):
        with pytest.raises(UsageError):
            decorate(supercell(), sublattice="X", fractions=shares)
    with pytest.raises(UsageError, match="arrangement"):
        decorate(supercell(), sublattice="X", fractions={"Br": 0.5, "I": 0.5}, arrangement="best")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        crystal_named("CsPb(Br,I)3")
