"""Making room: contacts kept, molecules whole, sites counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.builders.atoms.orientation import about
from qdip_struct.builders.atoms.regions import FLOOR, contact_limit, too_close
from qdip_struct.builders.dot.dot import cut_dot, dot_atoms
from qdip_struct.builders.dot.embed import cavity_by_hull, continues_parent, crowded
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.matrix import centre_in, matrix_of
from qdip_struct.materials.ions import CONTACT_RADII_ANGSTROM
from qdip_struct.materials.structure_files import crystal_named

IONS = [name for name in CONTACT_RADII_ANGSTROM if name not in ("H", "C", "N")]
PBC = np.ones(3, dtype=bool)


@given(one=st.sampled_from(list(CONTACT_RADII_ANGSTROM)), other=st.sampled_from(list(CONTACT_RADII_ANGSTROM)))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_limits_are_symmetric_and_never_below_the_floor(one: str, other: str) -> None:
    assert contact_limit(one, other) == contact_limit(other, one) >= FLOOR


@pytest.mark.parametrize("name", ["PbS", "PbSe", "NaI", "CsPbI3", "CsPbBr3", "CdSe:zincblende", "CdSe:wurtzite"])
def test_limits_leave_every_crystal_alone(name: str) -> None:
    """A perfect crystal has no pair that would count as too close, so a coherent border has none either."""
    atoms = matrix_of(crystal_named(name), cells=(2, 2, 2), occupation=Occupation(a_site="Cs")).atoms
    first, second, distance = neighbour_pairs(
        atoms.positions, targets=atoms.positions, cell=atoms.cell.array, pbc=PBC, cutoff=4.5
    )
    symbols = np.array(atoms.get_chemical_symbols())
    apart = distance > 1e-6
    limits = np.array([contact_limit(a, b) for a, b in zip(symbols[first[apart]], symbols[second[apart]], strict=True)])
    assert np.all(distance[apart] >= limits)


def test_an_ion_without_radius_is_refused() -> None:
    with pytest.raises(UsageError, match="Xe"):
        contact_limit("Xe", "Pb")


def test_too_close_sees_periodic_images() -> None:
    found = too_close(
        np.array([[0.2, 5.0, 5.0], [5.0, 5.0, 5.0]]), numbers=np.array([53, 53]), targets=np.array([[9.8, 5.0, 5.0]]),
        target_numbers=np.array([82]), cell=np.eye(3) * 10.0, pbc=PBC,
    )  # fmt: skip
    assert found.tolist() == [True, False]


@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    matrix=st.sampled_from([("MAPbI3:tetragonal", (4, 4, 3)), ("CsPbBr3", (6, 6, 6)), ("MAPbBr3", (6, 6, 6))]),
    degrees=st.floats(0, 180),
    axis=st.sampled_from([(1, 0, 0), (1, 1, 1), (2, 1, 0)]),
    size=st.floats(10.0, 20.0),
)
def test_what_stays_keeps_its_distance_and_its_molecules(
    matrix: tuple, degrees: float, axis: tuple, size: float
) -> None:
    supercell = matrix_of(crystal_named(matrix[0]), cells=matrix[1])
    dot = dot_atoms(cut_dot(crystal_named("CdSe:zincblende"), form=DotForm("sphere", diameter=size)))
    centre = centre_in(supercell, center="metal", fraction=(0.5, 0.5, 0.5))
    dot.positions = dot.positions @ about(axis, degrees=degrees).T + centre
    gone = cavity_by_hull(dot, matrix=supercell, centre=centre)
    gone |= crowded(dot, matrix=supercell, centre=centre, among=~gone)
    stays = ~gone[supercell.site_of_atom]
    rest = supercell.atoms[stays]
    first, second, distance = neighbour_pairs(
        rest.positions, targets=dot.positions, cell=supercell.cell, pbc=PBC, cutoff=4.0
    )
    ours, theirs = (np.array(part.get_chemical_symbols()) for part in (rest, dot))
    limits = np.array([contact_limit(a, b) for a, b in zip(ours[first], theirs[second], strict=True)])
    assert np.all(distance >= limits - 1e-5)
    molecule = rest.get_array("molecule")
    assert set(np.unique(molecule[molecule >= 0], return_counts=True)[1].tolist()) <= {8}
    assert 0 < gone.sum() < 0.5 * len(gone)


def test_a_site_inside_the_hull_leaves_even_when_nothing_touches_it() -> None:
    supercell = matrix_of(crystal_named("CsPbI3", lattice=6.325), cells=(6, 6, 6))
    shell_only = dot_atoms(cut_dot(crystal_named("PbS"), form=DotForm("sphere", diameter=24.0)))
    shell_only = shell_only[np.linalg.norm(shell_only.positions, axis=1) > 9.0]
    centre = centre_in(supercell, center="metal", fraction=(0.5, 0.5, 0.5))
    shell_only.positions += centre
    gone = cavity_by_hull(shell_only, matrix=supercell, centre=centre)
    inner = np.linalg.norm(supercell.sites.positions - centre, axis=1) < 7.0
    assert gone[inner].all()


@pytest.mark.parametrize(
    ("center", "axis", "degrees", "expected"),
    [
        ("metal", (0, 0, 1), 90, True),
        ("a-site", (1, 1, 1), 120, True),
        ("metal", (0, 0, 1), 45, False),
        ("anion", (0, 0, 1), 90, False),
        ("anion", (1, 0, 0), 90, True),
        ("bond", (0, 0, 1), 90, False),
    ],
)
def test_which_rotations_keep_the_parent_lattice(center: str, axis: tuple, degrees: float, expected: bool) -> None:
    supercell = matrix_of(crystal_named("CsPbI3"), cells=(6, 6, 6))
    dot = cut_dot(crystal_named("PbS"), form=DotForm("sphere", diameter=20.0, center=center, termination="BX2"))
    assert continues_parent(dot, matrix=supercell, rotation=about(axis, degrees=degrees)) is expected


def test_centres_of_a_tilted_matrix_are_its_own_sites() -> None:
    supercell = matrix_of(crystal_named("MAPbI3:tetragonal"), cells=(4, 4, 3))
    for center, label in (("metal", "B"), ("anion", "X"), ("a-site", "A")):
        point = centre_in(supercell, center=center, fraction=(0.5, 0.5, 0.5))
        sites = supercell.sites.positions[supercell.sites.sublattice == label]
        assert np.linalg.norm(sites - point, axis=1).min() < 1e-9
    with pytest.raises(UsageError, match="no A site"):
        centre_in(
            matrix_of(crystal_named("CdSe:zincblende"), cells=(2, 2, 2)), center="a-site", fraction=(0.5, 0.5, 0.5)
        )
