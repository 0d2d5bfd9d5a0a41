"""The summary of a trajectory: means over all frames, everything that has a place from the last one."""

import numpy as np
import pytest
from known_strain import A_DOT, rock_salt

from qdip_struct.analysis.strain.strain_summary import summarise


def test_regions_are_means_over_frames_and_lines_are_of_the_last_frame():
    frames = [rock_salt(3, a=A_DOT * (1 + strain)) for strain in (0.0, 0.01, 0.05)]
    summary = summarise(frames, lattices={"PbS": A_DOT})
    assert summary.n_frames == 3
    assert summary.regions["dot"].mean == pytest.approx(0.02, abs=1e-9)
    # (0, 0.01, 0.05) scatter by 0.02646 (n - 1), so their mean is known to 0.01528.
    assert summary.regions["dot"].stderr == pytest.approx(0.0152753, abs=1e-7)
    assert np.array_equal(summary.atoms.positions, frames[-1].positions)
    assert summary.lines
    for line in summary.lines:
        assert line.lattice_angstrom == pytest.approx(1.05 * A_DOT)
        assert line.strain == pytest.approx(0.05)
