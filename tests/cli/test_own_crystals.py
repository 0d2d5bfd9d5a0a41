"""A user's file of crystals: every command that takes a crystal's name knows those in it."""

import hashlib
import json
from pathlib import Path

import pytest

from qdip_struct.campaign.constructions import CONSTRUCTIONS
from qdip_struct.campaign.spec import expand, load_spec
from qdip_struct.cli.main import COMMANDS, _module_of, _parser_of
from qdip_struct.materials.elasticity import known_moduli, mixed_moduli

OWN = """\
datasets:
  mine: {title: mine, temperature_kelvin: 298, extends: xrd_298K}
crystals:
  - {name: CsSnI3, phase: cubic, dataset: mine, structure_type: perovskite, a: 6.206, temperature_kelvin: 298,
     source: x}
  - {name: SnTe, phase: rocksalt, dataset: mine, structure_type: rocksalt, a: 6.318, temperature_kelvin: 298, source: x}
  - {name: CsI, phase: cscl, dataset: mine, structure_type: cscl, a: 4.5, temperature_kelvin: 298, source: mine of salt}
properties:
  - {material: CsSnI3, quantity: elastic, c11_gpa: 30.0, c12_gpa: 10.0, c44_gpa: 6.0, source: mine}
  - {material: SnTe, quantity: elastic, c11_gpa: 110.0, c12_gpa: 12.0, c44_gpa: 12.0, source: mine}
  - {material: SnTe, quantity: elastic, phase: wurtzite, c11_gpa: 90.0, c12_gpa: 40.0, c44_gpa: 20.0, source: mine}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_with_a_data_set_takes_files_of_crystals_and_a_temperature(command: str) -> None:
    options = _parser_of(command, _module_of(command))._option_string_actions
    if "--dataset" in options:
        assert "--crystals" in options
    if "--crystals" in options and command != "materials":
        assert "--temperature" in options


@pytest.mark.parametrize(
    ("words", "keys", "wanted"),
    [
        (
            ("build", "slab", "--material", "CsSnI3", "--layers", "5"),
            ("lattice_angstrom", "substrate"),
            6.206,
        ),
        (("build", "dot", "--material", "SnTe", "--diameter", "15"), ("lattice_angstrom", "dot"), 6.318),
        (
            ("build", "embed", "--dot", "SnTe", "--matrix", "CsSnI3", "--cells", "5,5,5", "--diameter", "15"),
            ("lattice_angstrom", "matrix"),
            6.206,
        ),
        (
            ("build", "attach", "--dot", "SnTe", "--matrix", "CsSnI3", "--shape", "cube", "--diameter", "13"),
            ("lattice_angstrom", "matrix"),
            6.206,
        ),
        (("match", "SnTe", "100", "CsSnI3", "100"), ("film", "a_angstrom"), 6.318),
        (("planes", "SnTe"), ("crystals", 0, "a_angstrom"), 6.318),
        (("screen", "--dot", "SnTe", "--matrix", "CsSnI3"), ("dot", "a_angstrom"), 6.318),
        (("elastic", "--dot", "SnTe", "--matrix", "CsSnI3", "--diameter", "30"), ("misfit",), 6.206 / 6.318 - 1),
    ],
)
def test_commands_take_the_lattice_of_the_file(  # type: ignore[no-untyped-def]
    words: tuple[str, ...], keys: tuple, wanted: float, own: Path, tmp_path: Path, qdip_json
) -> None:
    code, document = qdip_json(
        *words, "--dataset", "mine", "--crystals", own, "-o", tmp_path / ("out" if "slab" in words else "out.extxyz")
    )
    assert code == 0
    for key in keys:
        if isinstance(document, dict) and key not in document:
            pytest.fail(f"no {key} in {sorted(document)}")
        document = document[key]
    assert document == pytest.approx(wanted, abs=1e-9)


def test_an_interface_takes_lattice_moduli_and_reservoir_of_the_file(own: Path, tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    """ε_zz = −2 C12/C11 ε of the film's own constants, 12/110; CsI of the file as reservoir."""
    code, _ = qdip_json(
        "build", "interface", "--film", "SnTe", "--substrate", "CsSnI3", "--normal", "relaxed", "--dataset", "mine",
        "--crystals", own, "-o", tmp_path / "i",
    )  # fmt: skip
    assert code == 0
    told = json.loads((tmp_path / "i" / "interface.json").read_text())
    strain = 6.206 / 6.318 - 1
    assert told["strain_film"] == pytest.approx([strain, strain], abs=1e-9)
    assert told["normal_strain"]["film"] == pytest.approx(-2 * 12 / 110 * strain, rel=1e-6)
    assert told["reservoir_source"].startswith("CsI:cscl 4.5000 Å, mine")


def test_strain_is_measured_against_the_crystals_of_the_file(own: Path, tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    words = ("--dataset", "mine", "--crystals", own)
    built = tmp_path / "e.extxyz"
    assert qdip_json("build", "embed", "--dot", "SnTe", "--matrix", "CsSnI3", "--cells", "5,5,5", "--diameter", "15",
                     *words, "-o", built)[0] == 0  # fmt: skip
    code, document = qdip_json("strain", built, *words)
    assert code == 0
    assert document["regions"]["dot"]["mean"] == pytest.approx(6.206 / 6.318 - 1, abs=1e-6)
    assert document["regions"]["matrix"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert document["continuum"]["misfit"] == pytest.approx(6.206 / 6.318 - 1, abs=1e-9)


def test_a_campaign_names_the_file_from_where_it_stands(own: Path, tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_text(
        "name: x\nbuild:\n  bulk: {material: CsSnI3, dataset: mine, crystals: own.yaml}\ninputs: {preset: quick}\n"
    )
    (case,) = expand(load_spec(tmp_path / "campaign.yaml"))
    assert case.build.crystals == (Path("own.yaml"),)
    (cell,) = CONSTRUCTIONS["bulk"].build(case.build, tmp_path)
    assert cell.atoms.cell.lengths() == pytest.approx([6.206] * 3)


def test_moduli_are_those_of_the_phase(own: Path) -> None:
    plain, other = (known_moduli("SnTe", phase=phase, files=[own]) for phase in ("rocksalt", "wurtzite"))
    assert plain is not None
    assert other is not None
    assert (plain.c11, other.c11) == (110.0, 90.0)
    mixed = mixed_moduli("SnTe:wurtzite", files=[own])
    assert mixed is not None
    assert mixed.c11 == 90.0


def test_moduli_of_another_phase_are_called_an_assumption() -> None:
    cubic, gamma = (known_moduli("MAPbBr3", phase=phase) for phase in ("cubic", "tetragonal"))
    assert cubic is not None
    assert gamma is not None
    assert cubic.assumption == ""
    assert "cubic" in gamma.assumption


DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("build", "dot", "--material", DATA / "crystals/SnS.cif", "--diameter", "20"),
            "dot 11.2000 × 3.9870 × 4.3340 (",
        ),
        (
            ("build", "dot", "--material", DATA / "crystals/Cs2AgBiBr6.cif", "--diameter", "20"),
            "dot 11.2500 (pseudo-cubic 5.6250)",
        ),
        (
            (
                "build",
                "embed",
                "--dot",
                "PbS",
                "--diameter",
                "12",
                "--matrix",
                DATA / "structures/ZnO.cif",
                "--cells",
                "8,8,5",
            ),
            "matrix 3.2498 × 3.2498 × 5.2066 (γ 120.00°)",
        ),
        (("build", "slab", "--material", "MAPbI3:tetragonal"), "8.8509 × 8.8509 × 12.6447 Å at 298 K"),
        (("planes", DATA / "crystals/SnS.cif"), "SnS:file, 11.2000 × 3.9870 × 4.3340 Å"),
    ],
)
def test_a_crystal_that_is_not_cubic_is_told_by_its_edges(  # type: ignore[no-untyped-def]
    words: tuple, says: str, tmp_path: Path, qdip
) -> None:
    code, out, _ = qdip(*words, "-o", tmp_path / ("out" if "slab" in words else "out.extxyz"))
    assert code == 0
    assert says in out


def test_match_tells_the_edges_and_angles(qdip) -> None:  # type: ignore[no-untyped-def]
    _, _, err = qdip("match", DATA / "structures/ZnO.cif", "001", "PbS", "111", "--max-area", "200")
    assert "ZnO:file: 3.2498 × 3.2498 × 5.2066 (γ 120.00°) Å" in err
    assert "PbS:rocksalt: 5.9360 Å" in err


def test_reports_keep_the_edges_and_angles(tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    _, told = qdip_json("build", "dot", "--material", DATA / "crystals/SnS.cif", "-o", tmp_path / "s.extxyz")
    assert told["lattice_edges_angstrom"] == {"dot": pytest.approx([11.2, 3.987, 4.334])}
    assert told["lattice_angles_degree"] == {"dot": pytest.approx([90.0] * 3)}


def test_the_sidecar_keeps_the_hash_of_every_file_that_was_read(own: Path, tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    matrix = DATA / "crystals" / "Cs2AgBiBr6.cif"
    words = ("build", "embed", "--dot", "SnTe", "--matrix", matrix, "--cells", "3,3,3", "--diameter", "12")
    assert qdip(*words, "--dataset", "mine", "--crystals", own, "-o", tmp_path / "e.extxyz")[0] == 0
    kept = json.loads((tmp_path / "e.json").read_text())["provenance"]["input_sha256"]
    assert kept == {
        "matrix": hashlib.sha256(matrix.read_bytes()).hexdigest(),
        f"crystals {own}": hashlib.sha256(own.read_bytes()).hexdigest(),
    }
