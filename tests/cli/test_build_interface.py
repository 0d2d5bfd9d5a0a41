"""``qdip build interface`` and ``qdip build slab`` as a user types them, with right and with wrong input."""

import json

import numpy as np
import pytest

from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.atoms.store import write_structure
from qdip_struct.cli.main import main
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import read_structure

BASIC = ["build", "interface", "--film", "PbS", "--substrate", "CsPbBr3", "--dataset", "pbe_cp2k"]


def call(capsys, *words):
    code = main(list(map(str, words)))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_set_of_the_demo(tmp_path, capsys):
    code, out, _ = call(capsys, *BASIC, "--json", "-o", tmp_path / "set")
    document = json.loads(out)
    assert code == 0
    roles = [
        "film",
        "substrate",
        "interface",
        "film_bulk",
        "substrate_bulk",
        "film_bulk_free",
        "substrate_other",
        "reservoir",
    ]
    assert list(document["files"]) == roles
    groups = set()
    for role in roles:
        atoms = read_structure(tmp_path / "set" / f"{role}.extxyz")
        sidecar = json.loads((tmp_path / "set" / f"{role}.json").read_text())
        assert sidecar["role"] == role and sidecar["n_atoms"] == len(atoms)
        assert sidecar["provenance"]["parameters"]["film"] == "PbS"
        for key in ("composition", "formal_charge", "electrons", "regions", "min_distance_angstrom", "cell_angstrom"):
            assert key in sidecar
        groups.add(sidecar["group"])
    assert len(groups) == 1
    cells = [read_structure(tmp_path / "set" / f"{role}.extxyz").cell.array for role in roles[:3]]
    assert np.abs(cells[0] - cells[2]).max() < 1e-10 and np.abs(cells[1] - cells[2]).max() < 1e-10


def test_the_line_of_the_contract(tmp_path, capsys):
    code, out, _ = call(
        capsys, "build", "interface", "--film", "PbS", "--film-plane", "100", "--film-layers", "7", "--substrate",
        "MAPbI3:tetragonal", "--substrate-plane", "110", "--substrate-layers", "7", "--termination", "all",
        "--registry", "0,0", "--match", "0", "--strain-on", "film", "--vacuum", "20", "--json", "-o", tmp_path,
    )  # fmt: skip
    document = json.loads(out)
    assert code == 0 and [entry["termination"] for entry in document["interfaces"]] == ["AX", "BX2"]
    assert (tmp_path / "AX" / "interface.extxyz").exists() and (tmp_path / "BX2" / "film.json").exists()


def test_match_numbers_are_those_of_the_match_command(tmp_path, capsys):
    code, out, _ = call(capsys, "match", "PbS", "100", "MAPbI3:tetragonal", "110", "--json")
    matches = json.loads(out)["matches"]
    assert code == 0
    for number in range(3):
        code, out, _ = call(
            capsys, "build", "interface", "--film", "PbS", "--substrate", "MAPbI3:tetragonal", "--substrate-plane",
            "110", "--match", number, "--json", "-o", tmp_path / str(number),
        )  # fmt: skip
        document = json.loads(out)
        assert document["area_angstrom2"] == pytest.approx(matches[number]["area_angstrom2"], rel=1e-9)
        assert document["strain_film"] == pytest.approx(matches[number]["strain_principal"], abs=1e-9)


def test_a_scan_writes_a_folder_for_each_registry(tmp_path, capsys):
    code, out, _ = call(capsys, *BASIC, "--registry", "scan", "--json", "-o", tmp_path)
    document = json.loads(out)
    assert code == 0 and len(document["interfaces"]) == 4
    assert len({entry["group"] for entry in document["interfaces"]}) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0,0", "0,0.25", "0,0.5", "0.25,0.25"]


def test_gaps_of_a_scan_share_one_cell(tmp_path, capsys):
    code, out, _ = call(capsys, *BASIC, "--gap", "3.0,3.15,3.5", "--json", "-o", tmp_path)
    assert len({entry["group"] for entry in json.loads(out)["interfaces"]}) == 3
    assert code == 0 and [entry["gap_angstrom"] for entry in json.loads(out)["interfaces"]] == [3.0, 3.15, 3.5]
    cells = [read_structure(path / "interface.extxyz").cell.array for path in sorted(tmp_path.iterdir())]
    assert len(cells) == 3 and np.ptp(cells, axis=0).max() == 0.0


def test_structure_files_and_formats(tmp_path, capsys):
    own = conventional_cell(get_crystal("CsPbBr3", dataset="pbe_cp2k"))
    path = write_structure(tmp_path / "own.cif", own, provenance={}, report={})
    code, out, _ = call(
        capsys, "build", "interface", "--film", "PbS", "--substrate", path, "--dataset", "pbe_cp2k", "--format", "vasp",
        "--json", "-o", tmp_path / "set",
    )  # fmt: skip
    assert code == 0
    document = json.loads(out)
    atoms = read_structure(tmp_path / "set" / "interface.vasp")
    assert len(atoms) == 20 and document["substrate_source"].startswith("structure given")
    sidecar = json.loads((tmp_path / "set" / "film.json").read_text())
    assert len(sidecar["provenance"]["input_sha256"]["substrate"]) == 64


def test_alloys_print_their_realised_composition(tmp_path, capsys):
    code, out, _ = call(
        capsys, "build", "interface", "--film", "PbS0.5Se0.5", "--substrate", "CsPbBr2I", "--dataset", "liu2019",
        "--repeat", "2,2", "--contact", "Br", "-o", tmp_path,
    )  # fmt: skip
    assert code == 0 and "correlation error" in out and "Br 0.6667, I 0.3333" in out and "S 0.5000, Se 0.5000" in out


def test_a_stand_in_says_so(tmp_path, capsys):
    words = ["build", "interface", "--film", "PbS", "--substrate", "MAPbBr3", "--a-site", "Cs"]
    code, out, _ = call(capsys, *words, "-o", tmp_path)
    assert code == 0 and "one Cs ion stands in for each MA" in out
    assert json.loads((tmp_path / "film.json").read_text())["stand_in_for"] == ["MA"]


def test_the_strain_is_reported_with_its_elastic_energy(tmp_path, capsys):
    words = ["build", "interface", "--film", "PbS", "--substrate", "CsPbI3", "--strain-on", "shared"]
    code, out, _ = call(capsys, *words, "-o", tmp_path)
    assert code == 0 and "elastic energy of the film:" in out and "elastic energy of the substrate:" in out
    assert (tmp_path / "substrate_bulk_free.extxyz").exists()


def test_a_configuration_file_is_the_same_as_flags(tmp_path, capsys):
    config = tmp_path / "set.yaml"
    config.write_text("film: PbS\nsubstrate: CsPbBr3\ndataset: pbe_cp2k\nfilm-layers: 5\n")
    assert call(capsys, "build", "interface", "--config", config, "-o", tmp_path / "a")[0] == 0
    assert call(capsys, *BASIC, "--film-layers", 5, "-o", tmp_path / "b")[0] == 0
    one, two = ((tmp_path / x / "interface.extxyz").read_bytes() for x in "ab")
    assert one == two
    assert (tmp_path / "a" / "film.json").read_bytes() == (tmp_path / "b" / "film.json").read_bytes()


def test_results_are_never_overwritten(tmp_path, capsys):
    assert call(capsys, *BASIC, "-o", tmp_path)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = call(capsys, *BASIC, "--film-layers", 4, "-o", tmp_path)
    assert code == 2 and "--force" in err and out == ""
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert call(capsys, *BASIC, "--film-layers", 4, "--force", "-o", tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (["--film", "PbO"], 2, "unknown crystal"),
        (["--film-plane", "10"], 2, "plane"),
        (["--film-plane", "000"], 2, "plane"),
        (["--film-layers", "0"], 2, "monolayers"),
        (["--film-layers", "-7"], 2, "monolayers"),
        (["--film-layers", "three"], 2, "film-layers"),
        (["--vacuum", "nan"], 2, "vacuum"),
        (["--vacuum", "-20"], 2, "vacuum"),
        (["--gap", "0"], 2, "gap"),
        (["--gap", "3,x"], 2, "gap"),
        (["--registry", "a,b"], 2, "registry"),
        (["--registry", "0.5"], 2, "registry"),
        (["--registry", "nan,1"], 2, "registry"),
        (["--scan-divisions", "0", "--registry", "scan"], 2, "divisions"),
        (["--termination", "PbO"], 2, "AX"),
        (["--strain-on", "nobody"], 2, "shared"),
        (["--match", "1000"], 2, "common cells"),
        (["--match", "-1"], 2, "common cells"),
        (["--max-area", "0"], 2, "area"),
        (["--max-strain", "nan"], 2, "strain"),
        (["--repeat", "2"], 2, "repeat"),
        (["--repeat", "0,1"], 2, "repeat"),
        (["--lateral", "5"], 2, "lateral"),
        (["--lateral", "60,60"], 2, "strains"),
        (["--lateral", "x,y"], 2, "lateral"),
        (["--kind", "bulk"], 2, "sandwich"),
        (["--contact", "1"], 2, "ions"),
        (["--contact", "O"], 2, "charge"),
        (["--dataset", "nowhere"], 2, "data set"),
        (["--film-lattice", "-5.9"], 2, "lattice"),
        (["--format", "pdf"], 2, "extxyz"),
        (["--substrate", "missing.cif"], 1, "missing.cif"),
        (["--layer-tolerance", "9"], 1, "tolerance"),
        (["--colour", "red"], 2, "colour"),
        (["--substrate", "MAPbI3", "--termination", "BX2", "--dataset", "xrd_298K"], 2, "BX2"),
        (["--seed", "-1"], 2, "seed"),
        (["--orientation", "upwards"], 2, "orientation"),
        (["--film", "PbS0.5Se0.5", "--repeat", "2,2", "--seed", "-1", "--dataset", "liu2019"], 2, "seed"),
    ],
)
def test_nonsense_is_refused_in_one_line(tmp_path, capsys, words, code, say):
    found, out, err = call(capsys, *BASIC, *words, "-o", tmp_path / "x")
    assert (found, out) == (code, "") and err.startswith("error: ") and err.count("\n") == 1
    assert say in err and "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_a_place_to_write_is_needed(capsys):
    code, _, err = call(capsys, *BASIC)
    assert code == 2 and "-o DIR" in err


def test_slabs_are_listed_tried_and_written(tmp_path, capsys):
    code, out, _ = call(capsys, "build", "slab", "--material", "CsPbBr3", "--list", "--json")
    assert code == 0 and [entry["name"] for entry in json.loads(out)["terminations"]] == ["AX", "BX2"]
    words = ["build", "slab", "--material", "CsPbBr3", "--layers", "5", "--termination", "all"]
    code, out, _ = call(capsys, *words, "--dry-run")
    assert code == 0 and "atoms 13" in out and "atoms 12" in out
    code, out, _ = call(capsys, *words, "--json", "-o", tmp_path)
    assert code == 0
    assert [entry["n_atoms"] for entry in json.loads(out)["slabs"]] == [12, 13]
    assert (tmp_path / "AX" / "slab.extxyz").exists() and (tmp_path / "BX2" / "slab_bulk.json").exists()
    code, _, err = call(capsys, "build", "slab", "--material", "CsPbBr3", "--layers", "4", "--faces", "symmetric",
                        "-o", tmp_path / "y")  # fmt: skip
    assert code == 2 and "multiple of 2" in err


def test_help_states_units_and_an_example(capsys):
    for command in ("interface", "slab"):
        with pytest.raises(SystemExit) as stop:
            main(["build", command, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert "Å" in text and f"qdip build {command}" in text
