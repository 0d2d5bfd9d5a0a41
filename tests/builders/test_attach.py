"""Dots on a surface and under an overgrown layer."""

from pathlib import Path

import numpy as np
import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.neighbours import nearest_neighbour
from qdip_struct.builders.atoms.regions import formal_charge_of
from qdip_struct.builders.dot.attach import attach_dot, bury_dots, surface_slab
from qdip_struct.builders.dot.dot import cut_dot
from qdip_struct.builders.dot.dot_request import AttachRequest, requested_attachment
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.passivation import passivate
from qdip_struct.builders.dot.shapes import make_shape
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.structure_files import crystal_named


def bromide() -> Crystal:
    return crystal_named("CsPbBr3", lattice=5.936)


def small_cube():  # type: ignore[no-untyped-def]
    dot = cut_dot(crystal_named("PbS"), form=DotForm("cube", diameter=2 * 5.936, center="metal"))
    return passivate(dot, surface="stoichiometric")[0]


@pytest.mark.parametrize(("top", "layers"), [("BX2", 7), ("AX", 6)])
def test_slabs_are_neutral_and_end_as_told(top: str, layers: int) -> None:
    slab = surface_slab(bromide(), cells=(4, 4, 3), top=top)
    heights = np.unique(np.round(slab.positions[:, 2], 4))
    assert len(heights) == layers
    names = set(np.array(slab.get_chemical_symbols())[np.abs(slab.positions[:, 2] - heights[-1]) < 0.1])
    assert names == ({"Pb", "Br"} if top == "BX2" else {"Cs", "Br"})
    assert formal_charge_of(slab)["total"] == 0


def test_continuation_puts_metal_over_anion_and_anion_over_metal() -> None:
    built = attach_dot(small_cube(), surface_slab(bromide(), cells=(5, 5, 2)))
    atoms = built.atoms
    inside, symbols = atoms.get_array("dot") >= 0, np.array(atoms.get_chemical_symbols())
    floor = atoms.positions[inside, 2].min()
    foot = inside & (atoms.positions[:, 2] < floor + 0.1)
    top = ~inside & (atoms.positions[:, 2] > atoms.positions[~inside, 2].max() - 0.1)
    for mine, other in (("Pb", "Br"), ("S", "Pb")):
        for point in atoms.positions[foot & (symbols == mine)]:
            flat = np.linalg.norm(atoms.positions[top & (symbols == other), :2] - point[:2], axis=1).min()
            hollow = mine == "S" and flat > 0.1
            assert flat < 0.1 or hollow
    assert built.report["formal_charge"] == {"dot": 0, "matrix": 0, "total": 0}
    assert built.report["gap_angstrom"] == pytest.approx(0.95 * (1.19 + 1.96), abs=1e-3)
    assert np.diag(built.report["cell_angstrom"])[2] == pytest.approx(np.ptp(atoms.positions[:, 2]) + 20.0)


def test_metal_over_metal_stands_higher_than_the_continuation() -> None:
    slab = surface_slab(bromide(), cells=(5, 5, 2))
    gaps = [attach_dot(small_cube(), slab, registry=name).report["gap_angstrom"] for name in ("continuation", "metal")]
    assert gaps[0] < gaps[1]


def test_fractions_name_the_same_places() -> None:
    slab = surface_slab(bromide(), cells=(5, 5, 2))
    for name, fractions in (("metal", (0.0, 0.0)), ("continuation", (0.5, 0.0)), ("hollow", (0.5, 0.5))):
        one, two = attach_dot(small_cube(), slab, registry=name), attach_dot(small_cube(), slab, registry=fractions)
        assert np.allclose(one.atoms.positions, two.atoms.positions)


@pytest.mark.parametrize("facet", [(1, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_the_facet_named_faces_the_slab(facet: tuple[int, int, int]) -> None:
    dot, _ = passivate(cut_dot(crystal_named("PbS"), form=DotForm("sphere", diameter=16.0)), surface="stoichiometric")
    built = attach_dot(dot, surface_slab(bromide(), cells=(6, 6, 2)), facet=facet)
    turn = np.array(built.report["rotation"])
    normal = np.array(facet) / np.linalg.norm(facet)
    equal = [np.array(p) * s for p in {(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)} for s in (normal,)]
    images = [turn @ np.array([v[i] for i in order]) for v in equal for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1))]
    assert any(np.allclose(image, (0, 0, -1), atol=1e-9) for image in images)
    assert built.report["min_distance_angstrom"] > 2.2


def test_a_facet_of_anions_continues_with_an_anion_over_a_metal() -> None:
    dot = cut_dot(crystal_named("PbS"), form=DotForm("octahedron", diameter=14.0, center="metal"))
    low = dot.sites.positions @ np.ones(3)
    assert set(dot.sites.species[low > low.max() - 0.1]) == {"S"}
    built = attach_dot(dot, surface_slab(bromide(), cells=(6, 6, 2)), facet=(1, 1, 1))
    atoms = built.atoms
    inside, symbols = atoms.get_array("dot") >= 0, np.array(atoms.get_chemical_symbols())
    foot = atoms.positions[inside][atoms.positions[inside, 2] < atoms.positions[inside, 2].min() + 0.1]
    leads = atoms.positions[~inside & (symbols == "Pb"), :2]
    assert min(np.linalg.norm(leads - point[:2], axis=1).min() for point in foot) < 1e-6


def test_buried_dots_stand_on_the_slab_and_are_covered() -> None:
    shape = make_shape("cube", diameter=2 * 5.936)
    built = bury_dots(crystal_named("PbS"), bromide(), cells=(9, 5, 2), overgrown=4, form=DotForm(shape), array=(2, 1))
    atoms = built.atoms
    assert built.report["formal_charge"]["total"] == 0
    assert built.report["n_dots"] == 2
    inside = atoms.get_array("dot") >= 0
    low, high = atoms.positions[inside, 2].min(), atoms.positions[inside, 2].max()
    assert low >= 2 * 5.936 - 3.0
    assert high <= 6 * 5.936 - 5.0
    assert atoms.cell.array[2, 2] == pytest.approx(6 * 5.936 + 20.0)
    assert built.report["min_distance_angstrom"] == pytest.approx(5.936 / 2)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"registry": "upside"}, "unknown registry"),
        ({"facet": (0, 0, 0)}, "facet"),
        ({"vacuum": -1.0}, "vacuum"),
        ({"gap": float("nan")}, "gap"),
    ],
)
def test_refusals(wish: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        attach_dot(small_cube(), surface_slab(bromide(), cells=(5, 5, 2)), **wish)


def test_more_refusals() -> None:
    with pytest.raises(UsageError, match="must stay free"):
        attach_dot(small_cube(), surface_slab(bromide(), cells=(2, 5, 2)))
    with pytest.raises(UsageError, match="not covered"):
        bury_dots(crystal_named("PbS"), bromide(), cells=(5, 5, 2), overgrown=2, form=DotForm("cube", diameter=12.0))
    with pytest.raises(UsageError, match="no cubic perovskite"):
        surface_slab(crystal_named("MAPbI3:tetragonal"), cells=(2, 2, 2))


@pytest.mark.parametrize("lift", [0.0, 0.4])
def test_the_gap_is_counted_from_the_highest_atom_of_a_rumpled_surface(lift: float) -> None:
    slab = surface_slab(bromide(), cells=(5, 5, 2))
    raised = int(np.argmax(slab.positions[:, 2]))
    slab.positions[raised, 2] += lift
    built = attach_dot(small_cube(), slab, gap=3.0)
    inside, heights = built.atoms.get_array("dot") >= 0, built.atoms.positions[:, 2]
    assert heights[inside].min() - heights[~inside].max() == pytest.approx(3.0)
    assert built.report["gap_angstrom"] == pytest.approx(3.0)


def test_the_gap_of_a_molecular_surface_is_counted_from_its_hydrogens() -> None:
    slab = surface_slab(crystal_named("MAPbBr3"), cells=(5, 5, 2), top="AX")
    heights = slab.positions[:, 2]
    assert slab.symbols[int(np.argmax(heights))] == "H"
    built = attach_dot(small_cube(), slab, gap=3.0)
    inside, heights = built.atoms.get_array("dot") >= 0, built.atoms.positions[:, 2]
    assert heights[inside].min() - heights[~inside].max() == pytest.approx(3.0)
    assert built.report["gap_angstrom"] == pytest.approx(3.0)


DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(
    ("dot", "shape", "facet"),
    [("structures/AgBiS2.cif", "cube", "100"), ("structures/CuInS2.cif", "octahedron", "111"),
     ("structures/InAs.cif", "sphere", "100"), ("crystals/Cs2AgBiBr6.cif", "cube", "100"),
     ("CsPbBr3:cubic", "octahedron", "111"), ("MAPbI3:cubic", "rod", "111"), ("structures/ZnO.cif", "platelet", "100")],
)  # fmt: skip
def test_dots_of_own_crystals_stand_on_a_slab(dot: str, shape: str, facet: str) -> None:
    """Neutral both, and no ion of the dot nearer to the slab than nine tenths of the shortest bond in the two."""
    word = str(DATA / dot) if dot.endswith(".cif") else dot
    size = {"length": 22.0} if shape == "rod" else {"thickness": "10"} if shape == "platelet" else {}
    request = AttachRequest(
        dot=word, matrix="CsPbBr3:cubic", cells="8,8,2", diameter=16.0, shape=shape, facet=facet, **size
    )
    built = requested_attachment(request)
    assert built.report["formal_charge"] == {"dot": 0, "matrix": 0, "total": 0}
    assert built.report["share_changed"] <= 0.2
    owner = built.atoms.get_array("dot")
    apart = nearest_neighbour(
        built.atoms.positions[owner >= 0], targets=built.atoms.positions[owner < 0], cell=built.atoms.cell.array,
        pbc=built.atoms.pbc, cutoff=6.0,
    )[0].min()  # fmt: skip
    assert 1.9 < apart < 4.0
