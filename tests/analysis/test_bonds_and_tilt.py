"""Bonds, displacements and octahedral tilts of structures where they are known."""

import numpy as np
import pytest
from ase import Atoms
from known_strain import A_DOT, A_MATRIX, cubic_perovskite, rock_salt
from scipy.spatial.transform import Rotation

from qdip_struct.analysis.strain.bonds import displacements, find_bonds, octahedral_tilts
from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite
from qdip_struct.base.errors import MismatchError


@pytest.mark.parametrize("n", [1, 2, (1, 2, 3)])
def test_every_bond_of_a_crystal_is_found_in_thin_cells_too(n):
    for atoms, length, kind in ((rock_salt(n), A_DOT / 2, "Pb-S"), (cubic_perovskite(n), A_MATRIX / 2, "Pb-I")):
        bonds = find_bonds(atoms)
        lead = np.asarray(atoms.get_chemical_symbols()) == "Pb"
        assert (bonds.coordination()[lead] == 6).all()
        assert bonds.lengths == pytest.approx(length)
        summary = bonds.summary(np.asarray(atoms.get_chemical_symbols()))
        assert summary[kind]["n"] == 6 * lead.sum()
        assert bonds.mean_length()[lead] == pytest.approx(length)
    assert np.isnan(find_bonds(cubic_perovskite(1)).mean_length()[-1])


def test_displacements_take_the_nearest_image_and_drop_the_drift():
    start = rock_salt(2)
    moved = start.copy()
    moved.positions += [0.3, 0, 0]
    moved.positions[0] += [0, 0.2, 0]
    moved.wrap()
    found = displacements(moved, start=start)
    assert found[0, 1] - found[1, 1] == pytest.approx(0.2)
    assert np.abs(found.mean(axis=0)).max() < 1e-12
    with pytest.raises(MismatchError, match="same atoms"):
        displacements(moved, start=rock_salt(1))
    with pytest.raises(MismatchError, match="cell"):
        displacements(moved, start=Atoms(start, cell=start.cell.array * 1.1, pbc=True))


def tilted(angle, *, in_phase):
    """A 2×2×2 perovskite whose octahedra turn about z by ±angle, checkerboard in the plane."""
    atoms = cubic_perovskite(2)
    symbols = np.asarray(atoms.get_chemical_symbols())
    tangent = np.tan(np.radians(angle)) * A_MATRIX / 2
    for index in np.flatnonzero(symbols == "I"):
        site = np.rint(atoms.positions[index] / A_MATRIX * 2).astype(int)
        along = np.flatnonzero(site % 2)[0]
        if along == 2:
            continue
        corner = (site - (np.arange(3) == along)) // 2
        sign = (-1) ** (corner[0] + corner[1] + (0 if in_phase else corner[2]))
        atoms.positions[index] += np.cross([0, 0, 1], np.eye(3)[along]) * tangent * sign
    return atoms


@pytest.mark.parametrize("in_phase", [True, False])
@pytest.mark.parametrize("angle", [0.5, 7.0, 14.0])
def test_glazer_tilts_are_recovered(angle, in_phase):
    atoms = tilted(angle, in_phase=in_phase)
    references = {"CsPbI3": perovskite("CsPbI3", A_MATRIX)}
    strain = strain_map(atoms, phases=find_phases(atoms).labels, references=references)
    assert np.abs(strain.mean()).max() < 1e-12
    tilts = octahedral_tilts(atoms, strain)
    assert len(tilts.sites) == 8
    # Four bonds turn by the angle, the two along the axis not at all: the least-squares rotation is the angle itself.
    assert np.abs(tilts.angles[:, 2]) == pytest.approx(angle, rel=1e-6)
    assert np.abs(tilts.angles[:, :2]).max() < 1e-9
    assert tilts.phase_factor[2] == pytest.approx([-1, -1, 1 if in_phase else -1])
    assert np.isnan(tilts.phase_factor[0]).all()


def test_a_turned_crystal_is_not_tilted_and_no_perovskite_means_no_tilt():
    atoms = tilted(7.0, in_phase=True)
    turn = Rotation.from_rotvec([0.0, 0.0, np.radians(40.0)]).as_matrix()
    atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    references = {"CsPbI3": perovskite("CsPbI3", A_MATRIX)}
    strain = strain_map(atoms, phases=find_phases(atoms).labels, references=references)
    tilts = octahedral_tilts(atoms, strain)
    assert np.abs(np.abs(tilts.angles[:, 2]) - 7.0).max() < 1e-6
    from qdip_struct.analysis.strain.sublattice import rocksalt

    salt = rock_salt(2)
    none = strain_map(salt, phases=find_phases(salt).labels, references={"PbS": rocksalt("PbS", A_DOT)})
    assert len(octahedral_tilts(salt, none).sites) == 0
