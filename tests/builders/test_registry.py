"""Registry: gaps against the CP2K optima, shifts that mean what they say, scans reduced by symmetry only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.interface.interface import build_interface, place
from qdip_struct.builders.interface.interface_options import LateralCell, Placement, Stack
from qdip_struct.builders.interface.joint import join
from qdip_struct.builders.interface.registry import REGISTRY_NAMES, irreducible_shifts, radii_of, touching_gap
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.ions import TOUCHING_RADII_ANGSTROM
from qdip_struct.materials.structure_files import crystal_named


def pair(substrate="CsPbBr3", plane=(1, 0, 0), termination="BX2", cell=LateralCell(), occupation=Occupation()):
    stack = Stack(substrate_plane=plane, termination=termination)
    return join(get_crystal("PbS"), get_crystal(substrate), stack=stack, cell=cell, occupation=occupation)


def test_touching_spheres_come_near_the_gap_that_cp2k_finds():
    """PbS // PbBr2-terminated CsPbBr3, PBE: 3.15 Å of 4×4×1 runs; metal over metal repels at 3.8 Å and nearer."""
    crystals = [get_crystal(name, dataset="pbe_cp2k") for name in ("PbS", "CsPbBr3")]
    gaps = {
        name: build_interface(*crystals, placement=Placement(registry=name)).report["gap_angstrom"]
        for name in REGISTRY_NAMES
    }
    assert gaps["continuation"] == pytest.approx(3.15, abs=0.01)
    assert gaps["metal"] >= 3.8 - 1e-9
    assert gaps["hollow"] == pytest.approx(3.5, abs=0.36)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_touching_gap_is_the_least_without_overlap(n, m, seed):
    generator = np.random.default_rng(seed)
    lateral = np.array([[generator.uniform(3, 8), 0.0], [generator.uniform(-3, 3), generator.uniform(3, 8)]])
    names = ["Pb", "S", "Br", "Cs"]
    below, above = generator.choice(names, n), generator.choice(names, m)
    low, high = generator.uniform(-2, 0, (n, 3)), generator.uniform(0, 2, (m, 3))
    low[:, :2], high[:, :2] = generator.uniform(0, 1, (n, 2)) @ lateral, generator.uniform(0, 1, (m, 2)) @ lateral
    lift = touching_gap(below, low, above, high, lateral=lateral)
    images = np.array([[i, j] for i in range(-4, 5) for j in range(-4, 5)]) @ lateral
    sums = radii_of(below)[:, None, None] + radii_of(above)[None, :, None]

    def worst(extra):
        delta = high[None, :, None, :2] + images[None, None] - low[:, None, None, :2]
        z = high[None, :, None, 2] + extra - low[:, None, None, 2]
        return (np.sqrt((delta**2).sum(-1) + z**2) - sums).min()

    assert worst(lift) > -1e-9
    if lift > 0:
        assert worst(lift) == pytest.approx(0.0, abs=1e-9)


def test_one_lead_above_one_bromine_touch_at_the_sum_of_their_radii():
    lateral = np.eye(2) * 20
    gap = touching_gap(["Br"], np.zeros((1, 3)), ["Pb"], np.zeros((1, 3)), lateral=lateral)
    assert gap == pytest.approx(TOUCHING_RADII_ANGSTROM["Br"] + TOUCHING_RADII_ANGSTROM["Pb"])
    with pytest.raises(UsageError, match="ionic radius"):
        radii_of(["Xe"])


@pytest.mark.parametrize(
    ("substrate", "plane", "termination", "expected"),
    [("CsPbBr3", (1, 0, 0), "BX2", (0.5, 0.0)), ("CsPbBr3", (1, 0, 0), "AX", (0.0, 0.0)),
     ("MAPbI3:tetragonal", (1, 1, 0), "BX2", (0.5, 0.0)), ("MAPbI3:tetragonal", (1, 1, 0), "AX", (0.0, 0.0)),
     ("NaI", (1, 0, 0), "NaI", (0.5, 0.5))],
)  # fmt: skip
def test_continuation_puts_the_cation_over_the_anion(substrate, plane, termination, expected):
    built = build_interface(
        get_crystal("PbS"), get_crystal(substrate), stack=Stack(substrate_plane=plane, termination=termination)
    )
    assert built.report["registry_fraction"] == pytest.approx(expected, abs=1e-6)


def test_a_scan_of_the_1x1_interface_has_the_four_registries_of_the_quarter_grid():
    for termination in ("AX", "BX2"):
        shifts = irreducible_shifts(pair(termination=termination), divisions=4)
        assert sum(shift.multiplicity for shift in shifts) == 16
        # Film and substrate share 4mm; the film's own net adds the translation (½,½).
        assert {shift.fraction: shift.multiplicity for shift in shifts} == {
            (0.0, 0.0): 2, (0.0, 0.25): 8, (0.0, 0.5): 2, (0.25, 0.25): 4,
        }  # fmt: skip


@pytest.mark.parametrize("divisions", [1, 2, 3, 5, 6, 8])
def test_every_grid_is_covered_once(divisions):
    shifts = irreducible_shifts(pair(), divisions=divisions)
    assert sum(shift.multiplicity for shift in shifts) == divisions**2
    assert len({shift.fraction for shift in shifts}) == len(shifts)


def fingerprint(built):
    """Sorted distances between film and substrate near the contact: what a symmetry cannot change."""
    cell = built.interface.cell.array[:2, :2]
    z = built.substrate.positions[:, 2]
    low = built.substrate.positions[z > z.max() - 3.5]
    numbers = built.substrate.numbers[z > z.max() - 3.5]
    f = built.film.positions[:, 2]
    high, kinds = built.film.positions[f < f.min() + 3.5], built.film.numbers[f < f.min() + 3.5]
    images = np.array([[i, j] for i in range(-3, 4) for j in range(-3, 4)]) @ cell
    delta = high[None, :, None, :2] + images[None, None] - low[:, None, None, :2]
    z = (high[None, :, 2] - low[:, None, 2])[..., None]
    distance = np.sqrt((delta**2).sum(-1) + z**2)
    pairs = np.broadcast_to((numbers[:, None] * 1000 + kinds[None])[..., None], distance.shape)
    near = distance < 9.0
    rows = np.column_stack([pairs[near], np.round(distance[near], 3)])
    return rows[np.lexsort(rows.T[::-1])]


@pytest.mark.parametrize("case", ["CsPbBr3", "MAPbI3"])
def test_registries_called_equal_are_equal_and_others_differ(case):
    joint = (
        pair() if case == "CsPbBr3" else pair("MAPbI3:tetragonal", plane=(1, 1, 0), occupation=Occupation(a_site="Cs"))
    )
    shifts = irreducible_shifts(joint, divisions=4)
    grid = [(i / 4, j / 4) for i in range(4) for j in range(4)]
    prints = {point: fingerprint(place(joint, placement=Placement(registry=point, gap=3.3))) for point in grid}
    kinds = {shift.fraction: prints[shift.fraction] for shift in shifts}

    def alike(a, b):
        return a.shape == b.shape and np.abs(a - b).max() < 5e-3

    for point in grid:
        assert sum(alike(prints[point], kind) for kind in kinds.values()) >= 1, point
    if case == "CsPbBr3":
        for point in grid:
            assert sum(alike(prints[point], kind) for kind in kinds.values()) == 1, point


def test_an_alloy_has_no_more_symmetry_than_its_arrangement():
    alloy = join(
        get_crystal("PbS"),
        crystal_named("CsPbBr2I"),
        cell=LateralCell(repeat=(2, 2)),
        occupation=Occupation(arrangement="random", seed=1),
    )
    assert len(irreducible_shifts(alloy)) >= len(irreducible_shifts(pair(cell=LateralCell(repeat=(2, 2)))))


@pytest.mark.parametrize("divisions", [0, -1, 2.5, 1000, True])
def test_grids_that_are_none_are_refused(divisions):
    with pytest.raises(UsageError, match="divisions"):
        irreducible_shifts(pair(), divisions=divisions)
