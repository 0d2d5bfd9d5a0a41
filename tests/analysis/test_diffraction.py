"""Diffraction: extinction rules, the 60° of the papers, invariance, a Fourier transform of a real image."""

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.analysis.diffraction.diffraction import (
    largest_angle,
    powder_pattern,
    spot_angle,
    zone_spots,
)
from qdip_struct.base.errors import UsageError

A = 5.936


def rock_salt(a=A):
    return bulk("PbS", "rocksalt", a=a, cubic=True)


def perovskite(a=6.29):
    places = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]]
    return Atoms("PbI3Cs", scaled_positions=places, cell=[a] * 3, pbc=True)


def dot(radius=12.0, box=9):
    """A sphere of PbS in a larger box; the lattice stays that of the box."""
    atoms = rock_salt().repeat(box)
    inside = np.linalg.norm(atoms.positions - atoms.cell.array.sum(axis=0) / 2, axis=1) <= radius
    return atoms[inside]


def has(spots, spacing, tolerance=0.1):
    return any(abs(spot.spacing_angstrom - spacing) <= tolerance for spot in spots)


def test_rock_salt_along_111_shows_022_at_sixty_degrees():
    """Ning et al. 2015 (10.1038/nature14563), Fig. 2: (022) and (202), 2.1 Å."""
    spots = zone_spots(rock_salt(), zone=(1, 1, -1))
    assert {spot.hkl for spot in spots} == {(0, 2, 2), (2, 0, 2), (2, -2, 0)}
    for one, other in combinations(spots, 2):
        assert spot_angle(one, other) == pytest.approx(60.0, abs=1e-6)
    assert spots[0].spacing_angstrom == pytest.approx(A / np.sqrt(8))
    assert spots[0].strength == pytest.approx(1.0)


def test_the_011_fringe_belongs_to_the_perovskite():
    assert not has(zone_spots(rock_salt(), zone=(1, 1, 1)), A / np.sqrt(2))
    spots = zone_spots(perovskite(), zone=(1, 1, 1))
    found = [spot for spot in spots if abs(spot.spacing_angstrom - 6.29 / np.sqrt(2)) < 1e-6]
    assert len(found) == 3
    assert spot_angle(found[0], found[1]) == pytest.approx(60.0)
    assert found[0].strength == pytest.approx((82 + 55 - 53) ** 2 / (82 + 55 + 3 * 53) ** 2)


def test_a_bare_dot_shows_its_022_spots_and_nothing_else():
    spots = zone_spots(dot(), zone=(1, 1, 1))
    assert len(spots) == 3
    for spot in spots:
        assert spot.spacing_angstrom == pytest.approx(A / np.sqrt(8), abs=0.05)
    assert not has(spots, A / np.sqrt(2), tolerance=0.5)
    for one, other in combinations(spots, 2):
        assert spot_angle(one, other) == pytest.approx(60.0, abs=1.5)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    shift=st.tuples(*(st.floats(-20, 20) for _ in range(3))), zone=st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1)])
)
def test_the_origin_does_not_matter(shift, zone):
    atoms = perovskite()
    moved = atoms.copy()
    moved.positions += shift
    one, other = zone_spots(atoms, zone=zone), zone_spots(moved, zone=zone)
    assert [spot.hkl for spot in one] == [spot.hkl for spot in other]
    np.testing.assert_allclose([s.strength for s in one], [s.strength for s in other], rtol=1e-6)


def test_a_supercell_shows_the_same_spots():
    one = zone_spots(perovskite(), zone=(1, 0, 0))
    large = zone_spots(perovskite().repeat((2, 3, 1)), zone=(1, 0, 0))
    assert {(s.hkl[0] * 2, s.hkl[1] * 3, s.hkl[2]) for s in one} == {s.hkl for s in large}
    np.testing.assert_allclose(sorted(s.strength for s in one), sorted(s.strength for s in large), rtol=1e-9)


def test_a_rotated_crystal_has_the_same_angles():
    atoms = perovskite()
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    one, other = zone_spots(atoms, zone=(1, 1, 0)), zone_spots(turned, zone=(1, 1, 0))
    for left, right in zip(one, other, strict=True):
        assert left.hkl == right.hkl
        assert (left.azimuth_degree - right.azimuth_degree + 1) % 180 == pytest.approx(1.0, abs=1e-6)


def test_spots_are_the_fourier_transform_of_a_projected_image():
    """Atoms on the pixels of an image, seen along c: numpy's transform of the picture gives the same strengths."""
    rng = np.random.default_rng(7)
    n = 24
    places = np.column_stack([rng.integers(0, n, 30) / n, rng.integers(0, n, 30) / n, rng.random(30)])
    atoms = Atoms("Pb10S10I10", scaled_positions=places, cell=[7.2, 7.2, 9.0], pbc=True)
    image = np.zeros((n, n))
    np.add.at(image, tuple(np.rint(places[:, :2] * n).astype(int).T), atoms.numbers)
    power = np.abs(np.fft.fft2(image)) ** 2 / atoms.numbers.sum() ** 2
    spots = zone_spots(atoms, zone=(0, 0, 1), weakest=0.01)
    assert len(spots) > 20
    for spot in spots:
        assert spot.strength == pytest.approx(power[spot.hkl[0] % n, spot.hkl[1] % n], rel=1e-9)


def test_every_spot_obeys_the_zone_law():
    for zone in ((2, 0, 1), (1, -1, 0), (3, 1, -2), (0, 0, 2)):
        for spot in zone_spots(perovskite(), zone=zone):
            assert np.dot(spot.hkl, zone) == 0


def test_powder_lines_of_lead_sulfide_against_bragg():
    lines = powder_pattern(rock_salt(), wavelength=1.54184, two_theta_max=60)
    for line in lines:
        assert line.spacing_angstrom == pytest.approx(A / np.linalg.norm(line.hkl), rel=1e-6)
        assert 2 * line.spacing_angstrom * np.sin(np.radians(line.two_theta_degree / 2)) == pytest.approx(1.54184)
        assert len({index % 2 for index in line.hkl}) == 1
    assert max(lines, key=lambda line: line.intensity).spacing_angstrom == pytest.approx(A / 2)
    assert max(line.intensity for line in lines) == pytest.approx(100.0)


def test_powder_lines_do_not_know_the_choice_of_cell():
    one, other = (
        {round(line.two_theta_degree, 4): line.intensity for line in powder_pattern(atoms) if line.intensity > 1e-3}
        for atoms in (rock_salt(), bulk("PbS", "rocksalt", a=A))
    )
    assert one == pytest.approx(other, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"zone": (0, 0, 0)}, "no direction"),
        ({"zone": (1, 1, 1), "d_min": 0.0}, "spacings"),
        ({"zone": (1, 1, 1), "d_min": float("nan")}, "spacings"),
        ({"zone": (1, 1, 1), "d_min": 5.0, "d_max": 4.0}, "spacings"),
        ({"zone": (1, 1, 1), "weakest": 0.0}, "weakest"),
    ],
)
def test_spots_that_make_no_sense_are_refused(words, message):
    with pytest.raises(UsageError, match=message):
        zone_spots(rock_salt(), **words)


def test_powders_that_make_no_sense_are_refused():
    for wavelength in (0.0, -1.0, float("nan"), 100.0):
        with pytest.raises(UsageError, match="wavelength"):
            powder_pattern(rock_salt(), wavelength=wavelength)
    for angle in (0.0, 181.0, float("nan")):
        with pytest.raises(UsageError, match="2θ"):
            powder_pattern(rock_salt(), two_theta_max=angle)
    with pytest.raises(UsageError, match="three-dimensional cell"):
        powder_pattern(Atoms("Pb"))
    large = rock_salt().repeat(8)
    with pytest.raises(UsageError, match=f"below {largest_angle(large):g}|{largest_angle(large):g}°"):
        powder_pattern(large, two_theta_max=170.0)


def test_rock_salt_along_110_shows_111_and_002_at_their_angles():
    """Zone [1 -1 0]: 111 and 002 make 54.74°, both 111 spots 70.53°; 001 and 110 are extinct."""
    spots = {spot.hkl: spot for spot in zone_spots(rock_salt(), zone=(1, -1, 0), weakest=0.01)}
    assert {(1, 1, 1), (1, 1, -1), (0, 0, 2), (2, 2, 0)} <= set(spots)
    assert not {(0, 0, 1), (1, 1, 0)} & set(spots)
    assert spot_angle(spots[1, 1, 1], spots[0, 0, 2]) == pytest.approx(np.degrees(np.arccos(1 / np.sqrt(3))))
    assert spot_angle(spots[1, 1, 1], spots[1, 1, -1]) == pytest.approx(np.degrees(np.arccos(1 / 3)))
    assert spots[1, 1, 1].strength == pytest.approx(((82 - 16) / (82 + 16)) ** 2)


def test_perovskite_along_110_shows_spots_that_rock_salt_cannot():
    """Zone [1 1 0] of the matrix: 001 and 1 -1 0 are there, and their angle is 90°."""
    spots = {spot.hkl: spot for spot in zone_spots(perovskite(), zone=(1, 1, 0), weakest=0.001)}
    assert {(0, 0, 1), (1, -1, 0), (0, 0, 2)} <= set(spots)
    assert spot_angle(spots[0, 0, 1], spots[1, -1, 0]) == pytest.approx(90.0)
    assert spots[1, -1, 0].spacing_angstrom == pytest.approx(6.29 / np.sqrt(2))
