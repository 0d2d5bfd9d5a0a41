"""Neutrality: as few changes as possible, spread evenly, each reported."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.atoms.regions import formal_charge_of
from qdip_struct.builders.dot.dot_request import EmbedRequest, requested_embedding
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import Balance, DotForm
from qdip_struct.builders.dot.neutrality import UnbalancedError, neutralise
from qdip_struct.materials.structure_files import crystal_named

AXES = np.concatenate([np.eye(3), -np.eye(3)])


@settings(deadline=None, derandomize=True, max_examples=15)
@given(size=st.floats(18.0, 26.0), center=st.sampled_from(["metal", "anion", "a-site", "bond", "void"]),
       termination=st.sampled_from(["BX2", "AX", "site"]), seed=st.integers(0, 3))  # fmt: skip
def test_one_swap_per_unit_of_charge(size: float, center: str, termination: str, seed: int) -> None:
    try:
        built = embed_dot(
            crystal_named("PbS"),
            crystal_named("CsPbI3"),
            form=DotForm(diameter=size, center=center, termination=termination),
            cells=(6, 6, 6),
            occupation=Occupation(seed=seed),
        )
    except UsageError as error:
        assert "of the dot, more than 20%" in str(error)
        reject()
    swaps = [change for change in built.report["changes"] if change["action"] == "swap"]
    removed = [change for change in built.report["changes"] if change["action"] == "remove"]
    assert len(swaps) + len(removed) == abs(built.report["charge_before_changes"])
    kinds = {("S", "I")} if built.report["charge_before_changes"] < 0 else {("I", "S")}
    assert {(change["from"], change["to"]) for change in swaps} <= kinds


def test_the_least_bonded_anions_go_first() -> None:
    """Of the cube with half-integer faces all eight corners, with three metal neighbours each, come first."""
    built = embed_dot(crystal_named("PbS"), crystal_named("CsPbI3", lattice=6.0), form=DotForm("cube", diameter=18.0))
    centre = np.array(built.report["dot_centers_angstrom"][0])
    first = np.array([change["position_angstrom"] for change in built.report["changes"][:8]]) - centre
    assert np.allclose(np.abs(first), 9.0, atol=1e-3)
    assert np.allclose(first.sum(axis=0), 0.0, atol=1e-3)


@pytest.mark.parametrize("a_site", ["molecule", "Cs"])
def test_vacancies_take_whole_ions(a_site: str) -> None:
    matrix, balance = crystal_named("MAPbBr3", lattice=6.0), Balance(rule="vacancy")
    common = {"cells": (6, 6, 6), "balance": balance, "occupation": Occupation(a_site=a_site)}
    negative = embed_dot(crystal_named("PbS"), matrix, form=DotForm("cube", diameter=18.0), **common)
    assert {(c["action"], c["from"]) for c in negative.report["changes"]} == {("remove", "Br")}
    assert negative.report["formal_charge"]["total"] == 0
    sphere = DotForm("sphere", diameter=18.0, center="a-site", termination="site")
    positive = embed_dot(crystal_named("PbS"), matrix, form=sphere, **common)
    assert positive.report["charge_before_changes"] > 0
    assert {c["from"] for c in positive.report["changes"]} == {"molecular ion" if a_site == "molecule" else "Cs"}
    molecule = positive.atoms.get_array("molecule")
    sizes = np.unique(np.unique(molecule[molecule >= 0], return_counts=True)[1])
    assert sizes.tolist() == ([8] if a_site == "molecule" else [])
    assert positive.report["formal_charge"]["total"] == 0


@pytest.mark.parametrize("neutral", ["report", "off"])
def test_report_and_off_change_nothing(neutral: str) -> None:
    built = embed_dot(
        crystal_named("PbS"),
        crystal_named("CsPbI3"),
        form=DotForm(diameter=24.0),
        cells=(6, 6, 6),
        balance=Balance(neutral=neutral),
    )
    assert built.report["changes"] == []
    assert built.report["formal_charge"]["total"] == built.report["charge_before_changes"] != 0
    if neutral == "report":
        assert sum(c["charge"] for c in built.report["proposed_changes"]) == -built.report["charge_before_changes"]


def as_cut(*, diameter: float, cells: int) -> Atoms:
    """A dot in its matrix with the charge that it was cut with."""
    dot, matrix, form = crystal_named("PbS"), crystal_named("CsPbI3"), DotForm(diameter=diameter)
    return embed_dot(dot, matrix, form=form, cells=(cells,) * 3, balance=Balance(neutral="off")).atoms


def test_a_structure_that_cannot_be_made_neutral_is_refused() -> None:
    atoms = as_cut(diameter=9.0, cells=4)
    charges = atoms.get_array("formal_charge")
    charges[0] -= 5000
    atoms.set_array("formal_charge", charges)
    with pytest.raises(UsageError, match="--neutral report"):
        neutralise(atoms, centres=atoms.cell.array.sum(axis=0)[None] / 2, facets=AXES)


def test_the_input_is_left_alone() -> None:
    atoms = as_cut(diameter=18.0, cells=5)
    before = formal_charge_of(atoms), atoms.numbers.copy()
    done, _ = neutralise(atoms, centres=atoms.cell.array.sum(axis=0)[None] / 2, facets=AXES)
    assert formal_charge_of(atoms) == before[0]
    assert np.array_equal(atoms.numbers, before[1])
    assert formal_charge_of(done)["total"] == 0


def test_two_dots_do_not_remove_the_same_ion() -> None:
    """The iodide between two sulphides is nearest to both; each sulphide needs two iodides less."""
    iodides = [(13.0, 10.0, 10.0)] + [(x, y, 10.0) for x in (10.0, 16.0) for y in (6.0, 14.0)]
    caesium = [(30.0, 30.0, 4.0 * k) for k in range(5)]
    atoms = Atoms("S2I5Cs5", positions=[(10.0, 10.0, 10.0), (16.0, 10.0, 10.0), *iodides, *caesium], cell=[40.0] * 3,
                  pbc=True)  # fmt: skip
    atoms.set_array("dot", np.array([0, 1] + [-1] * 10))
    atoms.set_array("molecule", np.full(12, -1))
    atoms.set_array("formal_charge", np.array([-2] * 2 + [-1] * 5 + [1] * 5))
    neutral, changes = neutralise(atoms, centres=atoms.positions[:2].copy(), facets=AXES, rule="vacancy")
    assert formal_charge_of(neutral)["total"] == 0
    assert len({tuple(change["position_angstrom"]) for change in changes}) == len(changes) == 4
    assert neutral.get_chemical_formula("metal") == Atoms("Cs5IS2").get_chemical_formula("metal")


DATA = Path(__file__).parents[1] / "data"
PAIRS = [
    ("PbS", "crystals/Cs2AgBiBr6.cif", "3,3,3"),
    ("CsPbBr3:cubic", "PbS", "6,6,6"),
    ("CsPbBr3:cubic", "CsPbCl3:cubic", "6,6,6"),
    ("structures/CsPbBr3.cif", "MAPbI3:cubic", "6,6,6"),
    ("structures/AgBiS2.cif", "CsPbBr3:cubic", "6,6,6"),
    ("structures/InAs.cif", "CsPbI3:cubic", "6,6,6"),
    ("structures/InAs.cif", "PbS", "6,6,6"),
    ("structures/CuInS2.cif", "structures/ZnO.cif", "10,10,6"),
    ("structures/CdTe.cif", "structures/InP.cif", "6,6,6"),
    ("crystals/Cs2AgBiBr6.cif", "CsPbBr3:cubic", "6,6,6"),
    ("PbS", "crystals/SnS.cif", "3,8,8"),
]
STATES = {"Cs": 1, "Ag": 1, "Cu": 1, "Pb": 2, "Sn": 2, "Cd": 2, "Zn": 2, "Bi": 3, "In": 3, "O": -2, "S": -2, "Te": -2,
          "P": -3, "As": -3, "Cl": -1, "Br": -1, "I": -1, "C": 0, "H": 0, "N": 1}  # fmt: skip
"""Textbook oxidation states; the charge of methylammonium on its nitrogen."""


@settings(deadline=None, derandomize=True, max_examples=40)
@given(pair=st.sampled_from(PAIRS), size=st.floats(12.0, 19.0), shape=st.sampled_from(["sphere", "cube", "octahedron"]),
       rule=st.sampled_from(["swap", "vacancy"]), seed=st.integers(0, 2))  # fmt: skip
def test_dots_in_other_crystals_are_neutral_or_refused_with_what_does(
    pair: tuple[str, str, str], size: float, shape: str, rule: str, seed: int
) -> None:
    dot, matrix = (str(DATA / word) if word.endswith(".cif") else word for word in pair[:2])
    request = EmbedRequest(dot=dot, matrix=matrix, cells=pair[2], diameter=size, shape=shape, rule=rule, seed=seed)
    try:
        built = requested_embedding(request)
    except UnbalancedError as error:
        found = re.search(r"; --(\w+) (\S+) would do$", str(error))
        assert found, str(error)
        value = float(found[2]) if found[1] == "diameter" else found[2]
        built = requested_embedding(replace(request, **{found[1]: value}))
    composition = built.report["composition"]
    assert sum(STATES[name] * count for name, count in composition.items()) == 0
    assert built.report["formal_charge"]["total"] == 0
    assert built.report["charge_before_changes"] == -sum(change["charge"] for change in built.report["changes"])
    assert len(built.report["changes"]) >= abs(built.report["charge_before_changes"]) / 3
    assert built.report["min_distance_angstrom"] > 1.9


def test_a_perovskite_dot_in_a_perovskite_only_changes_names() -> None:
    """On one lattice every ion of the dot stands where one of the matrix stood: the sites, and the charge, stay."""
    request = EmbedRequest(dot="CsPbBr3:cubic", matrix="CsPbCl3:cubic", cells="5,5,5", diameter=15.0)
    built = requested_embedding(request)
    assert built.report["mode"] == "coherent"
    assert built.report["changes"] == []
    assert len(built.atoms) == 5 * 125
    assert {built.report["composition"][name] for name in ("Cs", "Pb")} == {125}


def test_a_refused_balance_names_a_rule_that_does() -> None:
    """In so small a dot six of 27 ions, more than a fifth, would become iodide."""
    request = EmbedRequest(dot="PbS", matrix="CsPbI3:cubic", cells="5,5,5", diameter=9.0, center="metal")
    with pytest.raises(UnbalancedError, match=r"6 of the 27 ions.*; --rule vacancy would do"):
        requested_embedding(request)
    assert requested_embedding(replace(request, rule="vacancy")).report["formal_charge"]["total"] == 0
