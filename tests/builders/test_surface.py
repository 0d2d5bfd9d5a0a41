"""Surface cells: what a plane is made of cannot depend on how the crystal was given."""

from math import gcd

import numpy as np
import pytest
from ase import Atoms
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import Occupation, conventional_cell, sites_of_atoms, sites_of_crystal
from qdip_struct.builders.slab.stoichiometry import termination_names
from qdip_struct.builders.slab.surface import surface_cell
from qdip_struct.materials.datasets import get_crystal

NAMES = ["PbS", "CsPbBr3", "MAPbI3:tetragonal", "NaI", "CsBr"]
planes = st.tuples(*(st.integers(-3, 3),) * 3).filter(lambda p: any(p) and gcd(*p) == 1)


def facts(surface):
    """What must not depend on the description: area, period, layers in order."""
    layers = [
        (layer.name, layer.formula, round(layer.height - surface.layers[0].height, 4)) for layer in surface.layers
    ]
    return abs(np.linalg.det(surface.net)), surface.period, layers


def spacings(surface):
    heights = [layer.height for layer in surface.layers]
    return sorted(np.round(np.diff([*heights, heights[0] + surface.period]), 4))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(name=st.sampled_from(NAMES), plane=planes)
def test_any_plane_keeps_density_composition_and_handedness(name, plane):
    crystal = get_crystal(name)
    tolerance = 0.5 if sum(map(abs, plane)) < 4 else 0.02
    try:
        surface = surface_cell(crystal, plane=plane, layer_tolerance=tolerance)
    except DataError:
        assume(False)
    cell = surface.sites.cell
    assert np.linalg.det(cell) > 0 and cell[0, 1] == cell[0, 2] == cell[1, 2] == 0.0
    assert len(surface.sites) / np.linalg.det(cell) == pytest.approx(len(crystal.sites) / crystal.volume)
    # u and v lie in the plane, w does not: h·u = h·v = 0; and the period is the interplanar spacing of the lattice.
    assert surface.uvw[:2] @ np.array(plane) == pytest.approx([0, 0], abs=1e-9)
    reciprocal = np.array(plane) @ np.linalg.inv(crystal.cell).T
    assert surface.period == pytest.approx((surface.uvw[2] @ np.array(plane)) / np.linalg.norm(reciprocal))
    members = [member for layer in surface.layers for member in layer.members]
    assert sorted(members) == list(range(len(surface.sites)))
    assert sum(layer.charge for layer in surface.layers) == 0
    lengths = np.linalg.norm(surface.uvw @ crystal.cell, axis=1)
    assert np.linalg.norm(cell, axis=1) == pytest.approx(lengths)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(NAMES[:4]), plane=st.sampled_from([(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (0, 0, 1)]),
    shift=st.tuples(*(st.floats(-20, 20),) * 3),
)  # fmt: skip
def test_a_shifted_crystal_has_the_same_surface(name, plane, shift):
    sites = sites_of_crystal(get_crystal(name))
    moved = sites.take(np.arange(len(sites)), positions=sites.positions + np.array(shift))
    one, two = surface_cell(sites, plane=plane), surface_cell(moved, plane=plane)
    assert facts(one)[:2] == pytest.approx(facts(two)[:2])
    assert sorted(layer.formula for layer in one.layers) == sorted(layer.formula for layer in two.layers)
    assert spacings(one) == pytest.approx(spacings(two), abs=2e-4)
    assert sorted(termination_names(one)) == sorted(termination_names(two))


@pytest.mark.parametrize("name", ["PbS", "CsPbBr3", "MAPbI3:tetragonal"])
@pytest.mark.parametrize("plane", [(1, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_a_supercell_has_the_same_surface(name, plane):
    crystal = get_crystal(name)
    one = surface_cell(crystal, plane=plane)
    atoms = conventional_cell(crystal, occupation=Occupation(a_site="Cs", orientation="parallel"))
    big = surface_cell(sites_of_atoms(atoms.repeat((2, 2, 2))), plane=plane)
    # In a cell doubled along each axis the same plane keeps its indices.
    assert facts(one)[0] == pytest.approx(facts(big)[0])
    assert one.period == pytest.approx(big.period)
    assert spacings(one) == pytest.approx(spacings(big), abs=1e-3)


def test_primitive_and_conventional_input_give_the_same_slab_cell():
    a = get_crystal("PbS").lengths[0]
    conventional = surface_cell(get_crystal("PbS"), plane=(1, 0, 0))
    half = 0.5 * a * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    primitive = Atoms("PbS", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=half, pbc=True)
    # (100) of the cube is (0 1 1) in the primitive axes: h·a_i with a_1 = (0,½,½)a, ...
    other = surface_cell(primitive, plane=(0, 1, 1))
    assert facts(conventional)[:2] == pytest.approx(facts(other)[:2])
    assert facts(other)[2] == facts(conventional)[2]
    assert np.sort(np.linalg.norm(other.net, axis=1)) == pytest.approx([a / 2**0.5] * 2)


def test_terminations_of_the_field_are_all_there():
    def names(crystal, plane):
        return set(termination_names(surface_cell(get_crystal(crystal), plane=plane)))

    # pymatgen drops PbBr2 on CsPbBr3(100) (its reports 3854 and 4572).
    assert names("CsPbBr3", (1, 0, 0)) == {"AX", "BX2"}
    assert names("MAPbI3:tetragonal", (1, 1, 0)) == {"AX", "BX2"}
    assert names("MAPbI3:tetragonal", (0, 0, 1)) == {"AX", "BX2"}
    assert names("CsPbBr3", (1, 1, 0)) == {"CsPbBr", "Br"}
    assert names("CsPbBr3", (1, 1, 1)) == {"Pb", "CsBr3"}
    assert names("PbS", (1, 0, 0)) == {"PbS"} and names("PbS", (1, 1, 1)) == {"Pb", "S"}
    assert names("NaI", (1, 1, 0)) == {"NaI"}


def test_the_perovskite_surface_cell_of_ning_is_the_primitive_net_of_i4mcm():
    crystal = get_crystal("MAPbI3:tetragonal")
    surface = surface_cell(crystal, plane=(1, 1, 0))
    a, _, c = crystal.lengths
    # Body centring joins (½,−½,½)t: half the diagonal of the rectangle √2·a × c.
    half_diagonal = 0.5 * np.hypot(np.sqrt(2) * a, c)
    assert np.linalg.norm(surface.net, axis=1) == pytest.approx([half_diagonal] * 2)
    assert abs(np.linalg.det(surface.net)) == pytest.approx(np.sqrt(2) * a * c / 2)
    assert surface.period == pytest.approx(a / np.sqrt(2))


def test_a_common_divisor_is_dropped_and_nonsense_refused():
    crystal = get_crystal("PbS")
    assert facts(surface_cell(crystal, plane=(2, 0, 0))) == facts(surface_cell(crystal, plane=(1, 0, 0)))
    with pytest.raises(UsageError):
        surface_cell(crystal, plane=(0, 0, 0))
    for tolerance in (0.0, -1.0, float("nan"), 50.0):
        with pytest.raises(UsageError, match="tolerance"):
            surface_cell(crystal, plane=(1, 0, 0), layer_tolerance=tolerance)
    with pytest.raises(DataError, match="smaller layer tolerance"):
        surface_cell(crystal, plane=(3, 2, 1), layer_tolerance=3.0)


@pytest.mark.parametrize("plane", [(1, 0, 0), (1, 1, 1)])
def test_areas_and_spacings_agree_with_pymatgen(plane):
    core = pytest.importorskip("pymatgen.core")
    from pymatgen.core.surface import SlabGenerator

    prototypes = {
        "PbS": ("Fm-3m", ["Pb", "S"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        "CsPbBr3": ("Pm-3m", ["Cs", "Pb", "Br"], [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0]]),
    }
    for name, (group, species, places) in prototypes.items():
        crystal = get_crystal(name)
        structure = core.Structure.from_spacegroup(group, core.Lattice.cubic(crystal.lengths[0]), species, places)
        slab = SlabGenerator(structure, plane, 8, 10, primitive=True).get_slabs()[0]
        surface = surface_cell(crystal, plane=plane)
        assert abs(np.linalg.det(surface.net)) == pytest.approx(slab.surface_area, rel=1e-6)
        # Area and density fix the period: pymatgen's d_hkl holds a whole number of ours (centring halves it).
        ratio = structure.lattice.d_hkl(plane) / surface.period
        assert ratio == pytest.approx(round(ratio))


@pytest.mark.parametrize(("name", "plane"), [("CsPbI3:delta", (1, 0, 0)), ("CsPbI3:gamma", (1, 1, 0)),
                                             ("CsPbBr3", (2, 1, 0)), ("MAPbI3:tetragonal", (1, 0, 0)),
                                             ("CsPbI3:delta", (0, 0, 1)), ("CsPbI3:delta", (0, 1, 0))])  # fmt: skip
def test_layers_of_one_kind_hold_the_same_ions(name, plane):
    try:
        layers = surface_cell(get_crystal(name), plane=plane, layer_tolerance=0.1).layers
    except DataError:
        pytest.skip("no gap between the layers of this plane")
    formula_of = {}
    for layer in layers:
        assert formula_of.setdefault(layer.kind, layer.formula) == layer.formula
    assert len(formula_of) >= len({layer.formula for layer in layers})
