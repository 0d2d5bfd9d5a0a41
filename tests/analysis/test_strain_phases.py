"""Phases of cations by label and by chemistry, and the reference lattices that follow."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from known_strain import A_DOT, A_MATRIX, cubic_perovskite, known_dot, rock_salt

from qdip_struct.analysis.strain.phases import cations_of, chemical_phases, find_phases
from qdip_struct.analysis.strain.reference import measured_reference, references_of
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.strain_summary import summarise
from qdip_struct.analysis.strain.sublattice import rocksalt, sublattice_of
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.dot.dot_request import DotRequest, EmbedRequest, requested_dot, requested_embedding
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_named, read_structure


def test_labels_of_the_builder_decide(embedded):
    phases = find_phases(embedded.atoms)
    assert phases.origin == "labels"
    assert phases.roles == {"CsPbI3": "matrix", "PbS": "dot"}
    assert (phases.labels == "PbS").sum() == 225
    assert set(phases.role_of()) == {"dot", "matrix", ""}


def test_chemistry_finds_the_same_phases_without_labels(embedded):
    bare = embedded.atoms.copy()
    for name in ("phase", "region", "dot"):
        del bare.arrays[name]
    phases = find_phases(bare)
    assert phases.origin == "chemistry"
    assert phases.roles == {"CsPbI3": "matrix", "PbS": "dot"}
    by_label = find_phases(embedded.atoms).labels
    decided = phases.labels != ""
    inner = np.linalg.norm(bare.positions - embedded.centre, axis=1) < 10.0
    assert (phases.labels[inner] == by_label[inner]).all()
    assert decided.sum() + len(phases.undecided) == (by_label != "").sum()


@pytest.mark.parametrize(
    ("atoms", "name"),
    [
        (rock_salt(2), "PbS"),
        (rock_salt(2, symbols=("Pb", "Se")), "PbSe"),
        (cubic_perovskite(2), "CsPbI3"),
        (cubic_perovskite(2, symbols=("Cs", "Sn", "Br")), "CsSnBr3"),
    ],
)
def test_names_of_pure_crystals(atoms, name):
    assert list(chemical_phases(atoms).roles) == [name]


def test_name_of_a_mixed_halide():
    atoms = cubic_perovskite(2)
    halides = np.flatnonzero(np.asarray(atoms.get_chemical_symbols()) == "I")
    symbols = np.asarray(atoms.get_chemical_symbols())
    symbols[halides[:8]] = "Br"
    atoms.set_chemical_symbols(symbols.tolist())
    assert list(chemical_phases(atoms).roles) == ["CsPbI2Br"]


def test_molecular_a_sites_are_named():
    atoms = cubic_perovskite(2, symbols=("Cs", "Pb", "I"))
    lead_and_iodine = atoms[[a.index for a in atoms if a.symbol != "Cs"]]
    places = [a.position for a in atoms if a.symbol == "Cs"]
    methylammonium = Atoms("CN" * len(places), positions=[p + np.array([d, 0, 0]) for p in places for d in (-0.7, 0.7)])
    assert list(chemical_phases(lead_and_iodine + methylammonium).roles) == ["MAPbI3"]


def test_a_structure_without_framework_is_refused():
    with pytest.raises(DataError, match="no cation with a phase"):
        find_phases(Atoms("Cs2", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True))
    assert cations_of("nonsense") is None
    assert cations_of("NaI") == ("Na",)


def test_a_cation_whose_neighbours_are_not_known_is_refused_in_a_sentence(monkeypatch):
    atoms = cubic_perovskite(2)
    atoms.symbols[atoms.symbols == "Pb"] = "Ge"
    assert find_phases(atoms).roles == {"CsGeI3": "matrix"}
    monkeypatch.setattr("qdip_struct.analysis.strain.phases.DIVALENT", ("Pb", "Ge"))
    with pytest.raises(DataError, match=r"how many anions surround Ge .* anion_cutoff and coordination to Ge"):
        find_phases(atoms)


def test_references_from_role_phase_and_data_set(embedded):
    phases = find_phases(embedded.atoms)
    given = references_of(phases, lattices={"dot": 5.987, "CsPbI3": [6.2, 6.2, 6.3]})
    assert given["PbS"].lattice_angstrom == 5.987
    assert given["CsPbI3"].lattice_angstrom == pytest.approx((6.2 * 6.2 * 6.3) ** (1 / 3))
    liu = references_of(phases, dataset="liu2019")
    assert (liu["PbS"].lattice_angstrom, liu["CsPbI3"].lattice_angstrom) == (5.94, 6.21)
    assert "Liu" in liu["PbS"].source
    with pytest.raises(UsageError, match="no phase or role 'shell'"):
        references_of(phases, lattices={"shell": 5.8})
    with pytest.raises(UsageError, match="takes one lattice constant"):
        references_of(phases, lattices={"dot": [5.9, 5.9, 6.0]})
    with pytest.raises(UsageError, match="positive length"):
        references_of(phases, lattices={"dot": -1.0})


def test_mixed_crystals_take_vegard_and_wurtzite_its_own_vectors():
    atoms = cubic_perovskite(2)
    symbols = np.asarray(atoms.get_chemical_symbols())
    symbols[np.flatnonzero(symbols == "I")[:8]] = "Br"
    atoms.set_chemical_symbols(symbols.tolist())
    phases = find_phases(atoms)
    mixed = references_of(phases, dataset="liu2019")["CsPbI2Br"]
    assert mixed.lattice_angstrom == pytest.approx((2 * 6.21 + 5.85) / 3)
    wz = sublattice_of(get_crystal("CdS:wurtzite"))
    lengths = np.linalg.norm(wz.arrays[0], axis=1)
    a, _, c = get_crystal("CdS:wurtzite").lengths
    assert sorted(set(np.round(lengths, 6))) == sorted({round(a, 6), round(np.hypot(a / np.sqrt(3), c / 2), 6)})


def test_tetragonal_crystal_with_its_axis():
    crystal = get_crystal("MAPbI3:tetragonal")
    across = sublattice_of(crystal, c_axis=0).arrays[0]
    assert np.abs(across[0]).max() == pytest.approx(crystal.lengths[2] / 2)
    assert abs(np.linalg.det(across[:3])) == pytest.approx(crystal.a_angstrom**3)
    with pytest.raises(UsageError, match="c_axis"):
        sublattice_of(crystal, c_axis=3)


def test_yellow_caesium_lead_iodide_has_the_double_chains_of_its_lead():
    """Two Pb along the chain at b, two in the other strand: the rest is beyond a wide gap (Pnma, chains along b)."""
    crystal = get_crystal("CsPbI3:delta")
    lead = sublattice_of(crystal)
    lengths = np.sort(np.linalg.norm(lead.arrays[0], axis=1))
    chain = float(min(crystal.lengths))
    assert np.isclose(lengths, chain, atol=1e-6).sum() == 2
    assert (lengths < 1.1 * chain).sum() == 4
    assert lengths[4] > 1.5 * chain
    assert lead.volume_per_cation_angstrom3 == pytest.approx(crystal.volume / 4)


def test_reference_measured_on_the_dot_in_vacuum():
    known = known_dot(6, 22.0)
    dot = known.atoms[known.atoms.arrays["dot"] >= 0]
    found, spread = measured_reference(dot, phase="PbS", start=rocksalt("PbS", A_DOT), source="vacuum")
    assert found.lattice_angstrom == pytest.approx(A_DOT * 1.005, abs=1e-10)
    assert spread < 1e-10
    labels = find_phases(known.atoms).labels
    only_dot = np.where(labels == "PbS", labels, "")
    strain = strain_map(known.atoms, phases=only_dot, references={"PbS": found})
    assert np.abs(strain.mean()).max() < 1e-12
    with pytest.raises(DataError, match="holds no PbSe"):
        measured_reference(dot, phase="PbSe", start=rocksalt("PbSe", 6.1), source="vacuum")
    assert A_MATRIX > A_DOT


def test_labels_that_name_no_crystal_take_no_part():
    atoms = rock_salt(2) + Atoms("OH2", positions=np.zeros((3, 3)))
    atoms.set_array("phase", np.array(["PbS"] * (len(atoms) - 3) + ["the solvent"] * 3))
    phases = find_phases(atoms)
    assert phases.roles == {"PbS": "dot"}
    assert set(phases.labels[np.array(atoms.get_chemical_symbols()) == "Pb"]) == {"PbS"}
    assert set(phases.labels[-3:]) == {""}


@pytest.mark.parametrize("phase", ["CsPbBr3:gamma", "CsPbI3:gamma", "MAPbI3:tetragonal"])
@pytest.mark.parametrize("turn", [(0.0, (0, 0, 1)), (90.0, (1, 0, 0)), (35.0, (1, 2, 3))])
def test_an_unstrained_distorted_perovskite_reads_zero_and_a_planted_strain_itself(
    phase: str, turn: tuple[float, tuple[int, int, int]]
) -> None:
    """Three lengths and angles of the phase: no component is strained, however it lies; the cube reads ±0.6 %."""
    name = phase.partition(":")[0]
    crystal = crystal_named(phase)
    sites = [site for site in crystal.sites if site.label != "A"]
    atoms = Atoms([s.species for s in sites], scaled_positions=[s.position for s in sites], cell=crystal.cell, pbc=True)
    atoms = atoms.repeat((2, 2, 2))
    atoms.rotate(*turn, rotate_cell=True)
    atoms.set_array("phase", np.full(len(atoms), name))
    free = summarise([atoms], structures={name: phase})
    assert np.abs(free.tensor).max() < 1e-9
    assert all(abs(line.strain) < 1e-9 for line in free.lines)
    planted = np.diag([1.004, 0.997, 1.001])
    atoms.set_cell(atoms.cell.array @ planted, scale_atoms=True)
    read = np.sort(np.linalg.eigvalsh(summarise([atoms], structures={name: phase}).tensor), axis=1)
    assert read == pytest.approx(np.tile([-0.003, 0.001, 0.004], (len(read), 1)), abs=1e-9)
    assert np.abs(summarise([atoms], structures={name: name}, lattices={name: crystal.a_angstrom}).tensor).max() > 0.003


def test_the_file_of_gamma_caesium_lead_bromide_is_unstrained() -> None:
    atoms = read_structure(Path(__file__).parents[2] / "structures" / "CsPbBr3_gamma.cif").repeat((2, 2, 2))
    assert np.abs(summarise([atoms], structures={"CsPbBr3": "CsPbBr3:gamma"}).tensor).max() < 1e-4


@pytest.mark.parametrize("shell", ["CdZnS", "Cd0.5Zn0.5S", "ZnS"])
def test_a_shell_is_measured_against_itself(shell: str) -> None:
    """Vegard by hand between CdS 5.82 and ZnS 5.409 Å; every Cd and Zn of the shell counted, no Cd of the core."""
    request = DotRequest(material="CdSe", diameter=20.0, shell=shell, shell_thickness=10.0, ligand="Br")
    atoms, content = requested_dot(request)
    region, symbols = atoms.get_array("region"), np.array(atoms.get_chemical_symbols())
    cadmium, zinc = (int(((region == "shell") & (symbols == name)).sum()) for name in ("Cd", "Zn"))
    own = (cadmium * 5.82 + zinc * 5.409) / (cadmium + zinc)
    summary = summarise([atoms])
    assert set(summary.regions) == {"dot", "shell"}
    assert summary.regions["shell"].n + summary.regions["shell"].undefined == cadmium + zinc
    assert summary.regions["dot"].n + summary.regions["dot"].undefined == int(
        ((region == "dot") & (symbols == "Cd")).sum()
    )
    assert summary.regions["shell"].mean == pytest.approx(6.052 / own - 1, abs=1e-4)
    assert summary.regions["dot"].mean == pytest.approx(0.0, abs=1e-9)
    assert content["initial_strain"]["shell"] == pytest.approx(6.052 / own - 1, abs=1e-4)
    assert content["initial_strain"]["dot"] == pytest.approx(0.0, abs=1e-12)


def test_a_coherent_dot_says_the_strain_it_starts_with() -> None:
    built = requested_embedding(
        EmbedRequest(dot="PbS", matrix="CsPbI3:cubic", cells="5,5,5", lattice=6.325, diameter=18.0)
    )
    assert built.report["initial_strain"] == {"dot": pytest.approx(6.325 / 5.936 - 1)}
    assert built.report["own_lattice_angstrom"] == {"dot": 5.936}
    assert summarise([built.atoms]).regions["dot"].mean == pytest.approx(6.325 / 5.936 - 1, abs=1e-9)
    free = requested_embedding(
        EmbedRequest(dot="PbS", matrix="CsPbI3:cubic", cells="5,5,5", diameter=18.0, mode="insert")
    )
    assert free.report["initial_strain"]["dot"] == pytest.approx(0.0, abs=1e-12)
