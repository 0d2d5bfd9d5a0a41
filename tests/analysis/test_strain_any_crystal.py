"""Strain of dots and matrices of any ionic crystal: published cells, planted deformations, other orientations."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.spacegroup import crystal as in_space_group
from scipy.spatial.transform import Rotation

from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.reference import built_as_said, built_from
from qdip_struct.analysis.strain.strain_summary import summarise
from qdip_struct.analysis.strain.sublattice import crystal_sublattice
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import crystal_to_cut
from qdip_struct.builders.atoms.store import write_structure
from qdip_struct.builders.dot.dot_request import EmbedRequest, requested_embedding
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.structure_files import read_structure

SHIPPED = Path(__file__).parents[2] / "structures"
DATA = Path(__file__).parents[1] / "data"
RIGHT = [90.0, 90.0, 90.0]
CELLS = {
    "PbTe": (["Pb", "Te"], [(0, 0, 0), (0.5, 0.5, 0.5)], 225, [6.462] * 3 + RIGHT),
    "CdTe": (["Cd", "Te"], [(0, 0, 0), (0.25, 0.25, 0.25)], 216, [6.482] * 3 + RIGHT),
    "InP": (["In", "P"], [(0, 0, 0), (0.25, 0.25, 0.25)], 216, [5.8687] * 3 + RIGHT),
    "InAs": (["In", "As"], [(0, 0, 0), (0.25, 0.25, 0.25)], 216, [6.0583] * 3 + RIGHT),
    "AgBiS2": (["Ag", "Bi", "S"], [(0, 0, 0), (0.5, 0.5, 0.5), (0, 0, 0.5)], 123, [3.9937, 3.9937, 5.648, *RIGHT]),
    "Cs2AgBiBr6": (
        ["Cs", "Ag", "Bi", "Br"], [(0.25, 0.25, 0.25), (0.5, 0.5, 0.5), (0, 0, 0), (0.2511, 0, 0)], 225,
        [11.25] * 3 + RIGHT,
    ),
    "CuInS2": (["Cu", "In", "S"], [(0, 0, 0), (0, 0, 0.5), (0.229, 0.25, 0.125)], 122, [5.52, 5.52, 11.12, *RIGHT]),
    "SnS": (["Sn", "S"], [(0.1194, 0.25, 0.1198), (0.8508, 0.25, 0.4793)], 62, [11.200, 3.987, 4.334, *RIGHT]),
    "SnO2": (["Sn", "O"], [(0, 0, 0), (0.3056, 0.3056, 0)], 136, [4.737, 4.737, 3.186, *RIGHT]),
    "TiO2": (["Ti", "O"], [(0, 0, 0), (0, 0, 0.2081)], 141, [3.785, 3.785, 9.514, *RIGHT]),
    "ZnO": (["Zn", "O"], [(1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, 0.3819)], 186, [3.2498, 3.2498, 5.2066, 90.0, 90.0, 120.0]),
    "Bi2S3": (
        ["Bi", "Bi", "S", "S", "S"],
        [(0.0166, 0.25, 0.6746), (0.3409, 0.25, 0.4660), (0.0508, 0.25, 0.1300), (0.3770, 0.25, 0.0590),
         (0.2170, 0.25, 0.8070)],
        62, [11.269, 3.9717, 11.129, *RIGHT],
    ),
    "CsBr": (["Cs", "Br"], [(0, 0, 0), (0.5, 0.5, 0.5)], 221, [4.286] * 3 + RIGHT),
}  # fmt: skip
KINDS = (*CELLS, "CsPbI3")
SHEARED = np.array([[0.013, 0.004, -0.006], [0.004, -0.009, 0.005], [-0.006, 0.005, 0.007]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("crystals")
    for name, (symbols, basis, group, cell) in CELLS.items():
        write(made / f"{name}.cif", in_space_group(symbols, basis, spacegroup=group, cellpar=cell))
    (made / "CsPbI3.cif").write_bytes((SHIPPED / "CsPbI3_delta.cif").read_bytes())
    return made


@cache
def _crystal(path: Path) -> Crystal:
    return crystal_to_cut(str(path))


def _bulk(path: Path, turn: Rotation | None = None, deformed: np.ndarray | None = None) -> Atoms:
    """A supercell of the crystal in the axes of its record, at least 12 Å wide, deformed, then turned."""
    own = _crystal(path)
    atoms = Atoms([s.species for s in own.sites], scaled_positions=[s.position for s in own.sites], cell=own.cell)
    atoms.pbc = True
    atoms = atoms.repeat(np.ceil(12.0 / atoms.cell.lengths()).astype(int))
    gradient = (np.eye(3) if turn is None else turn.as_matrix()) @ (np.eye(3) if deformed is None else deformed)
    atoms.set_cell(atoms.cell.array @ gradient.T, scale_atoms=True)
    return atoms


def _measured(atoms: Atoms, path: Path) -> np.ndarray:
    (phase,) = find_phases(atoms).roles
    summary = summarise([atoms], structures={phase: _crystal(path)})
    assert summary.strain.defined.all()
    return summary.tensor


@pytest.mark.parametrize("name", KINDS)
def test_an_unstrained_crystal_reads_zero_in_every_component(name: str, folder: Path) -> None:
    assert np.abs(_measured(_bulk(folder / f"{name}.cif"), folder / f"{name}.cif")).max() < 1e-9


@pytest.mark.parametrize("name", KINDS)
def test_a_homogeneous_deformation_is_given_back(name: str, folder: Path) -> None:
    """F = 1 + E with E symmetric: the engineering strain is E itself."""
    path = folder / f"{name}.cif"
    tensor = _measured(_bulk(path, deformed=np.eye(3) + SHEARED), path)
    assert np.abs(tensor - SHEARED).max() < 1e-9


@pytest.mark.parametrize("turn", [(23.0, (1, 2, 3)), (90.0, (1, 0, 0)), (90.0, (0, 1, 0)), (131.0, (3, -1, 2))])
@pytest.mark.parametrize("name", KINDS)
def test_a_turned_crystal_has_the_same_strain(
    name: str, turn: tuple[float, tuple[int, int, int]], folder: Path
) -> None:
    """Also where a, b or c/2 are alike to 1 %: chalcopyrite on its side is not strained by its tetragonality."""
    angle, axis = turn
    rotation = Rotation.from_rotvec(np.radians(angle) * np.array(axis) / np.linalg.norm(axis))
    path = folder / f"{name}.cif"
    tensor = _measured(_bulk(path, turn=rotation, deformed=np.eye(3) + SHEARED), path)
    expected = np.linalg.eigvalsh(SHEARED)
    assert np.abs(np.linalg.eigvalsh(tensor) - expected).max() < 1e-9


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        # By hand: bct metals of rutile, 2 along c and 8 along the body diagonal; anatase, 4 + 4; a simple cubic lattice
        # of Ag and Bi together, a/2; the face-centred tetragonal one of Cu and In together.
        ("SnO2", {3.186: 2, (2 * 4.737**2 + 3.186**2) ** 0.5 / 2: 8}),
        ("TiO2", {((3.785 / 2) ** 2 + (9.514 / 4) ** 2) ** 0.5: 4, 3.785: 4}),
        ("Cs2AgBiBr6", {5.625: 6}),
        ("CuInS2", {5.52 / 2**0.5: 4, ((5.52 / 2) ** 2 + (11.12 / 4) ** 2) ** 0.5: 8}),
    ],
)
def test_neighbours_are_those_of_the_cell(name: str, lengths: dict[float, int], folder: Path) -> None:
    for vectors in crystal_sublattice(_crystal(folder / f"{name}.cif"), source="").arrays:
        found = np.linalg.norm(vectors, axis=1)
        assert len(found) == sum(lengths.values())
        for length, count in lengths.items():
            assert np.isclose(found, length, atol=1e-6).sum() == count


@pytest.mark.parametrize(
    ("dot", "matrix"),
    [
        ("InP", "CsPbBr3"), ("CdTe", "CsPbBr3"), ("InAs", "CsPbBr3"), ("PbTe", "CsPbBr3"), ("ZnO", "CsPbBr3"),
        ("CuInS2", "CsPbBr3"), ("SnS", "CsPbBr3"), ("SnO2", "CsPbBr3"), ("AgBiS2", "Cs2AgBiBr6"),
    ],
)  # fmt: skip
def test_a_dot_at_its_own_lattice_is_unstrained_and_so_is_the_matrix(
    dot: str, matrix: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    word = f"{matrix}.cif" if matrix in CELLS else matrix
    request = EmbedRequest(
        dot=f"{dot}.cif", matrix=word, cells="3,3,3" if matrix in CELLS else "5,5,5", diameter=16.0, mode="insert",
        neutral="off",
    )  # fmt: skip
    atoms = requested_embedding(request).atoms
    crystals = {"dot": _crystal(folder / f"{dot}.cif")}
    if matrix in CELLS:
        crystals["matrix"] = _crystal(folder / f"{matrix}.cif")
    summary = summarise([atoms], structures=crystals)
    assert set(summary.phases.roles.values()) == {"dot", "matrix"}
    for role in ("dot", "matrix"):
        rows = summary.phases.role_of()[summary.strain.sites] == role
        tensor = summary.tensor[rows & summary.strain.defined]
        assert len(tensor) > 8
        assert np.abs(tensor).max() < 1e-6
    if dot == "PbTe":
        assert summary.continuum is not None
        assert summary.continuum.misfit == pytest.approx(5.851708 / 6.462 - 1.0, abs=1e-6)
        return
    assert summary.continuum is None
    assert "no elastic moduli for" in summary.continuum_reason or "not cubic" in summary.continuum_reason


def test_a_planted_strain_of_a_dot_is_found_in_the_dot_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    built = requested_embedding(
        EmbedRequest(dot="SnS.cif", matrix="CsPbBr3", cells="5,5,5", diameter=16.0, mode="insert", neutral="off")
    )
    atoms = built.atoms
    inside = atoms.arrays["dot"] >= 0
    centre = atoms.positions[inside].mean(axis=0)
    atoms.positions[inside] = centre + (atoms.positions[inside] - centre) @ (np.eye(3) + SHEARED).T
    summary = summarise([atoms], structures={"dot": _crystal(folder / "SnS.cif")})
    own = (summary.strain.phase == "SnS") & summary.strain.defined
    assert np.abs(summary.tensor[own] - SHEARED).max() < 1e-9
    assert summary.regions["matrix"].mean == pytest.approx(0.0, abs=1e-9)


def test_the_sidecar_says_what_a_part_was_built_from(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from qdip_struct.cli.main import main

    monkeypatch.chdir(folder)
    out = tmp_path / "embedded.extxyz"
    words = ["--dot", "CuInS2.cif", "--diameter", "14", "--matrix", "CsPbBr3", "--cells", "4,4,4", "--neutral", "off"]
    assert main(["build", "embed", *words, "-o", str(out)]) == 0
    own = built_from(out)
    assert own["dot"].crystal is not None
    assert own["dot"].crystal.lengths == (5.52, 5.52, 11.12)
    assert own["dot"].source == "CuInS2.cif, from embedded.json"
    summary = summarise([read_structure(out)], built=own)
    assert summary.strain.references["CuInS2"].source == "CuInS2.cif, from embedded.json"
    assert summary.to_dict()["phases"]["CuInS2"]["reference_cell_angstrom"] == (5.52, 5.52, 11.12)
    assert summary.regions["dot"].mean == pytest.approx(0.0, abs=1e-9)
    # The cell and its sites stand in the sidecar: the file is not needed again.
    monkeypatch.chdir(tmp_path)
    alone = summarise([read_structure(out)], built=built_from(out))
    assert np.abs(alone.tensor - summary.tensor)[summary.strain.defined].max() < 1e-9
    # Without the sites, as older sidecars are, it is.
    said = json.loads((tmp_path / "embedded.json").read_text())
    del said["crystal_sites"]
    gone = built_as_said(said, where=tmp_path / "embedded.json")
    assert gone["dot"].crystal is None
    with pytest.raises(UsageError, match=r"--crystal CuInS2=FILE; CuInS2.cif, of which it was built, is gone"):
        summarise([read_structure(out)], built=gone)
    monkeypatch.chdir(folder)
    assert built_as_said(said, where=tmp_path / "embedded.json")["dot"].crystal.lengths == (5.52, 5.52, 11.12)
    # A structure that is not the one the sidecar speaks of has none.
    atoms = read_structure(out)
    atoms.positions += 0.1
    write_structure(tmp_path / "moved.extxyz", atoms, provenance={}, report={})
    (tmp_path / "moved.json").write_bytes((tmp_path / "embedded.json").read_bytes())
    assert built_from(tmp_path / "moved.extxyz") == {}


def test_a_cubic_binary_needs_no_more_than_its_constant(folder: Path) -> None:
    path = folder / "InP.cif"
    atoms = _bulk(path, deformed=np.eye(3) * 1.01)
    found = summarise([atoms], lattices={"InP": 5.8687})
    assert found.regions["dot"].mean == pytest.approx(0.01, abs=1e-9)


def test_silver_and_bismuth_on_one_site_are_held_against_the_mean_lattice() -> None:
    """Rock salt with Ag and Bi drawn at random: the mean lattice is the face-centred one of the mixed crystal."""
    ordered = in_space_group(["Bi", "S"], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=225, cellpar=[5.648] * 3 + RIGHT)
    atoms = ordered.repeat((3, 3, 3))
    metal = np.flatnonzero(atoms.symbols == "Bi")
    atoms.symbols[np.random.default_rng(3).permutation(metal)[: len(metal) // 2]] = "Ag"
    mean = crystal_to_cut(str(DATA / "crystals" / "AgBiS2_dis.cif"))
    (phase,) = find_phases(atoms).roles
    assert phase == "AgBiS2"
    summary = summarise([atoms], structures={phase: mean})
    assert summary.regions["dot"].n == len(metal)
    assert np.abs(summary.tensor).max() < 1e-9


def test_a_crystal_of_another_phase_is_refused_and_says_why() -> None:
    """Yellow CsPbI3 against the cube of the black one: no neighbour where it should be, no table of nothing."""
    atoms = read_structure(SHIPPED / "CsPbI3_delta.cif").repeat((1, 3, 1))
    with pytest.raises(DataError, match=r"12 cations of CsPbI3 .* neighbours of the reference .* --crystal NAME=FILE"):
        summarise([atoms])
    assert np.abs(summarise([atoms], structures={"CsPbI3": "CsPbI3:delta"}).tensor).max() < 1e-6
