"""Structures from files: named in the usual order, scaled to a lattice constant whatever cell they came in."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.geometry import get_distances

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import (
    conventional_cell,
    lattice_of_structure,
    sites_of_atoms,
    structure_at,
)
from qdip_struct.builders.slab.slab import build_slab
from qdip_struct.materials.datasets import get_crystal, list_crystals


def shuffled(atoms: Atoms, seed: int = 1) -> Atoms:
    return atoms[np.random.default_rng(seed).permutation(len(atoms))]


@pytest.mark.parametrize("crystal", list_crystals(dataset="xrd_298K"), ids=lambda crystal: crystal.label)
def test_a_file_of_a_shipped_crystal_has_its_name_and_its_lattice_constant(crystal) -> None:
    atoms = shuffled(conventional_cell(crystal))
    assert sites_of_atoms(atoms).name == crystal.name
    constant, _ = lattice_of_structure(atoms)
    assert constant == pytest.approx(crystal.a_angstrom, rel=1e-6)
    assert lattice_of_structure(shuffled(atoms.repeat((2, 1, 1))))[0] == pytest.approx(constant, rel=1e-6)


@pytest.mark.parametrize(
    ("symbols", "name"),
    [("TePb", "PbTe"), ("BrCs", "CsBr"), ("Br3CsPb", "CsPbBr3"), ("I2Pb", "PbI2"), ("O2Sn", "SnO2"),
     ("Br6BiAgCs2", "Cs2AgBiBr6"), ("S2BiAg", "AgBiS2"), ("O4Al2Zn", "ZnAl2O4"), ("SSn", "SnS")],
)  # fmt: skip
def test_names_have_the_usual_order_whatever_the_order_of_the_file(symbols, name) -> None:
    n = len(Atoms(symbols))
    atoms = Atoms(symbols, cell=[4.0 * n, 5.0, 6.0], pbc=True)
    atoms.positions[:, 0] = 4.0 * np.arange(n)
    assert sites_of_atoms(atoms).name == name


def test_a_primitive_cell_and_supercells_of_rock_salt_mean_the_cube() -> None:
    cube = bulk("PbS", "rocksalt", a=5.936, cubic=True)
    primitive = bulk("PbS", "rocksalt", a=5.936)
    odd = make_supercell(primitive, [[1, 0, 0], [1, 2, 0], [0, 1, 1]])
    for atoms in (cube, primitive, odd):
        scaled = structure_at(atoms, lattice=6.1, name="a.cif")
        assert scaled.cell.array == pytest.approx(atoms.cell.array * 6.1 / 5.936)
        _, lengths = get_distances(scaled.positions[:1], scaled.positions[1:], cell=scaled.cell, pbc=True)
        assert lengths.min() == pytest.approx(6.1 / 2)
    report = build_slab(structure_at(primitive, lattice=6.1, name="a.cif"), plane=(1, 1, 1)).report
    assert "5.9360 to 6.1000" in report["source"]
    with pytest.raises(UsageError, match=r"a\.cif.*5\.9360"):
        structure_at(cube, lattice=11.9, name="a.cif")


def test_molecules_stay_rigid_when_a_crystal_is_scaled() -> None:
    atoms = conventional_cell(get_crystal("MAPbI3:cubic"))
    atoms.wrap()
    scaled = structure_at(atoms, lattice=6.5, name="a.cif")
    a = get_crystal("MAPbI3:cubic").lengths[0]
    assert scaled.cell.volume == pytest.approx(6.5**3) and a != 6.5

    def lengths(one: Atoms, pair: str) -> np.ndarray:
        which = [[k for k, s in enumerate(one.get_chemical_symbols()) if s == name] for name in pair.split("-")]
        _, found = get_distances(one.positions[which[0]], one.positions[which[1]], cell=one.cell, pbc=True)
        return np.sort(found.ravel())

    for pair in ("C-N", "N-H", "C-H"):
        assert lengths(scaled, pair) == pytest.approx(lengths(atoms, pair), abs=1e-9)
    assert lengths(scaled, "Pb-I") == pytest.approx(lengths(atoms, "Pb-I") * 6.5 / a)
