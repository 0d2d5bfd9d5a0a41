"""Faces that are alike, cuts by their dipole: against spglib, pymatgen's crystals and arithmetic by hand."""

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.spacegroup import crystal as from_space_group

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.slab.slab import build_slab, surface_of
from qdip_struct.builders.slab.stoichiometry import (
    cut_above,
    default_cut,
    equal_faces,
    symmetric_thicknesses,
    termination_name,
    termination_names,
    terminations,
)
from qdip_struct.materials.datasets import get_crystal, list_crystals
from qdip_struct.materials.structure_files import crystal_named

PLANES = [
    *((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)),
    *((1, 1, 1), (1, -1, 0), (1, -1, 1), (2, 1, 0), (1, 0, -1), (2, 0, 1)),
]


def pbi2() -> Atoms:
    """2H-PbI2: I at ±0.2675 c on both sides of Pb, a gap of 0.465 c between the triple layers."""
    cell = [4.557, 4.557, 6.979, 90, 90, 120]
    return Atoms(
        "PbI2", scaled_positions=[[0, 0, 0], [1 / 3, 2 / 3, 0.2675], [2 / 3, 1 / 3, 0.7325]], cell=cell, pbc=True
    )


def rutile() -> Atoms:
    return from_space_group(
        ["Sn", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )


def turned_over_by_spglib(atoms: Atoms) -> bool:
    found = spglib.get_symmetry((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=1e-2)
    return any(rotation[2, 2] == -1 for rotation in found["rotations"])


@pytest.mark.parametrize("crystal", list_crystals(), ids=lambda crystal: f"{crystal.dataset}-{crystal.label}")
def test_symmetric_is_what_spglib_finds_on_the_atoms_of_every_slab(crystal) -> None:
    for plane in PLANES:
        try:
            surface = surface_of(crystal, plane=plane)
        except DataError as error:
            assert "no gap wider" in str(error)
            continue
        per = len(surface.layers)
        for name, top in zip(termination_names(surface), terminations(surface), strict=True):
            promised = {count % per for count in symmetric_thicknesses(surface, top)}
            for layers in sorted({1, per, per + 1, per + 2}):
                built = build_slab(crystal, plane=plane, layers=layers, termination=name)
                said, where = built.report, (plane, name, layers)
                assert said["symmetric"] == turned_over_by_spglib(built.slab), where
                # An operation that turns z over also turns a moment along z over.
                assert not (said["symmetric_sites"] and said["dipolar"]), where
                if layers > per:
                    assert said["symmetric_sites"] == (layers % per in promised), where


@pytest.mark.parametrize("repeat", [(1, 1), (2, 1), (3, 2)])
def test_a_lateral_supercell_has_the_faces_of_its_smallest_cell(repeat) -> None:
    # The faces of zinc blende (100) are carried into each other by a fourfold rotoinversion only.
    for name, plane, layers in (
        ("CdSe:zincblende", (1, 0, 0), 5),
        ("CsPbI3:delta", (1, 0, 0), 4),
        ("PbS", (1, 1, 0), 4),
    ):
        one = build_slab(get_crystal(name), plane=plane, layers=layers).report["symmetric"]
        assert build_slab(get_crystal(name), plane=plane, layers=layers, repeat=repeat).report["symmetric"] == one


def test_a_moved_atom_breaks_equal_faces_and_a_small_shake_does_not() -> None:
    slab = build_slab(get_crystal("CsPbBr3"), layers=5, repeat=(2, 2)).slab
    lateral = slab.cell.array[:2, :2]
    rng = np.random.default_rng(3)
    shaken = slab.positions + rng.uniform(-1, 1, slab.positions.shape) * 0.001
    assert equal_faces(shaken, kinds=slab.numbers, lateral=lateral)
    for atom in (0, 7, len(slab) - 1):
        moved = slab.positions.copy()
        moved[atom, 0] += 0.2
        assert not equal_faces(moved, kinds=slab.numbers, lateral=lateral)
    # A shift of the whole slab in its plane, and other lateral vectors of the same net, change nothing.
    assert equal_faces(
        slab.positions + np.array([1.3, -7.7, 2.0]), kinds=slab.numbers, lateral=np.array([[1, 1], [0, 1]]) @ lateral
    )


def test_the_triple_layer_of_lead_iodide_is_symmetric_and_the_default() -> None:
    built = build_slab(pbi2(), plane=(0, 0, 1), faces="symmetric")
    said = built.report
    assert said["layer_names"] == ["I", "Pb", "I"] and said["excess"] == {} and said["tasker_type"] == 2
    assert said["symmetric"] and not said["polar"] and "without dipole" in said["termination_chosen"]
    surface = surface_of(pbi2(), plane=(0, 0, 1))
    cuts = {termination_name(surface, k): cut_above(surface, k) for k in terminations(surface)}
    # By hand: from Pb to I 0.2675 c, between two triples (1 − 2·0.2675) c.
    c, area = 6.979, 4.557**2 * 3**0.5 / 2
    gaps = sorted(cut.gap_angstrom for cut in cuts.values())
    assert gaps == pytest.approx([0.2675 * c, 0.2675 * c, (1 - 2 * 0.2675) * c])
    # Below Pb at 0 its unit has I at −0.2675 c and at −0.7325 c: Σ q·z = 0.2675 c + 0.7325 c.
    assert cuts["Pb"].dipole_e_per_angstrom == pytest.approx(c / area, abs=1e-6)
    assert {cut.tasker_type for name, cut in cuts.items() if name != said["termination"]} == {3}


def test_four_layers_of_rutile_are_not_symmetric() -> None:
    built = build_slab(rutile(), plane=(1, 1, 0), layers=4)
    assert built.report["dipolar"] and not built.report["symmetric"] and not turned_over_by_spglib(built.slab)
    # O – Sn2O2 – O is the usual unit of rutile (110): three monolayers between bridging oxygen rows.
    three = build_slab(rutile(), plane=(1, 1, 0), layers=3)
    assert three.report["layer_names"] == ["O", "SnO", "O"] and three.report["symmetric"]
    with pytest.raises(UsageError, match="multiple of 3 monolayers plus 3"):
        build_slab(rutile(), plane=(1, 1, 0), layers=4, termination=three.report["termination"], faces="symmetric")


@pytest.mark.parametrize(
    ("name", "plane", "tasker", "polar"),
    [("PbS", (1, 0, 0), 1, False), ("PbS", (1, 1, 1), 3, True), ("CsPbBr3", (1, 0, 0), 1, False),
     ("CsPbBr3", (1, 1, 0), 3, True), ("CdSe:zincblende", (1, 0, 0), 3, True), ("CdSe:wurtzite", (0, 0, 1), 3, True),
     ("CdSe:zincblende", (1, 1, 0), 1, False), ("CdSe:wurtzite", (1, 0, 0), 1, False)],
)  # fmt: skip
def test_planes_have_the_types_of_the_textbook(name, plane, tasker, polar) -> None:
    surface = surface_of(get_crystal(name), plane=plane)
    built = build_slab(get_crystal(name), plane=plane, units=2)
    assert cut_above(surface, default_cut(surface)[0]).tasker_type == built.report["tasker_type"] == tasker
    assert built.report["polar"] == polar


def test_a_contact_is_chosen_below_the_film_as_a_termination_is_above_the_slab() -> None:
    surface = surface_of(pbi2(), plane=(0, 0, 1))
    above, below = default_cut(surface)[0], default_cut(surface, contact=True)[0]
    assert (above + 1) % len(surface.layers) == below
    assert {surface.layers[above].name, surface.layers[below].name} == {"I"}


def test_molecules_and_mixtures_count_as_they_are_written_and_as_sites() -> None:
    tetragonal = get_crystal("MAPbI3:tetragonal")
    whole = build_slab(tetragonal, plane=(1, 1, 0), faces="symmetric").report
    assert whole["symmetric_sites"] and not whole["symmetric"]
    stand_in = build_slab(tetragonal, plane=(1, 1, 0), occupation=Occupation(a_site="Cs")).report
    assert stand_in["symmetric_sites"] and stand_in["symmetric"]
    # Two periods hold the mixture in whole ions, so two AX layers on top of each other differ.
    mixed = build_slab(crystal_named("CsPbBr2.5I0.5"), layers=7, faces="symmetric")
    assert mixed.report["symmetric_sites"] and not mixed.report["symmetric"]
    assert not turned_over_by_spglib(mixed.slab)
