"""Embedded dots: neutral, whole, no close pairs, exact crystals on both sides, whatever is asked for."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation, conventional_cell
from qdip_struct.builders.atoms.orientation import about, from_euler
from qdip_struct.builders.atoms.regions import mark_interface
from qdip_struct.builders.dot.embed import Embedded, embed_dot
from qdip_struct.builders.dot.embedding_options import Balance, DotArrangement, DotForm, DotPlacement, make_shell
from qdip_struct.builders.dot.matrix import matrix_of
from qdip_struct.builders.dot.shapes import make_shape
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_named

LATTICE = 6.325


def lead_sulphide() -> Crystal:
    return crystal_named("PbS")


def iodide() -> Crystal:
    return crystal_named("CsPbI3", lattice=LATTICE)


def fingerprint(atoms: Atoms) -> np.ndarray:
    """Elements and wrapped positions, sorted: equal for equal structures whatever their order and labels."""
    fractional = np.round(np.round(atoms.get_scaled_positions(wrap=False), 6) % 1.0, 5) % 1.0
    rows = np.column_stack([fractional, atoms.numbers])
    return rows[np.lexsort(rows.T)]


def check(built: Embedded, *, shortest: float = 2.2) -> None:
    """What every neutral embedded dot must be."""
    atoms, content = built.atoms, built.report
    assert content["formal_charge"]["total"] == 0
    assert content["formal_charge"]["dot"] + content["formal_charge"]["matrix"] == 0
    assert content["min_distance_angstrom"] >= shortest
    assert content["n_atoms"] == len(atoms) == sum(content["composition"].values()) == sum(content["regions"].values())
    molecule, symbols = atoms.get_array("molecule"), np.array(atoms.get_chemical_symbols())
    sizes = Counter(Counter(molecule[molecule >= 0].tolist()).values())
    assert set(sizes) <= {8}
    assert np.count_nonzero(symbols == "N") == np.count_nonzero(symbols == "C") == sizes.get(8, 0)
    assert sum(change["charge"] for change in content["changes"]) == -(
        content["charge_before_changes"] if content["changes"] else 0
    )


@pytest.mark.parametrize("dot", ["PbS", "PbSe"])
@pytest.mark.parametrize(
    ("matrix", "cells"),
    [
        ("CsPbBr3", (8, 8, 8)),
        ("CsPbI3", (8, 8, 8)),
        ("MAPbBr3", (8, 8, 8)),
        ("MAPbI3:tetragonal", (6, 6, 4)),
        ("MAPbI3:pseudocubic", (8, 8, 8)),
        ("MAPbI2.5Br0.5:cubic", (8, 8, 8)),
        ("NaI", (8, 8, 8)),
    ],
)
def test_the_dots_and_matrices_of_the_papers(dot: str, matrix: str, cells: tuple[int, int, int]) -> None:
    check(
        embed_dot(
            crystal_named(dot),
            crystal_named(matrix),
            form=DotForm(diameter=30.0),
            cells=cells,
            occupation=Occupation(a_site="molecule"),
        )
    )


def test_quasi_random_mixed_halide() -> None:
    built = embed_dot(lead_sulphide(), crystal_named("CsPbBr2I"), form=DotForm(diameter=24.0), cells=(6, 6, 6))
    check(built)
    outside = built.atoms.get_array("dot") < 0
    symbols = np.array(built.atoms.get_chemical_symbols())[outside]
    share = np.count_nonzero(symbols == "Br") / np.count_nonzero(np.isin(symbols, ("Br", "I")))
    assert share == pytest.approx(2 / 3, abs=0.05)


def test_core_shell_in_bromide() -> None:
    shell = make_shell("CdZnS", thickness=6.0)
    built = embed_dot(
        crystal_named("CdSe:zincblende"),
        crystal_named("MAPbBr3"),
        form=DotForm(diameter=20.0, shell=shell),
        cells=(9, 9, 9),
        occupation=Occupation(a_site="molecule"),
    )
    check(built)
    assert set(built.report["regions"]) == {"dot", "interface", "matrix", "shell"}


def test_the_box_of_ning() -> None:
    one_atom = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=30.0))
    assert one_atom.report["n_atoms"] == pytest.approx(2808, rel=0.15)
    assert np.allclose(np.diag(one_atom.report["cell_angstrom"]), 50.6)
    matrix = crystal_named("MAPbI3:pseudocubic", lattice=LATTICE)
    molecules = embed_dot(
        lead_sulphide(), matrix, form=DotForm(diameter=30.0), occupation=Occupation(a_site="molecule")
    )
    assert molecules.report["n_atoms"] == pytest.approx(6001, rel=0.15)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_cuboid_with_faces_on_half_integer_planes_swaps_what_the_formula_says(n: int) -> None:
    edge = (n - 1) * LATTICE
    built = embed_dot(lead_sulphide(), iodide(), form=DotForm("cube", diameter=edge))
    charge = -2 - (2 * (n - 1) ** 3 + n**3 - 3 * n * (n - 1) ** 2)
    assert built.report["charge_before_changes"] == charge
    assert [change["action"] for change in built.report["changes"]] == ["swap"] * -charge
    assert {(change["from"], change["to"]) for change in built.report["changes"]} == {("S", "I")}
    centre = np.array(built.report["dot_centers_angstrom"][0])
    away = np.array([change["position_angstrom"] for change in built.report["changes"]]) - centre
    loads = [np.count_nonzero(np.abs(away[:, axis] - sign * edge / 2) < 0.1) for axis in range(3) for sign in (1, -1)]
    assert min(loads) > 0
    assert max(loads) - min(loads) <= 1
    assert built.report["extent_angstrom"] == pytest.approx([edge] * 3)


def test_a_cuboid_of_unequal_edges_gets_them_exactly() -> None:
    edges = (2 * LATTICE, 3 * LATTICE, 4 * LATTICE)
    built = embed_dot(lead_sulphide(), iodide(), form=DotForm(make_shape("cuboid", edges=edges)))
    check(built)
    assert built.report["extent_angstrom"] == pytest.approx(edges)
    inside = built.report["n_formula_units_dot"] * 2
    assert inside == 5 * 7 * 9


@pytest.mark.parametrize("n", [2, 3, 5])
def test_cuboid_of_whole_parent_cells_needs_no_change(n: int) -> None:
    center = "a-site" if n % 2 else "metal"
    built = embed_dot(
        lead_sulphide(), iodide(), form=DotForm("cube", diameter=n * LATTICE - 0.1, termination="cells", center=center)
    )
    assert built.report["changes"] == []
    assert built.report["formal_charge"]["total"] == 0
    assert built.report["n_formula_units_dot"] == 4 * n**3


@pytest.mark.parametrize("neutral", ["strict", "off"])
@pytest.mark.parametrize("shape", ["sphere", "cube", "truncated-octahedron"])
@pytest.mark.parametrize(("axis", "degrees"), [((1, 0, 0), 0), ((1, 0, 0), 90), ((0, 1, 0), 180), ((1, 1, 1), 120)])
def test_rotating_onto_itself_equals_the_coherent_build(shape: str, axis: tuple, degrees: float, neutral: str) -> None:
    coherent = embed_dot(
        lead_sulphide(), iodide(), form=DotForm(shape, diameter=26.0), balance=Balance(neutral=neutral)
    )
    turned = embed_dot(
        lead_sulphide(),
        iodide(),
        form=DotForm(shape, diameter=26.0),
        balance=Balance(neutral=neutral),
        placement=DotPlacement(rotate=about(axis, degrees=degrees)),
    )
    assert coherent.report["mode"] == "coherent"
    assert turned.report["mode"] == "insert"
    if neutral == "off":
        assert np.array_equal(fingerprint(coherent.atoms), fingerprint(turned.atoms))
    assert turned.report["composition"] == coherent.report["composition"]


def test_every_site_belongs_to_one_phase() -> None:
    """The coherent structure is the parent lattice with each point taken once: no site lost, none doubled."""
    built = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=30.0), balance=Balance(neutral="off"))
    half = np.rint(built.atoms.positions * 2 / LATTICE).astype(int) % 16
    assert np.abs(built.atoms.positions * 2 / LATTICE - np.rint(built.atoms.positions * 2 / LATTICE)).max() < 1e-9
    keys = half @ np.array([256, 16, 1])
    assert len(np.unique(keys)) == len(keys)
    odd = (half % 2).sum(axis=1)
    inside = built.atoms.get_array("dot") >= 0
    all_points = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    missing = np.setdiff1d(all_points @ np.array([256, 16, 1]), keys)
    empty_kind = (np.stack([missing // 256, missing // 16 % 16, missing % 16], axis=1) % 2).sum(axis=1)
    assert set(empty_kind) == {2}, "only face centres of the perovskite may be empty"
    names = np.array(built.atoms.get_chemical_symbols())
    expected_dot = np.where(odd % 2 == 0, "Pb", "S")
    expected_matrix = np.array(["Pb", "I", "-", "Cs"])[odd]
    assert np.array_equal(names, np.where(inside, expected_dot, expected_matrix))


@pytest.mark.parametrize("rotate", [None, ((1, 1, 1), 25.0)])
def test_far_from_the_dot_it_is_the_matrix_and_in_its_core_the_dot(rotate: tuple | None) -> None:
    turn = None if rotate is None else about(rotate[0], degrees=rotate[1])
    built = embed_dot(
        lead_sulphide(), iodide(), form=DotForm(diameter=24.0), cells=(8, 8, 8), placement=DotPlacement(rotate=turn)
    )
    atoms, centre = built.atoms, np.array(built.report["dot_centers_angstrom"][0])
    away = np.linalg.norm(atoms.positions - centre, axis=1)
    pure = conventional_cell(iodide()).repeat((8, 8, 8))
    far = fingerprint(atoms[away > 20.0])
    pure_far = fingerprint(pure[np.linalg.norm(pure.positions - centre, axis=1) > 20.0])
    assert np.array_equal(far, pure_far)
    constant = LATTICE if turn is None else lead_sulphide().a_angstrom
    core = atoms[away < 7.0]
    vectors = (core.positions - centre) @ (np.eye(3) if turn is None else turn) * 2 / constant
    assert np.abs(vectors - np.rint(vectors)).max() < 1e-6
    expected = int(
        sum(np.linalg.norm(np.array(p)) * constant / 2 < 7.0 for p in np.ndindex(9, 9, 9) for p in [np.array(p) - 4])
    )
    assert len(core) == expected


def test_the_volume_fraction_counts_formula_units() -> None:
    built = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=30.0), balance=Balance(neutral="off"))
    ions = np.count_nonzero(built.atoms.get_array("dot") >= 0)
    assert built.report["volume_fraction"] == pytest.approx(ions / 2 * LATTICE**3 / 4 / 50.6**3)
    assert built.report["equivalent_diameter_angstrom"] == pytest.approx(30.0, rel=0.02)


@pytest.mark.parametrize("shift", [(1, 0, 0), (3, 5, 7)])
def test_a_shifted_origin_gives_the_same_structure(shift: tuple[int, int, int]) -> None:
    here = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=26.0))
    there = embed_dot(
        lead_sulphide(),
        iodide(),
        form=DotForm(diameter=26.0),
        placement=DotPlacement(positions=[(0.5 + np.array(shift) / 8) % 1.0]),
    )
    moved = here.atoms.copy()
    moved.positions += np.array(shift) * LATTICE
    assert np.array_equal(fingerprint(moved), fingerprint(there.atoms))


def test_same_seed_same_bytes_and_another_seed_another_choice() -> None:
    first, again = (
        embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=27.0, center="anion"), occupation=Occupation(seed=4))
        for _ in range(2)
    )
    assert np.array_equal(first.atoms.positions, again.atoms.positions)
    assert np.array_equal(first.atoms.numbers, again.atoms.numbers)
    assert first.report == again.report


def test_labels_survive_relabelling_and_name_both_phases() -> None:
    built = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=30.0))
    owner, region, phase = (built.atoms.get_array(name) for name in ("dot", "region", "phase"))
    assert set(phase[owner >= 0]) == {"PbS"}
    assert set(phase[owner < 0]) == {"CsPbI3"}
    assert set(region[owner >= 0]) == {"dot", "interface"}
    deeper = mark_interface(built.atoms.copy(), depth=6.5)
    assert np.count_nonzero(deeper.get_array("region") == "interface") > np.count_nonzero(region == "interface")


def test_a_relaxed_dot_is_inserted_as_it_is() -> None:
    free = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=24.0), balance=Balance(neutral="off")).atoms
    dot = free[free.get_array("dot") >= 0]
    dot.positions += np.random.default_rng(1).normal(0, 0.05, dot.positions.shape)
    built = embed_dot(dot, iodide(), placement=DotPlacement(rotate=about((0, 0, 1), degrees=10)))
    check(built)
    inside = built.atoms.get_array("dot") >= 0
    assert np.count_nonzero(inside) == len(dot)
    before = np.linalg.norm(dot.positions - dot.positions[0], axis=1)
    after = np.linalg.norm(built.atoms.positions[inside] - built.atoms.positions[inside][0], axis=1)
    assert np.allclose(before, after)


@pytest.mark.parametrize("shift", [(3.0, 40.0, -7.0), (-60.0, 0.0, 0.5)])
def test_where_the_origin_of_a_relaxed_dot_is_does_not_matter(shift: tuple[float, float, float]) -> None:
    free = embed_dot(lead_sulphide(), iodide(), form=DotForm(diameter=20.0), balance=Balance(neutral="off")).atoms
    dot = free[free.get_array("dot") >= 0]
    dot.positions -= dot.positions.mean(axis=0)
    moved = dot.copy()
    moved.positions += shift
    one, other = (embed_dot(given, iodide()).atoms for given in (dot, moved))
    assert one.get_chemical_symbols() == other.get_chemical_symbols()
    assert other.positions == pytest.approx(one.positions, abs=1e-6)


def test_arrays_and_random_dots_share_one_matrix() -> None:
    regular = embed_dot(
        lead_sulphide(),
        iodide(),
        form=DotForm(diameter=18.0),
        cells=(10, 10, 10),
        placement=DotPlacement(positions=DotArrangement("array", counts=(2, 2, 1))),
    )
    check(regular)
    assert regular.report["n_dots"] == 4
    assert regular.report["spacing_angstrom"]["center_to_center"] == pytest.approx(5 * LATTICE)
    charges = {
        int(regular.atoms.get_array("formal_charge")[regular.atoms.get_array("dot") == k].sum()) for k in range(4)
    }
    assert len(charges) == 1
    scattered = embed_dot(
        lead_sulphide(),
        iodide(),
        form=DotForm(diameter=15.0),
        cells=(12, 12, 12),
        placement=DotPlacement(positions=DotArrangement("random", n=5)),
        occupation=Occupation(seed=2),
    )
    check(scattered)
    assert scattered.report["n_dots"] == 5


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    dot=st.sampled_from(["PbS", "PbSe", "CdSe:zincblende", "CdSe:wurtzite", "PbS0.5Se0.5"]),
    matrix=st.sampled_from([("CsPbI3", 6), ("CsPbBr3", 6), ("MAPbBr3", 6), ("MAPbI3:tetragonal", 4), ("NaI", 6)]),
    shape=st.sampled_from(["sphere", "cube", "octahedron", "truncated-octahedron", "ellipsoid"]),
    size=st.floats(15.0, 21.0),
    turn=st.none() | st.tuples(st.floats(0, 180), st.floats(0, 180), st.floats(0, 180)),
    center=st.sampled_from(["auto", "metal", "anion", "bond", "void"]),
    seed=st.integers(0, 5),
)
def test_any_dot_in_any_matrix_is_neutral_and_whole(
    dot: str, matrix: tuple[str, int], shape: str, size: float, turn: tuple | None, center: str, seed: int
) -> None:
    body = make_shape(shape, diameter=size, edges=(size, 0.8 * size, 1.1 * size))
    supercell = matrix_of(crystal_named(matrix[0]), cells=(matrix[1],) * 3, occupation=Occupation(a_site="molecule"))
    try:
        built = embed_dot(
            crystal_named(dot),
            crystal_named(matrix[0]),
            form=DotForm(body, center=center),
            cells=(matrix[1],) * 3,
            occupation=Occupation(a_site="molecule", seed=seed),
            placement=DotPlacement(rotate=None if turn is None else from_euler(turn)),
        )
    except UsageError as error:
        assert "of the dot, more than 20%" in str(error)
        reject()
    check(built)
    outside = built.atoms.get_array("dot") < 0
    home = {tuple(row) for row in np.round(supercell.atoms.positions, 4).tolist()}
    kept = [tuple(row) for row in np.round(built.atoms.positions[outside], 4).tolist()]
    assert len(set(kept)) == len(kept)
    assert home.issuperset(kept)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda: {"form": DotForm(diameter=-3.0)}, "above zero"),
        (lambda: {"form": DotForm(diameter=float("nan"))}, "above zero"),
        (lambda: {"form": DotForm(diameter=60.0)}, "make the dot smaller"),
        (lambda: {"form": DotForm(diameter=1.0, center="void")}, "no site of"),
        (lambda: {"cells": (8, 8)}, "three whole numbers"),
        (lambda: {"cells": (8, 8.5, 8)}, "three whole numbers"),
        (lambda: {"cells": (8, 0, 8)}, "three whole numbers"),
        (lambda: {"form": DotForm(center="middle")}, "unknown center"),
        (lambda: {"form": DotForm(termination="PbS")}, "unknown termination"),
        (lambda: {"placement": DotPlacement(mode="glue")}, "unknown mode"),
        (lambda: {"placement": DotPlacement(mode="coherent", rotate=np.eye(3))}, "needs mode insert"),
        (lambda: {"lattice": -1.0}, "lattice"),
        (lambda: {"occupation": Occupation(a_site="Pb")}, "a_site"),
        (lambda: {"occupation": Occupation(seed=-1)}, "seed"),
        (lambda: {"occupation": Occupation(orientation="up")}, "unknown orientation"),
        (lambda: {"form": DotForm(diameter=1000000000.0)}, "give a smaller one"),
        (lambda: {"cells": (1000, 1000, 1000)}, "can be built"),
        (lambda: {"placement": DotPlacement(rotate=-np.eye(3))}, "proper rotation"),
        (lambda: {"placement": DotPlacement(rotate=np.eye(2))}, "three by three"),
        (lambda: {"balance": Balance(neutral="maybe")}, "unknown neutral"),
        (lambda: {"interface_depth": float("nan")}, "interface depth"),
        (lambda: {"placement": DotPlacement(positions=DotArrangement("array", counts=(3, 1, 1)))}, "two dots"),
        (lambda: {"placement": DotPlacement(positions=DotArrangement("random", n=40))}, "found a random place"),
        (lambda: {"balance": Balance(rule="pray")}, "unknown rule"),
    ],
)
def test_refusals(wish: Callable[[], dict], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        embed_dot(lead_sulphide(), get_crystal("MAPbBr3"), **wish())


@pytest.mark.parametrize(
    "positions",
    [
        [(0.0, 0.0, 0.0), (2.9, 0.0, 0.0), (5.8, 0.0, 0.0)],
        [(2.9 * i, 2.9 * j, 0.0) for i in range(3) for j in range(3)],
    ],
)
def test_a_finished_dot_without_volume_is_refused(positions: list[tuple[float, float, float]]) -> None:
    flat = Atoms("Pb" * len(positions), positions=positions)
    flat.numbers[1::2] = 16
    with pytest.raises(UsageError, match="no volume"):
        embed_dot(flat, iodide(), cells=(4, 4, 4))
