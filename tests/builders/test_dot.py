"""Free dots: counts, shells, sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.regions import formal_charge_of
from qdip_struct.builders.dot.dot import block, cut_dot, dot_atoms, dot_report, in_vacuum, scale_for
from qdip_struct.builders.dot.dot_request import DotRequest, EmbedRequest, requested_dot, requested_embedding
from qdip_struct.builders.dot.embedding_options import DotForm, make_shell
from qdip_struct.builders.dot.parent import centre_point, on_parent_lattice
from qdip_struct.builders.dot.shapes import make_shape
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_named

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["PbS", "NaI", "CdSe:zincblende", "CdSe:wurtzite"])
@pytest.mark.parametrize("shape", ["sphere", "cube", "octahedron", "dodecahedron", "truncated-octahedron"])
def test_a_large_dot_has_the_density_of_its_crystal(name: str, shape: str) -> None:
    """To within half a layer all over the surface."""
    body = make_shape(shape, diameter=60.0)
    dot = cut_dot(crystal_named(name), form=DotForm(body))
    layer = 3.0 * 60.0**2 * 3.0
    assert abs(dot.volume - body.volume) < layer
    assert body.contains(dot.sites.positions).all()


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    name=st.sampled_from(["PbS", "CdSe:zincblende", "CdSe:wurtzite"]),
    size=st.floats(8.0, 26.0),
    center=st.sampled_from(["metal", "anion", "bond", "void"]),
)
def test_bonds_are_those_of_the_crystal(name: str, size: float, center: str) -> None:
    dot = cut_dot(crystal_named(name), form=DotForm("sphere", diameter=size, center=center))
    metal = dot.sites.sublattice == "cation"
    if metal.all() or not metal.any() or len(metal) < 30:
        return
    length = {"PbS": 5.936 / 2, "CdSe:zincblende": 6.052 * np.sqrt(3) / 4, "CdSe:wurtzite": 2.63}[name]
    points = dot.sites.positions
    inner = np.linalg.norm(points[metal], axis=1) < size / 2 - 1.3 * length
    found = cKDTree(points[~metal]).query_ball_point(points[metal][inner], 1.15 * length, return_length=True)
    assert set(np.atleast_1d(found)) <= {6 if name == "PbS" else 4}
    distance, _ = cKDTree(points).query(points, k=2)
    assert distance[:, 1].min() > 0.97 * length


def test_centres_put_what_they_say_in_the_middle() -> None:
    body = make_shape("sphere", diameter=20.0)
    for center, species, distance in (("metal", "Pb", 0.0), ("anion", "S", 0.0), ("a-site", "S", 0.0)):
        dot = cut_dot(crystal_named("PbS"), form=DotForm(body, center=center))
        away = np.linalg.norm(dot.sites.positions, axis=1)
        assert away.min() == pytest.approx(distance, abs=1e-9)
        assert dot.sites.species[away.argmin()] == species
    bond = np.sort(
        np.linalg.norm(cut_dot(crystal_named("PbS"), form=DotForm(body, center="bond")).sites.positions, axis=1)
    )[:2]
    assert bond == pytest.approx([5.936 / 4] * 2)
    void = np.sort(
        np.linalg.norm(cut_dot(crystal_named("PbS"), form=DotForm(body, center="void")).sites.positions, axis=1)
    )[:8]
    assert void == pytest.approx([5.936 * np.sqrt(3) / 4] * 8)


@pytest.mark.parametrize("n_atoms", [100, 300, 1000])
@pytest.mark.parametrize("shape", ["sphere", "octahedron", "wulff"])
def test_size_by_number_of_atoms(n_atoms: int, shape: str) -> None:
    body = make_shape(shape, diameter=20.0, energies={(1, 0, 0): 16.0, (1, 1, 1): 20.0})
    factor = scale_for(crystal_named("PbS"), form=DotForm(body), n_atoms=n_atoms)
    n = len(cut_dot(crystal_named("PbS"), form=DotForm(body.scaled(factor))).sites)
    for other in (0.97 * factor, 1.03 * factor):
        assert abs(n - n_atoms) <= abs(
            len(cut_dot(crystal_named("PbS"), form=DotForm(body.scaled(other))).sites) - n_atoms
        )


def test_a_shell_keeps_the_core_and_its_lattice() -> None:
    core, body = crystal_named("CdSe:zincblende"), make_shape("sphere", diameter=20.0)
    bare, coated = (
        cut_dot(core, form=DotForm(body)),
        cut_dot(core, form=DotForm(body, shell=make_shell("CdS", thickness=6.0))),
    )
    within = coated.region == "dot"
    assert np.array_equal(coated.sites.positions[within], bare.sites.positions)
    assert set(coated.sites.species[~within]) == {"Cd", "S"}
    reach = np.linalg.norm(coated.sites.positions[~within], axis=1)
    assert reach.min() > 10.0
    assert reach.max() <= 16.0 + 1e-5


def test_a_graded_shell_goes_from_the_first_species_to_the_second() -> None:
    shell = make_shell("CdZnS", thickness=16.0)
    dot = cut_dot(crystal_named("CdSe:zincblende"), form=DotForm("sphere", diameter=16.0, shell=shell), seed=1)
    reach = np.linalg.norm(dot.sites.positions, axis=1)
    metal = (dot.region == "shell") & (dot.sites.sublattice == "cation")
    shares = [
        np.mean(dot.sites.species[metal & (reach > low) & (reach <= low + 4.0)] == "Cd")
        for low in (8.0, 12.0, 16.0, 20.0)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares == pytest.approx([0.875, 0.625, 0.375, 0.125], abs=0.12)


def test_mixed_cores_hold_whole_counts() -> None:
    dot = cut_dot(crystal_named("PbS0.5Se0.5"), form=DotForm("sphere", diameter=24.0))
    anions = dot.sites.species[dot.sites.sublattice == "anion"]
    assert abs(np.count_nonzero(anions == "S") - np.count_nonzero(anions == "Se")) <= 1
    assert parse_formula("PbS0.25Se0.75").occupancies == {"anion": {"S": 0.25, "Se": 0.75}}


def test_the_vacuum_box_and_the_report() -> None:
    dot = cut_dot(crystal_named("PbS"), form=DotForm("cube", diameter=12.0, center="metal"))
    atoms = in_vacuum(dot_atoms(dot), vacuum=10.0)
    assert np.allclose(np.diag(atoms.cell.array) - np.ptp(atoms.positions, axis=0), 10.0)
    assert np.allclose(atoms.positions.min(axis=0) + atoms.positions.max(axis=0), np.diag(atoms.cell.array))
    content = dot_report(atoms, dot=dot, changes=[], seed=0)
    assert content["n_atoms"] == 125
    assert content["formal_charge"]["total"] == formal_charge_of(atoms)["total"] == 2
    assert content["extent_angstrom"] == pytest.approx([2 * 5.936] * 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: cut_dot(crystal_named("PbS"), form=DotForm(shell=make_shell("CsPbBr3", thickness=5.0))),
            "is no shell on",
        ),
        (lambda: make_shell("CdS", thickness=-1.0), "thick"),
        (lambda: make_shell("CdZnSSe", thickness=5.0), "graded shell"),
        (
            lambda: cut_dot(crystal_named("CdSe:zincblende"), form=DotForm("cube", diameter=9, termination="BX2")),
            "'site'",
        ),
        (lambda: cut_dot(crystal_named("PbS"), form=DotForm("cube", diameter=9, center="middle")), "unknown center"),
        (lambda: cut_dot(crystal_named("PbS"), form=DotForm("cube", diameter=0.1, center="void")), "no site of"),
        (lambda: scale_for(crystal_named("PbS"), form=DotForm("cube", diameter=9), n_atoms=1), "2 or more"),
        (lambda: crystal_named("Foo3"), "Foo"),
        (lambda: crystal_named("Pb(S,Se)"), "open"),
    ],
)
def test_refusals(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=words):
        call()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("PbS", True), ("NaI", True), ("CsPbBr3:cubic", True), ("MAPbBr3", True), ("CdSe:zincblende", False),
     ("CdSe:wurtzite", False), ("CsPbI3:gamma", False), ("MAPbI3:tetragonal", False)],
)  # fmt: skip
def test_rock_salt_and_cubic_perovskites_share_the_parent_lattice_of_half_cells(name: str, expected: bool) -> None:
    crystal = get_crystal(name)
    assert on_parent_lattice(crystal) == expected
    first, *others = crystal.sites
    x, y, z = first.position
    assert not on_parent_lattice(replace(crystal, sites=(replace(first, position=(x, y + 0.02, z)), *others)))


@pytest.mark.parametrize("name", ["PbS", "NaI", "CdSe:zincblende"])
def test_bonds_and_voids_lie_between_the_ions(name: str) -> None:
    """Half a bond from one metal and one anion; in rock salt the void is the centre of an eighth of the cube."""
    crystal = get_crystal(name)
    a, bond = crystal.lengths[0], {"PbS": 0.5, "NaI": 0.5, "CdSe:zincblende": 3**0.5 / 4}[name]

    def around(center: str) -> tuple[np.ndarray, np.ndarray]:
        sites = block(crystal, radius=1.2 * a, origin=centre_point(crystal, center=center))
        distances = np.linalg.norm(sites.positions, axis=1)
        return tuple(np.sort(distances[sites.sublattice == kind]) for kind in ("cation", "anion"))

    for side in around("bond"):
        assert side[0] == pytest.approx(bond * a / 2) and side[1] > 1.2 * side[0]
    metal, anion = around("metal"), around("anion")
    assert (metal[0][0], metal[1][0]) == pytest.approx((0.0, bond * a))
    assert (anion[1][0], anion[0][0]) == pytest.approx((0.0, bond * a))
    if bond == 0.5:
        for side in around("void"):
            assert side[:4] == pytest.approx([3**0.5 / 4 * a] * 4)


def test_a_boxed_dot_has_half_the_vacuum_on_every_side() -> None:
    atoms = dot_atoms(cut_dot(crystal_named("PbS"), form=DotForm("cube", diameter=12.0)))
    atoms.positions += (70.0, -3.0, 0.4)
    boxed = in_vacuum(atoms, vacuum=17.0)
    assert boxed.positions.min(axis=0) == pytest.approx([8.5] * 3)
    assert np.diag(boxed.cell) - boxed.positions.max(axis=0) == pytest.approx([8.5] * 3)


def test_the_a_site_of_a_tetragonal_perovskite_is_an_a_site_and_a_binary_has_none() -> None:
    crystal = get_crystal("MAPbI3:tetragonal")
    a_sites = np.array([site.position for site in crystal.sites if site.label == "A"]) @ crystal.cell
    away = a_sites - centre_point(crystal, center="a-site")
    away -= np.rint(away @ np.linalg.inv(crystal.cell)) @ crystal.cell
    assert np.linalg.norm(away, axis=1).min() < 1e-6
    with pytest.raises(UsageError, match="no A site"):
        centre_point(get_crystal("CdSe:zincblende"), center="a-site")


@pytest.mark.parametrize("name", ["CsPbBr3:cubic", "PbS"])
def test_the_bond_centre_is_halfway_between_a_metal_and_an_anion_of_either_crystal(name: str) -> None:
    crystal = get_crystal(name)
    here = centre_point(crystal, center="bond") / crystal.lengths[0]
    for labels in (("B", "cation"), ("X", "anion")):
        sites = np.array([site.position for site in crystal.sites if site.label in labels])
        away = (sites - here + 0.5) % 1.0 - 0.5
        assert np.linalg.norm(away, axis=1).min() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("material", "thickness", "cations", "anions"),
    [("CdSe:zincblende", "4ML", 5, 4), ("CdSe:zincblende", "5ML", 6, 5), ("PbS", "4ML", 4, 4), ("PbS", "3ML", 3, 3),
     ("CsPbBr3:cubic", "2ML", 2, 5), ("CsPbBr3:cubic", "3ML", 3, 7)],
)  # fmt: skip
def test_platelets_have_the_planes_of_their_monolayers(
    material: str, thickness: str, cations: int, anions: int
) -> None:
    """Colloidal CdSe of n monolayers has n planes of Se between n + 1 of Cd; CsPbBr3 n octahedra between n + 1 CsBr."""
    atoms, content = requested_dot(DotRequest(material=material, shape="platelet", diameter=24.0, thickness=thickness))
    metal = atoms.get_array("formal_charge") >= 2
    anion = atoms.get_array("formal_charge") < 0
    planes = [len(np.unique(np.round(atoms.positions[kind][:, 2], 2))) for kind in (metal, anion)]
    assert planes == [cations, anions]
    assert content["shape"] == "platelet"


def test_rods_lie_along_their_axis() -> None:
    for axis, along in (("001", (0, 0, 1)), ("100", (1, 0, 0)), ("111", (1, 1, 1))):
        atoms, _ = requested_dot(DotRequest(material="PbS", shape="rod", diameter=15.0, length=45.0, axis=axis))
        unit = np.array(along) / np.linalg.norm(along)
        length = np.ptp(atoms.positions @ unit)
        assert 45.0 - 6.0 < length <= 45.0 + 1e-3


def test_a_rod_with_a_shell_grows_on_all_sides() -> None:
    core, _ = requested_dot(DotRequest(material="CdSe", shape="rod", diameter=16.0, length=30.0))
    both, content = requested_dot(
        DotRequest(material="CdSe", shape="rod", diameter=16.0, length=30.0, shell="CdS", shell_thickness=6.0)
    )
    assert content["regions"]["shell"] > content["regions"]["dot"] > 0.8 * len(core)
    assert np.ptp(both.positions, axis=0) == pytest.approx([28.0, 28.0, 42.0], abs=3.5)


def test_a_perovskite_core_takes_a_perovskite_shell() -> None:
    atoms, content = requested_dot(
        DotRequest(
            material="CsPbBr3:cubic", diameter=20.0, shell="CsPbCl3", shell_thickness=6.0, surface="stoichiometric"
        )
    )
    shell = atoms.get_array("region") == "shell"
    assert set(atoms.symbols[shell]) == {"Cs", "Pb", "Cl"}
    assert set(atoms.symbols[~shell]) == {"Cs", "Pb", "Br"}
    assert content["formal_charge"]["total"] == 0


def test_a_shell_on_chalcopyrite_is_strained_by_the_volume_of_an_ion() -> None:
    """CuInS2 5.523² · 11.133 Å³ for 16 ions, ZnS 5.4093³ Å³ for 8."""
    request = DotRequest(
        material=str(DATA / "structures/CuInS2.cif"), diameter=18.0, shell="ZnS", shell_thickness=5.0, ligand="Cl"
    )
    atoms, content = requested_dot(request)
    wanted = (5.523**2 * 11.133 / 16 / (5.4093**3 / 8)) ** (1 / 3) - 1
    assert content["initial_strain"] == {"dot": pytest.approx(0.0), "shell": pytest.approx(wanted, abs=1e-6)}
    assert content["formal_charge"]["total"] == 0
    assert set(atoms.symbols[atoms.get_array("region") == "shell"]) == {"Zn", "S"}


@pytest.mark.parametrize("shape", ["cuboctahedron", "rod", "platelet"])
def test_named_shapes_go_into_a_matrix(shape: str) -> None:
    size = {"rod": {"length": 30.0}, "platelet": {"thickness": "2ML"}}.get(shape, {})
    request = EmbedRequest(dot="PbS", matrix="CsPbI3:cubic", cells="6,6,8", diameter=16.0, shape=shape, **size)
    built = requested_embedding(request)
    x, y, z = built.report["extent_angstrom"]
    assert built.report["formal_charge"]["total"] == 0
    assert x == pytest.approx(y)
    assert {"cuboctahedron": x == pytest.approx(z), "rod": z > 1.5 * x, "platelet": z < 0.7 * x}[shape]


def test_a_dot_is_of_its_crystal_whatever_the_file_is_called(tmp_path):
    from ase.build import bulk
    from ase.io import write

    from qdip_struct.builders.atoms.cells import crystal_to_cut

    for name, atoms in (("PbS", bulk("PbS", "rocksalt", a=5.936)), ("CdSe", bulk("CdSe", "zincblende", a=6.05))):
        write(tmp_path / "POSCAR", atoms, format="vasp", sort=True)
        assert crystal_to_cut(str(tmp_path / "POSCAR")).name == name
