"""Surfaces of free dots: neutral where promised, no loose ions, no close pairs."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from qdip_struct.base.errors import QdipError, UsageError
from qdip_struct.builders.atoms.neighbours import minimum_distance
from qdip_struct.builders.dot.dot import DotSites, cut_dot, dot_atoms
from qdip_struct.builders.dot.dot_request import DotRequest, requested_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.passivation import charge_of, finished_dot, passivate
from qdip_struct.materials.structure_files import crystal_named

NAMES = st.sampled_from(["PbS", "PbSe", "CdSe:zincblende", "CdSe:wurtzite", "PbS0.5Se0.5"])
SHAPE_NAMES = st.sampled_from(["sphere", "octahedron", "truncated-octahedron", "cube"])


def raw(name: str, shape: str, size: float) -> DotSites:
    return cut_dot(crystal_named(name), form=DotForm(shape, diameter=size))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(name=NAMES, shape=SHAPE_NAMES, size=st.floats(14.0, 26.0), seed=st.integers(0, 3))
def test_stoichiometric_dots_are_neutral_and_bonded(name: str, shape: str, size: float, seed: int) -> None:
    before = raw(name, shape, size)
    dot, changes = passivate(before, surface="stoichiometric", seed=seed)
    assert charge_of(dot) == 0
    assert np.count_nonzero(dot.sites.sublattice == "cation") * 2 == len(dot.sites)
    assert len(before.sites) - len(dot.sites) == len(changes)
    metal = dot.sites.sublattice == "cation"
    points = dot.sites.positions
    for mine, others in ((metal, ~metal), (~metal, metal)):
        assert cKDTree(points[others]).query_ball_point(points[mine], 3.9, return_length=True).min() >= 2


@settings(deadline=None, derandomize=True, max_examples=20)
@given(name=NAMES, shape=SHAPE_NAMES, size=st.floats(16.0, 26.0), surface=st.sampled_from(["as-cut", "metal-rich"]),
       counter=st.sampled_from([None, "MA", "Cs"]))  # fmt: skip
def test_ligands_make_neutral_or_are_refused(
    name: str, shape: str, size: float, surface: str, counter: str | None
) -> None:
    try:
        dot, changes = passivate(raw(name, shape, size), surface=surface, ligand="I", counter_ion=counter)
    except UsageError as error:
        assert "places" in str(error) or "surface anions" in str(error)
        return
    assert charge_of(dot) == 0
    assert sum(change["charge"] for change in changes) == -charge_of(raw(name, shape, size))
    assert set(dot.region) <= {"dot", "ligand"}
    atoms = dot_atoms(dot)
    assert int(atoms.get_array("formal_charge").sum()) == 0
    # Hydrogens of neighbouring molecules may come as near as twice 1.0 Å; everything else stays farther apart.
    assert minimum_distance(atoms[atoms.numbers != 1]) > 2.2
    assert minimum_distance(atoms) > (2.0 if counter == "MA" else 2.2)


def test_metal_rich_surfaces_hold_no_anion_with_a_missing_metal() -> None:
    dot, _ = passivate(raw("PbS", "sphere", 24.0), surface="metal-rich")
    metal = dot.sites.sublattice == "cation"
    bulk = cKDTree(raw("PbS", "sphere", 24.0).sites.positions[raw("PbS", "sphere", 24.0).sites.sublattice == "cation"])
    assert bulk.query_ball_point(dot.sites.positions[~metal], 3.1, return_length=True).min() == 6
    assert charge_of(dot) > 0


def test_ligand_exchange_turns_one_surface_anion_per_missing_charge() -> None:
    before = raw("PbS", "cube", 5 * 5.936)
    assert charge_of(before) == -2
    dot, changes = passivate(before, ligand="I")
    assert [(c["action"], c["from"], c["to"]) for c in changes] == [("swap", "S", "I")] * 2
    assert len(dot.sites) == len(before.sites)
    away = np.array([change["position_angstrom"] for change in changes])
    assert np.abs(away).max(axis=1) == pytest.approx(2.5 * 5.936, abs=1e-3)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"surface": "shiny"}, "unknown surface"),
        ({"ligand": "S"}, "expected a halide"),
        ({"counter_ion": "MA"}, "halide ligand"),
        ({"ligand": "I", "counter_ion": "Pb"}, "charge of \\+1"),
    ],
)
def test_refusals(wish: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        passivate(raw("PbS", "sphere", 20.0), **wish)


@pytest.mark.parametrize(("ligand", "radius"), [("I", 2.20), ("Cl", 1.81)])
def test_a_ligand_on_one_metal_is_as_far_as_the_radii_of_both_tell(ligand: str, radius: float) -> None:
    """The Pb-S bond of the crystal, a/2, scaled by the sums of the six-coordinate radii: Pb 1.19 Å, S 1.84 Å."""
    dot, _ = passivate(raw("PbS", "sphere", 20.0), surface="metal-rich", ligand=ligand, counter_ion="Cs")
    metals = dot.sites.positions[dot.sites.sublattice == "cation"]
    ligands = dot.sites.positions[(dot.region == "ligand") & (dot.sites.species == ligand)]
    counts = cKDTree(metals).query_ball_point(ligands, 4.2, return_length=True)
    alone = cKDTree(metals).query(ligands[counts == 1])[0]
    assert len(alone) >= 6
    assert alone == pytest.approx(5.936 / 2 * (1.19 + radius) / (1.19 + 1.84), abs=1e-3)


DATA = Path(__file__).parents[1] / "data"
OWN = {
    "structures/AgBiS2.cif": {"Ag": (1, 1), "Bi": (1, 3), "S": (2, -2)},
    "crystals/Cs2AgBiBr6.cif": {"Cs": (2, 1), "Ag": (1, 1), "Bi": (1, 3), "Br": (6, -1)},
    "crystals/SnS.cif": {"Sn": (1, 2), "S": (1, -2)},
    "structures/CuInS2.cif": {"Cu": (1, 1), "In": (1, 3), "S": (2, -2)},
    "structures/CuInSe2.cif": {"Cu": (1, 1), "In": (1, 3), "Se": (2, -2)},
    "structures/CsPbBr3.cif": {"Cs": (1, 1), "Pb": (1, 2), "Br": (3, -1)},
    "structures/InP.cif": {"In": (1, 3), "P": (1, -3)},
    "structures/InAs.cif": {"In": (1, 3), "As": (1, -3)},
    "structures/CdTe.cif": {"Cd": (1, 2), "Te": (1, -2)},
    "structures/ZnO.cif": {"Zn": (1, 2), "O": (1, -2)},
    "crystals/PbTe.cif": {"Pb": (1, 2), "Te": (1, -2)},
}
"""Own crystals: ions of a formula unit and their textbook oxidation states."""
CLOSEST = {"AgBiS2": 2.82, "Cs2AgBiBr6": 2.79, "SnS": 2.62, "CuInS2": 2.33, "CuInSe2": 2.42, "CsPbBr3": 2.93,
           "InP": 2.54, "InAs": 2.62, "CdTe": 2.80, "ZnO": 1.97, "PbTe": 3.22}  # fmt: skip
"""Shortest bond of each, Å, rounded down, from the cell and the coordinates in the file by hand."""


def asked(name: str, **wish: object) -> DotRequest:
    return DotRequest(material=str(DATA / name), **wish)


def charge_by_hand(name: str, composition: dict[str, int], *, ligand: str) -> int:
    states = {ligand: -1} | {element: state for element, (_, state) in OWN[name].items()}
    return sum(count * states[element] for element, count in composition.items())


@settings(deadline=None, derandomize=True, max_examples=60)
@given(name=st.sampled_from(sorted(OWN)), shape=st.sampled_from(["sphere", "octahedron", "cuboctahedron", "cube"]),
       size=st.floats(16.0, 27.0), surface=st.sampled_from(["stoichiometric", "as-cut", "metal-rich"]),
       seed=st.integers(0, 3))  # fmt: skip
def test_dots_of_own_crystals_are_neutral_or_refused_with_what_does(
    name: str, shape: str, size: float, surface: str, seed: int
) -> None:
    ligand = "I" if "Br" not in name else "Br"
    request = asked(name, shape=shape, diameter=size, surface=surface, seed=seed,
                    ligand=None if surface == "stoichiometric" else ligand)  # fmt: skip
    try:
        atoms, content = requested_dot(request)
    except UsageError as error:
        words = re.search(r"; (--[^;]*) would do$", str(error))
        assert words, str(error)
        options = dict(re.findall(r"--(\w+) (\S+)", words[1]))
        followed = replace(request, **{k: float(v) if k == "diameter" else v for k, v in options.items()})
        assert not surface_of_other_charge(followed)
        atoms, content = requested_dot(followed)
        surface, ligand = followed.surface, followed.ligand or ligand
    composition = content["composition"]
    assert charge_by_hand(name, composition, ligand=ligand) == content["formal_charge"]["total"] == 0
    assert int(atoms.get_array("formal_charge").sum()) == 0
    # A ligand of smaller radius than the anion in whose place it stands comes a little closer.
    assert content["min_distance_angstrom"] >= (1.0 if surface == "stoichiometric" else 0.9) * CLOSEST[Path(name).stem]
    if surface == "stoichiometric":
        units = {element: composition[element] / share for element, (share, _) in OWN[name].items()}
        assert len(set(units.values())) == 1
    if surface != "metal-rich":
        kinds = Counter(change["action"] for change in content["changes"])
        ions_as_cut = content["n_atoms"] + kinds["remove"] - kinds["add"]
        assert kinds["remove"] + kinds["swap"] <= 0.2 * ions_as_cut


def surface_of_other_charge(request: DotRequest) -> bool:
    """Whether a request leaves its dot charged by what it asks for."""
    return request.surface == "as-cut" and request.ligand is None


def test_a_cube_of_whole_perovskite_cells_loses_nothing() -> None:
    """Three whole cells along each edge hold 27 formula units when no plane of atoms lies on a face."""
    _, content = requested_dot(
        asked("structures/CsPbBr3.cif", shape="cube", diameter=3 * 5.874, surface="stoichiometric")
    )
    assert content["composition"] == {"Br": 81, "Cs": 27, "Pb": 27}
    assert content["changes"] == []
    assert content["n_formula_units_dot"] == 27


def test_a_surface_that_consumes_the_dot_is_refused() -> None:
    with pytest.raises(UsageError, match=r"more than 20%: what is left would be another dot; --.* would do"):
        requested_dot(
            asked("structures/CsPbBr3.cif", shape="cube", diameter=17.6, surface="stoichiometric", center="metal")
        )


def test_pairs_of_anions_are_not_split() -> None:
    with pytest.raises(QdipError, match=r"FeS2|pairs S–S|oxidation"):
        requested_dot(DotRequest(material=str(DATA / "structures/FeS2.cif"), diameter=20.0))


@pytest.mark.parametrize(("name", "molecules"), [("MAPbI3", True), ("CsPbBr3:gamma", False), ("Cs2AgBiBr6", False)])
def test_halide_dots_lose_halides_where_they_are_negative(name: str, molecules: bool) -> None:
    word = str(DATA / f"crystals/{name}.cif") if "Ag" in name else name
    atoms, content = requested_dot(DotRequest(material=word, diameter=26.0, ligand="I"))
    assert content["formal_charge"]["total"] == 0
    assert (atoms.get_array("molecule") >= 0).any() == molecules
    assert {change["to"] for change in content["changes"]} <= {None, "I"}


def test_a_perovskite_with_faces_of_caesium_bromide_loses_caesium() -> None:
    """n cells: (n+1)³ Cs, n³ Pb, 3n²(n+1) Br, charge (n+1)³ + 2n³ − 3n²(n+1): 16 for five, and no place for bromide."""
    request = asked("structures/CsPbBr3.cif", shape="cube", diameter=5 * 5.874, ligand="Br", center="metal")
    _, content = requested_dot(request)
    assert content["composition"] == {"Br": 3 * 25 * 6, "Cs": 6**3 - 16, "Pb": 5**3}
    assert [(c["action"], c["from"]) for c in content["changes"]] == [("remove", "Cs")] * 16
    corners = [np.abs(np.array(c["position_angstrom"])).min() for c in content["changes"][:8]]
    assert corners == pytest.approx([2.5 * 5.874] * 8, abs=1e-3)


@pytest.mark.parametrize("size", [14.0, 18.0, 22.0])
@pytest.mark.parametrize(("cation", "head", "radius"), [("Cs", "Cs", 1.67), ("MA", "N", 1.46), ("Rb", "Rb", 1.52)])
def test_every_counter_ion_touches_an_anion(cation: str, head: str, radius: float, size: float) -> None:
    """Six-coordinate radii: S 1.84, I 2.20 Å; of ammonium 1.46 Å. None may stand above a place that stays empty."""
    form = DotForm("sphere", diameter=size)
    dot, changes, _ = finished_dot(crystal_named("PbS"), form=form, ligand="I", counter_ion=cation)
    atoms = dot_atoms(dot)
    symbols = np.array(atoms.get_chemical_symbols())
    cations = atoms.positions[symbols == head]
    assert len(cations) == sum(change["to"] == cation for change in changes) > 0
    shares = [
        np.linalg.norm(cations[:, None] - atoms.positions[symbols == name][None], axis=2).min(axis=1) / (radius + own)
        for name, own in (("S", 1.84), ("I", 2.20))
        if (symbols == name).any()
    ]
    assert np.min(shares, axis=0).max() < 1.05
    assert charge_of(dot) == 0
