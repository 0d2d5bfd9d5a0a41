"""What builders must keep when their input is empty, tilted, off by a little, or not a number."""

import doctest
from types import ModuleType

import numpy as np
import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.builders.atoms.cells import conventional_cell, sites_of_atoms
from qdip_struct.builders.atoms.neighbours import nearest_neighbour
from qdip_struct.builders.atoms.regions import contact_limit
from qdip_struct.builders.dot import embed
from qdip_struct.builders.dot.attach import attach_dot, surface_slab
from qdip_struct.builders.dot.dot import cut_dot, dot_atoms
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.parent import CENTERS
from qdip_struct.builders.dot.passivation import passivate
from qdip_struct.builders.dot.shapes import make_shape
from qdip_struct.builders.interface import interface
from qdip_struct.builders.interface.interface import build_interface
from qdip_struct.builders.interface.interface_options import LateralCell, imposed_cell
from qdip_struct.builders.interface.registry import radii_of
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.ions import CONTACT_RADII_ANGSTROM
from qdip_struct.materials.structure_files import crystal_named

PBC = np.array([True, True, True])


@pytest.mark.parametrize("module", [embed, interface], ids=lambda module: module.__name__)
def test_the_examples_of_the_documentation_run(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_has_no_neighbour(n: int, m: int) -> None:
    distance, number = nearest_neighbour(
        np.zeros((n, 3)), targets=np.ones((m, 3)), cell=np.eye(3) * 9, pbc=PBC, cutoff=4.0
    )
    assert distance.tolist() == [np.inf] * n
    assert number.tolist() == [-1] * n


@pytest.mark.parametrize("where", ["positions", "cell"])
def test_a_structure_with_a_number_that_is_none_is_refused(where: str) -> None:
    atoms = conventional_cell(get_crystal("CsPbBr3"))
    if where == "positions":
        atoms.positions[2, 1] = np.nan
    else:
        atoms.cell[0, 1] = np.inf
    with np.errstate(all="ignore"), pytest.raises(DataError):
        sites_of_atoms(atoms)


def test_a_box_a_little_over_whole_lattice_constants_gets_whole_ones() -> None:
    a = get_crystal("PbS").a_angstrom
    edges = (2 * a + 0.08, 3 * a + 0.08, 2 * a + 0.08)
    dot = cut_dot(crystal_named("PbS"), form=DotForm(make_shape("cuboid", edges=edges)))
    assert np.ptp(dot.sites.positions, axis=0) == pytest.approx([2 * a, 3 * a, 2 * a])


@pytest.mark.parametrize("center", [name for name in CENTERS if name.startswith(("anion", "metal", "a-site"))])
def test_the_centre_holds_the_ion_it_is_named_after(center: str) -> None:
    dot = cut_dot(crystal_named("PbS"), form=DotForm("sphere", diameter=14.0, center=center))
    middle = np.linalg.norm(dot.sites.positions, axis=1) < 1e-6
    assert dot.sites.species[middle].tolist() == ["Pb" if center.startswith("metal") else "S"]


def test_the_gap_of_an_attached_dot_is_from_the_highest_atom_of_the_slab() -> None:
    dot, _ = passivate(cut_dot(crystal_named("PbS"), form=DotForm("cube", diameter=11.872)), surface="stoichiometric")
    slab = surface_slab(crystal_named("MAPbBr3"), cells=(5, 5, 2), top="AX")
    built = attach_dot(dot, slab, gap=3.4)
    inside = built.atoms.get_array("dot") >= 0
    high = built.atoms.positions[~inside & (built.atoms.get_array("formal_charge") != 0), 2].max()
    assert built.atoms.positions[inside, 2].min() - high == pytest.approx(built.report["gap_angstrom"], abs=1.0)
    charged = built.atoms.positions[~inside, 2]
    assert built.atoms.positions[inside, 2].min() > np.sort(charged)[-40]


def test_the_lateral_cell_chosen_by_itself_is_cube_on_cube() -> None:
    """Of the cells of the smallest area the one in which both cation nets agree: <100> of the film along <100>."""
    for name in ("CsPbBr3", "CsPbI3", "NaI"):
        built = build_interface(get_crystal("PbS"), get_crystal(name), cell=LateralCell(repeat=(1, 1)))
        film, substrate = (np.array(built.report[f"{part}_uvw"]) for part in ("film", "substrate"))
        for one, other in zip(film, substrate, strict=True):
            one, other = np.sort(np.abs(one)), np.sort(np.abs(other))
            cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
            assert cosine == pytest.approx(1.0), (name, film, substrate)


def test_radii_of_both_purposes_agree_where_an_ion_has_one() -> None:
    ions = [name for name in CONTACT_RADII_ANGSTROM if name not in ("H", "C", "N", "P", "As")]
    assert radii_of(ions) == pytest.approx([CONTACT_RADII_ANGSTROM[name] for name in ions])
    # Distances in crystals, halves of lattice constants: the sums of radii are near them.
    for cation, anion, distance in (("Pb", "S", 2.968), ("Pb", "Se", 3.062), ("Na", "I", 3.237), ("Cd", "Se", 2.63)):
        limit = contact_limit(cation, anion)
        assert 0.80 * distance < limit < distance, (cation, anion)


@pytest.mark.parametrize(("angle", "area"), [(90.0, 30.0), (60.0, 30.0 * 3**0.5 / 2), (120.0, 30.0 * 3**0.5 / 2)])
def test_an_imposed_cell_has_its_edges_and_its_angle(angle: float, area: float) -> None:
    a, b = imposed_cell((5.0, 6.0, angle))
    assert (np.linalg.norm(a), np.linalg.norm(b)) == pytest.approx((5.0, 6.0))
    assert np.degrees(np.arccos(a @ b / 30.0)) == pytest.approx(angle)
    assert a[0] * b[1] - a[1] * b[0] == pytest.approx(area)


def test_a_dot_keeps_its_atoms_whatever_the_seed_of_its_mixed_sites() -> None:
    counts = set()
    for seed in range(3):
        dot = dot_atoms(cut_dot(crystal_named("PbS0.5Se0.5"), form=DotForm("sphere", diameter=16.0), seed=seed))
        symbols = dot.get_chemical_symbols()
        counts.add((len(dot), symbols.count("S"), symbols.count("Se")))
    assert len(counts) == 1
