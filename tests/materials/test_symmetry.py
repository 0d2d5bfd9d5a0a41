"""Symmetry within a tolerance against spglib at a far smaller one: noise × crystal × supercell."""

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.io import write

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation, conventional, conventional_cell, crystal_to_cut, material_of
from qdip_struct.builders.slab.slab import build_slab
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import as_crystal, read_structure
from qdip_struct.materials.symmetry import reduced, symmetrised

CRYSTALS = {
    "PbS": 225, "CdS:wurtzite": 186, "CsPbBr3:cubic": 221, "CsPbBr3:gamma": 62, "CsPbI3:delta": 62,
    "CdSe:zincblende": 216,
}  # fmt: skip
"""Space groups by International Tables."""
REPEATS = ((1, 1, 1), (2, 2, 2), (3, 2, 1))
NOISE = ((1e-3, 0.01), (0.03, 0.1))
"""Amplitude along each axis, and the tolerance, Å."""


def _noisy(name: str, repeat: tuple[int, int, int], amplitude: float, *, seed: int = 0) -> Atoms:
    atoms = conventional_cell(get_crystal(name)).repeat(repeat)
    draw = np.random.default_rng(seed)
    atoms.positions += draw.uniform(-amplitude, amplitude, atoms.positions.shape)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + draw.uniform(-1, 1, (3, 3)) * amplitude / 20), scale_atoms=True)
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)


def _group(cell, positions, numbers, symprec: float = 1e-5) -> int:
    return spglib.get_symmetry_dataset((cell, positions, numbers), symprec=symprec).number


@pytest.mark.parametrize(("amplitude", "symprec"), NOISE)
@pytest.mark.parametrize("repeat", REPEATS)
@pytest.mark.parametrize("name", CRYSTALS)
def test_noise_leaves_a_crystal_its_space_group(
    name: str, repeat: tuple[int, int, int], amplitude: float, symprec: float
) -> None:
    for seed in range(3):
        atoms = _noisy(name, repeat, amplitude, seed=seed)
        cell, places, moved = symmetrised(
            atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, symprec=symprec
        )
        assert _group(cell, places, atoms.numbers) == CRYSTALS[name]
        assert 0.0 < moved < 2.5 * amplitude * 3**0.5
        assert np.abs(cell - atoms.cell.array).max() < amplitude * max(repeat)
        small, fewer, kept, counts = reduced(cell, places, atoms.numbers, symprec=symprec)
        assert counts == repeat and len(kept) * np.prod(repeat) == len(atoms)
        assert _group(small, fewer, atoms.numbers[kept]) == CRYSTALS[name]


def test_a_symmetric_structure_is_given_back_as_it_is() -> None:
    for name in CRYSTALS:
        atoms = conventional_cell(get_crystal(name))
        cell, places, moved = symmetrised(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, symprec=0.01)
        assert moved == 0.0
        assert (cell == atoms.cell.array).all() and (places == atoms.get_scaled_positions()).all()


def test_a_turned_cell_stays_turned() -> None:
    atoms = _noisy("CsPbBr3:gamma", (1, 1, 1), 1e-3)
    atoms.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    cell, places, _ = symmetrised(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, symprec=0.01)
    assert np.abs(cell - atoms.cell.array).max() < 1e-3
    apart = (places - atoms.get_scaled_positions() + 0.5) % 1.0 - 0.5
    assert np.abs(apart @ cell).max() < 4e-3


def test_a_distortion_beyond_the_tolerance_stays() -> None:
    atoms = conventional_cell(get_crystal("CsPbBr3:cubic"))
    lead = atoms.symbols.search("Pb")[0]
    atoms.positions[lead, 2] += 0.05
    cell, places, _ = symmetrised(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, symprec=0.01)
    assert _group(cell, places, atoms.numbers, 1e-3) == 99  # P4mm, the ferroelectric one
    assert (places @ cell)[lead, 2] - atoms.positions[lead, 2] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("amplitude", "symprec"), NOISE)
def test_a_noisy_prototype_is_recognised_in_any_cell(amplitude: float, symprec: float, tmp_path) -> None:
    path = tmp_path / "POSCAR"
    for name, kind in (("PbS", "rocksalt"), ("CsPbBr3:cubic", "perovskite"), ("CdSe:zincblende", "zincblende")):
        for repeat in REPEATS:
            write(path, _noisy(name, repeat, amplitude), format="vasp", sort=True)
            crystal = crystal_to_cut(str(path), symprec=symprec)
            assert crystal.structure_type == kind
            assert crystal.a_angstrom == pytest.approx(get_crystal(name).a_angstrom, abs=amplitude)
            assert any("sites moved" in told for told in crystal.warnings)
        write(path, _noisy(name, (1, 1, 1), amplitude), format="vasp", sort=True)
        assert as_crystal(read_structure(path), path=path, symprec=symprec).structure_type == kind


@pytest.mark.parametrize(("amplitude", "symprec"), NOISE)
@pytest.mark.parametrize(("name", "plane"), [("PbS", (1, 1, 0)), ("CsPbBr3:gamma", (0, 0, 1)), ("PbS", (1, 1, 1))])
def test_the_slab_of_a_noisy_crystal_is_that_of_the_crystal(
    name: str, plane: tuple[int, int, int], amplitude: float, symprec: float, tmp_path
) -> None:
    path = tmp_path / "POSCAR"
    write(path, conventional_cell(get_crystal(name)), format="vasp", sort=True)
    clean = build_slab(material_of(str(path)), plane=plane, layers=4)
    write(path, _noisy(name, (1, 1, 1), amplitude), format="vasp", sort=True)
    noisy = build_slab(material_of(str(path), symprec=symprec), plane=plane, layers=4)
    for key in ("symmetric", "termination", "tasker_type", "n_atoms", "composition", "dipolar"):
        assert noisy.report[key] == clean.report[key], key
    cell, places = noisy.slab.cell.array, noisy.slab.get_scaled_positions()
    turns = spglib.get_symmetry((cell, places, noisy.slab.numbers), symprec=1e-4)["rotations"]
    assert any(turn[2, 2] == -1 for turn in turns) == noisy.report["symmetric"]


def test_a_supercell_with_molecules_is_one_cell_where_it_repeats(tmp_path) -> None:
    path = tmp_path / "POSCAR"
    unit = conventional_cell(get_crystal("MAPbI3:tetragonal"), occupation=Occupation(orientation="parallel"))
    write(path, unit.repeat((2, 2, 2)), format="vasp", sort=True)
    crystal = crystal_to_cut(str(path))
    assert sum(len(site.atoms) or 1 for site in crystal.sites) == len(unit)
    assert crystal.lengths == pytest.approx(tuple(unit.cell.lengths()), abs=1e-6)
    assert any("2×2×2 equal cells" in told for told in crystal.warnings)


def test_a_supercell_whose_molecules_differ_is_kept_and_said(tmp_path) -> None:
    path = tmp_path / "POSCAR"
    # The ferroelectric shift leaves the frame one cell in a row of two.
    atoms = conventional_cell(get_crystal("MAPbBr3")).repeat((2, 1, 1))
    half = [n for n, atom in enumerate(atoms) if atom.symbol in "CNH" and atom.position[0] > atoms.cell[0, 0] / 2]
    some = atoms[half]
    some.rotate(90.0, (0.0, 0.0, 1.0), center=some.positions.mean(axis=0))
    atoms.positions[half] = some.positions
    write(path, atoms, format="vasp", sort=True)
    crystal = conventional(read_structure(path), path=path)
    assert sum(len(site.atoms) or 1 for site in crystal.sites) == len(atoms)
    assert any("molecules differ from cell to cell" in told for told in crystal.warnings)


@pytest.mark.parametrize("symprec", [0.0, -0.1, 0.7, float("nan")])
def test_a_tolerance_that_means_nothing_is_refused(symprec: float, tmp_path) -> None:
    write(tmp_path / "POSCAR", conventional_cell(get_crystal("PbS")), format="vasp", sort=True)
    with pytest.raises(UsageError, match="symmetry tolerance"):
        crystal_to_cut(str(tmp_path / "POSCAR"), symprec=symprec)
