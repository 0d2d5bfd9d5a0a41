"""Ionic radii against the published table that pymatgen carries."""

import pytest

from qdip_struct.builders.atoms.regions import FORMAL_CHARGES, IONIC_RADII_ANGSTROM


@pytest.mark.parametrize("ion", sorted(set(IONIC_RADII_ANGSTROM) - {"Sn"}))
def test_radii_are_those_of_shannon_for_six_neighbours(ion: str) -> None:
    """Sn2+ is not in the table of 1976."""
    core = pytest.importorskip("pymatgen.core")
    assert core.Species(ion, FORMAL_CHARGES[ion]).get_shannon_radius("VI") == IONIC_RADII_ANGSTROM[ion]
