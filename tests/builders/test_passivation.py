"""Surfaces of free dots: neutral where promised, no loose ions, no close pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.neighbours import minimum_distance
from qdip_struct.builders.dot.dot import DotSites, cut_dot, dot_atoms
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.passivation import charge_of, passivate
from qdip_struct.materials.structure_files import crystal_named

NAMES = st.sampled_from(["PbS", "PbSe", "CdSe:zincblende", "CdSe:wurtzite", "PbS0.5Se0.5"])
SHAPE_NAMES = st.sampled_from(["sphere", "octahedron", "truncated-octahedron", "cube"])


def raw(name: str, shape: str, size: float) -> DotSites:
    return cut_dot(crystal_named(name), form=DotForm(shape, diameter=size))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(name=NAMES, shape=SHAPE_NAMES, size=st.floats(14.0, 26.0), seed=st.integers(0, 3))
def test_stoichiometric_dots_are_neutral_and_bonded(name: str, shape: str, size: float, seed: int) -> None:
    before = raw(name, shape, size)
    dot, changes = passivate(before, surface="stoichiometric", seed=seed)
    assert charge_of(dot) == 0
    assert np.count_nonzero(dot.sites.sublattice == "cation") * 2 == len(dot.sites)
    assert len(before.sites) - len(dot.sites) == len(changes)
    metal = dot.sites.sublattice == "cation"
    points = dot.sites.positions
    for mine, others in ((metal, ~metal), (~metal, metal)):
        assert cKDTree(points[others]).query_ball_point(points[mine], 3.9, return_length=True).min() >= 2


@settings(deadline=None, derandomize=True, max_examples=20)
@given(name=NAMES, shape=SHAPE_NAMES, size=st.floats(16.0, 26.0), surface=st.sampled_from(["as-cut", "metal-rich"]),
       counter=st.sampled_from([None, "MA", "Cs"]))  # fmt: skip
def test_ligands_make_neutral_or_are_refused(
    name: str, shape: str, size: float, surface: str, counter: str | None
) -> None:
    try:
        dot, changes = passivate(raw(name, shape, size), surface=surface, ligand="I", counter_ion=counter)
    except UsageError as error:
        assert "places" in str(error) or "surface anions" in str(error)
        return
    assert charge_of(dot) == 0
    assert sum(change["charge"] for change in changes) == -charge_of(raw(name, shape, size))
    assert set(dot.region) <= {"dot", "ligand"}
    atoms = dot_atoms(dot)
    assert int(atoms.get_array("formal_charge").sum()) == 0
    assert minimum_distance(atoms) > 2.2


def test_metal_rich_surfaces_hold_no_anion_with_a_missing_metal() -> None:
    dot, _ = passivate(raw("PbS", "sphere", 24.0), surface="metal-rich")
    metal = dot.sites.sublattice == "cation"
    bulk = cKDTree(raw("PbS", "sphere", 24.0).sites.positions[raw("PbS", "sphere", 24.0).sites.sublattice == "cation"])
    assert bulk.query_ball_point(dot.sites.positions[~metal], 3.1, return_length=True).min() == 6
    assert charge_of(dot) > 0


def test_ligand_exchange_turns_one_surface_anion_per_missing_charge() -> None:
    before = raw("PbS", "cube", 5 * 5.936)
    assert charge_of(before) == -2
    dot, changes = passivate(before, ligand="I")
    assert [(c["action"], c["from"], c["to"]) for c in changes] == [("swap", "S", "I")] * 2
    assert len(dot.sites) == len(before.sites)
    away = np.array([change["position_angstrom"] for change in changes])
    assert np.abs(away).max(axis=1) == pytest.approx(2.5 * 5.936, abs=1e-3)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"surface": "shiny"}, "unknown surface"),
        ({"ligand": "S"}, "expected a halide"),
        ({"counter_ion": "MA"}, "halide ligand"),
        ({"ligand": "I", "counter_ion": "Pb"}, "charge of \\+1"),
    ],
)
def test_refusals(wish: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        passivate(raw("PbS", "sphere", 20.0), **wish)


@pytest.mark.parametrize(("ligand", "radius"), [("I", 2.20), ("Cl", 1.81)])
def test_a_ligand_on_one_metal_is_as_far_as_the_radii_of_both_tell(ligand: str, radius: float) -> None:
    """The Pb-S bond of the crystal, a/2, scaled by the sums of the six-coordinate radii: Pb 1.19 Å, S 1.84 Å."""
    dot, _ = passivate(raw("PbS", "sphere", 20.0), surface="metal-rich", ligand=ligand, counter_ion="Cs")
    metals = dot.sites.positions[dot.sites.sublattice == "cation"]
    ligands = dot.sites.positions[(dot.region == "ligand") & (dot.sites.species == ligand)]
    counts = cKDTree(metals).query_ball_point(ligands, 4.2, return_length=True)
    alone = cKDTree(metals).query(ligands[counts == 1])[0]
    assert len(alone) >= 6
    assert alone == pytest.approx(5.936 / 2 * (1.19 + radius) / (1.19 + 1.84), abs=1e-3)
