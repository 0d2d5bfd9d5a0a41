"""``qdip build slab``: what is listed, chosen, warned about and written."""

import json
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write


@pytest.fixture
def lead_iodide(tmp_path: Path) -> Path:
    """2H-PbI2 as a CIF."""
    path = tmp_path / "pbi2.cif"
    write(
        path,
        Atoms(
            "PbI2", scaled_positions=[[0, 0, 0], [1 / 3, 2 / 3, 0.2675], [2 / 3, 1 / 3, 0.7325]],
            cell=[4.557, 4.557, 6.979, 90, 90, 120], pbc=True,
        ),
    )  # fmt: skip
    return path


def test_the_list_shows_gap_type_and_dipole_of_each_cut_and_the_default(lead_iodide, qdip, qdip_json) -> None:
    words = ("build", "slab", "--material", lead_iodide, "--plane", "001", "--list")
    code, document = qdip_json(*words)
    assert code == 0 and document["default_termination"] == "I:2" and "without dipole" in document["default_reason"]
    listed = {entry["name"]: entry for entry in document["terminations"]}
    assert {name: entry["tasker_type"] for name, entry in listed.items()} == {"I": 3, "I:2": 2, "Pb": 3}
    assert {name: entry["polar"] for name, entry in listed.items()} == {"I": True, "I:2": False, "Pb": True}
    assert listed["I:2"]["gap_angstrom"] == pytest.approx(6.979 * (1 - 2 * 0.2675), abs=1e-4)
    assert listed["I:2"]["repeat_dipole_e_per_angstrom"] == 0.0
    assert [listed[name]["symmetric_layers"] for name in ("I", "I:2", "Pb")] == [[2], [3], [1]]
    code, out, _ = qdip(*words)
    assert code == 0 and "default: I:2" in out and "3.245" in out


def test_the_default_slab_says_why_it_was_cut_there(lead_iodide, qdip) -> None:
    words = ("build", "slab", "--material", lead_iodide, "--plane", "001", "--faces", "symmetric", "--dry-run")
    code, out, err = qdip(*words)
    assert code == 0 and "warning" not in err
    assert "termination I:2: the only cut without dipole" in out and "symmetric" in out and "type 2" in out


def test_charge_and_missing_references_are_warned_about_and_stand_in_the_sidecar(tmp_path, qdip) -> None:
    words = ("--material", "PbS", "--plane", "111", "--termination", "Pb", "-o", tmp_path / "slab")
    code, _, err = qdip("build", "slab", *words)
    assert code == 0
    warnings = [line for line in err.splitlines() if line.startswith("warning:")]
    assert "+2 e" in warnings[0] and "are neutral" in warnings[0] and "reservoir" in warnings[1]
    said = json.loads((tmp_path / "slab" / "slab.json").read_text())
    assert [item["level"] for item in said["findings"]] == ["warning", "warning"]
    assert all(item["message"] and item["remedy"] for item in said["findings"])
    # The same is said of the input, and of none that is neutral or has the charge.
    for charge, warned in (("0", True), ("2", False)):
        out = tmp_path / f"runs{charge}"
        code, _, err = qdip("inputs", tmp_path / "slab" / "slab.extxyz", "--preset", "quick", "--charge", charge,
                            "--cp2k-version", "2023.1", "-o", out)  # fmt: skip
        assert code == 0 and ("formal charges" in err) is warned
    code, _, err = qdip("inputs", tmp_path / "slab" / "slab_bulk.extxyz", "--preset", "quick", "--cp2k-version",
                        "2023.1", "-o", tmp_path / "bulk")  # fmt: skip
    assert code == 0 and "formal charges" not in err


def test_formats_stand_side_by_side_and_another_slab_is_refused(tmp_path, qdip) -> None:
    words = ("build", "slab", "--material", "PbS", "-o", tmp_path / "slab")
    for name in ("extxyz", "cif", "extxyz"):
        assert qdip(*words, "--format", name)[0] == 0
    names = {path.name for path in (tmp_path / "slab").iterdir()}
    assert names == {f"{stem}.{end}" for stem in ("slab", "slab_bulk") for end in ("extxyz", "cif", "json")}
    before = {path: path.read_bytes() for path in (tmp_path / "slab").iterdir()}
    for format in ("extxyz", "vasp"):
        code, _, err = qdip(*words, "--layers", "4", "--format", format)
        assert code == 2 and "--force" in err
    assert {path: path.read_bytes() for path in (tmp_path / "slab").iterdir()} == before
    assert qdip(*words, "--layers", "4", "--force")[0] == 0


def test_a_lattice_constant_scales_a_file_and_it_is_said(lead_iodide, tmp_path, qdip) -> None:
    words = ("build", "slab", "--material", lead_iodide, "--plane", "001", "--dry-run")
    code, out, _ = qdip(*words, "--lattice", "4.6")
    assert code == 0 and "scaled isotropically" in out and "4.5570 to 4.6000" in out
    code, _, err = qdip(*words, "--lattice", "9.2")
    assert code == 2 and "pbi2.cif" in err and "4.5570" in err
    words = ("--film", lead_iodide, "--film-plane", "001", "--film-lattice", "4.5", "--substrate", "PbS",
             "--substrate-plane", "111", "--termination", "S", "--registry", "0,0")  # fmt: skip
    code, out, err = qdip("build", "interface", *words, "-o", tmp_path / "both")
    assert code == 0 and "4.5570 to 4.5000" in out
    assert "warning: substrate: the slab has a formal charge of -2 e" in err


def test_a_finished_slab_is_no_crystal_to_cut_slabs_from(tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    held = Path(__file__).parents[1] / "data" / "crystals" / "x4_seldyn.vasp"
    code, _, err = qdip("build", "slab", "--material", held, "-o", tmp_path / "slab")
    assert code == 2 and "no crystal to cut from: it has a gap of 20.0 Å along c" in err
    code, _, err = qdip("build", "interface", "--film", "PbS", "--substrate", held, "-o", tmp_path / "both")
    assert code == 2 and "no crystal to cut from" in err


@pytest.mark.parametrize("name", ["x.extxyz", "some/x.CIF", "x.vasp"])
@pytest.mark.parametrize(
    "words",
    [("build", "slab", "--material", "PbS"), ("build", "interface", "--film", "PbS", "--substrate", "CsPbBr3")],
)
def test_the_name_of_a_file_is_no_folder(words: tuple[str, ...], name: str, tmp_path: Path, qdip) -> None:
    code, _, err = qdip(*words, "-o", tmp_path / name)
    assert code == 2 and f"give a folder, -o {(tmp_path / name).with_suffix('')}," in err
    assert list(tmp_path.iterdir()) == []
    assert qdip(*words, "-o", tmp_path / "at_5.93")[0] == 0
