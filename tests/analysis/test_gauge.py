"""Line gauge: Ning's numbers, rows in periodic cells, directions."""

import numpy as np
import pytest
from known_strain import A_DOT, A_MATRIX, cubic_perovskite, rock_salt

from qdip_struct.analysis.strain.gauge import lines, parse_directions
from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import perovskite, rocksalt
from qdip_struct.base.errors import UsageError

REFERENCES = {"PbS": rocksalt("PbS", A_DOT), "CsPbI3": perovskite("CsPbI3", A_MATRIX)}


def lines_of(atoms, references=REFERENCES, **options):
    strain = strain_map(atoms, phases=find_phases(atoms).labels, references=references)
    return lines(atoms, strain, **options)


def test_rows_through_the_known_dot(embedded):
    found = {line.phase: line for line in lines_of(embedded.atoms, directions=[(1, 0, 0)])}
    dot = found["PbS"]
    assert dot.n_spacings == 4
    assert dot.length_angstrom == pytest.approx(4 * 1.005 * A_DOT, abs=1e-10)
    assert dot.strain == pytest.approx(0.005, abs=1e-12)
    matrix = found["CsPbI3"]
    assert matrix.n_spacings == 7
    assert matrix.length_angstrom == pytest.approx(7 * A_MATRIX, rel=0.02)


def test_the_published_gauge_is_half_a_percent():
    free, embedded = 23.949 / 4, 24.069 / 4
    assert embedded / free - 1 == pytest.approx(0.00501, abs=1e-5)
    block = rock_salt(5, a=embedded)
    block = block[(block.positions <= 4 * embedded + 1e-6).all(axis=1)]
    block.pbc = False
    line = lines_of(block, {"PbS": rocksalt("PbS", free)}, directions=[(0, 0, 1)])[0]
    assert (line.n_spacings, line.length_angstrom) == (4, pytest.approx(24.069, abs=1e-9))
    assert line.strain == pytest.approx(0.00501, abs=1e-5)


@pytest.mark.parametrize("shift", [0.0, 3.1, -17.0])
def test_closed_rows_are_opened_at_the_cell_wherever_the_atoms_are(shift):
    atoms = cubic_perovskite((8, 2, 1))
    atoms.positions += [shift, shift / 2, 0]
    along = {line.direction: line for line in lines_of(atoms)}
    assert along[(1, 0, 0)].n_spacings == 7
    assert along[(1, 0, 0)].length_angstrom == pytest.approx(7 * A_MATRIX, abs=1e-9)
    assert along[(0, 1, 0)].n_spacings == 1
    assert (0, 0, 1) not in along


def test_oblique_directions_and_those_without_a_row():
    found = lines_of(rock_salt(3), directions=[(1, 1, 0), (1, 1, 1), (0.3, 1, 0)])
    by_direction = {line.direction: line for line in found}
    assert by_direction[(1, 1, 0)].lattice_angstrom == pytest.approx(A_DOT)
    assert (0.3, 1, 0) not in by_direction
    assert np.isclose(by_direction[(1, 1, 1)].lattice_angstrom, A_DOT)


def test_directions_are_read_or_refused():
    assert parse_directions("x,z") == [(1, 0, 0), (0, 0, 1)]
    assert parse_directions("1,1,0") == [(1, 1, 0)]
    for bad in ("", "w", "1,2", "0,0,0", "1,nan,0"):
        with pytest.raises(UsageError, match="line"):
            parse_directions(bad)


def test_every_row_of_an_open_block_is_followed_to_both_ends():
    block = rock_salt(5)
    block = block[(block.positions <= 4 * A_DOT + 1e-6).all(axis=1)]
    block.pbc = False
    for line in lines_of(block, directions=[(1, 0, 0), (0, 1, 0), (0, 0, 1)]):
        # Corner and face-centre rows: 5 x 5 and 4 x 4 of them begin and end on the faces of the block.
        assert (line.n_spacings, line.n_rows) == (4, 5 * 5 + 4 * 4)
        assert line.std_lattice_angstrom == pytest.approx(0.0, abs=1e-9)
    diagonal = lines_of(block, directions=[(1, 1, 0)])[0]
    # Eight steps of a/2 lie on the diagonals of the five (001) layers of corner cations alone.
    assert (diagonal.n_spacings, diagonal.n_rows) == (8, 5)
    assert diagonal.length_angstrom == pytest.approx(4 * 2**0.5 * A_DOT)
