"""``qdip energies`` as a user meets it: real folders, half of them, none, wrong options, files it writes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from energy_folders import REFERENCE, copy_reference, edit, edit_record, energy_hartree, set_atoms, set_energy

CONTRACT_KEYS = (
    "group",
    "area_angstrom2",
    "surface_energy_film_mev_per_angstrom2",
    "surface_energy_substrate_mev_per_angstrom2",
    "adsorption_energy_mev_per_angstrom2",
    "interface_energy_mev_per_angstrom2",
    "strain_energy_film_mev_per_angstrom2",
    "strain_energy_substrate_mev_per_angstrom2",
    "terms",
)
Qdip = Callable[..., tuple[int, str, str]]
QdipJson = Callable[..., tuple[int, Any]]


def test_document_has_the_keys_of_the_contract(qdip_json: QdipJson) -> None:
    code, document = qdip_json("energies", REFERENCE)
    assert code == 0
    assert {"groups", "refused"} <= document.keys()
    group = document["groups"][0]
    for key in CONTRACT_KEYS:
        assert key in group, key
    for term in group["terms"].values():
        assert {"path", "energy_ev", "n_formula_units"} <= term.keys()
    assert group["adsorption_energy_j_per_m2"] == pytest.approx(0.301, abs=1e-3)


def test_text_has_both_units_and_every_term(qdip: Qdip) -> None:
    code, out, err = qdip("energies", REFERENCE)
    assert code == 0
    assert err == ""
    assert "meV/Å²" in out
    assert "J/m²" in out
    assert "18.79" in out
    assert "0.3010" in out
    for role in ("film", "substrate", "interface", "film_bulk", "reservoir"):
        assert role in out
    assert "single point" in out


def test_files_are_written_once_and_are_the_same_every_time(qdip: Qdip, tmp_path: Path) -> None:
    names = ("energies.json", "energies.csv", "energies.svg")
    for folder in ("one", "two"):
        words = ["-o", "--csv", "--plot"]
        options = [x for word, name in zip(words, names, strict=True) for x in (word, tmp_path / folder / name)]
        code, _, _ = qdip("energies", REFERENCE, "--formation-energy", "CsPbBr3=-0.25", *options)
        assert code == 0
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    rows = list(csv.DictReader((tmp_path / "one" / "energies.csv").open()))
    assert len(rows) == 1
    document = json.loads((tmp_path / "one" / "energies.json").read_text())
    value = document["groups"][0]["adsorption_energy_mev_per_angstrom2"]
    assert float(rows[0]["adsorption_energy_mev_per_angstrom2"]) == value
    assert float(rows[0]["adsorption_energy_j_per_m2"]) == pytest.approx(value * 0.0160217657)
    assert rows[0]["layers"] == "3+3"
    assert rows[0]["formation_energy_mev_per_formula_unit"] == ""
    assert "<svg" in (tmp_path / "one" / "energies.svg").read_text()
    code, _, err = qdip("energies", REFERENCE, "--csv", tmp_path / "one" / "energies.csv")
    assert code == 2
    assert "exists" in err
    assert qdip("energies", REFERENCE, "--csv", tmp_path / "one" / "energies.csv", "--force")[0] == 0


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_figure_formats(qdip: Qdip, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"figure{suffix}"
    assert qdip("energies", REFERENCE, "--plot", path)[0] == 0
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plot", "figure.gif"], "ends in .png, .svg, .pdf"),
        (["--rank-by", "beauty"], "known: adsorption, interface"),
        (["--formation-energy", "CsPbBr3"], "FORMULA=EV"),
        (["--formation-energy", "CsPbBr3=nan"], "FORMULA=EV"),
        (["--formation-energy", "=0.1"], "FORMULA=EV"),
        (["--csv", "same.csv", "-o", "same.csv"], "different files"),
        (["--ranked"], "unrecognized arguments"),
    ],
)
def test_wrong_options_are_wrong_usage(
    qdip: Qdip, words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = qdip("energies", REFERENCE, *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_runs_at_all(qdip: Qdip, tmp_path: Path) -> None:
    code, _, err = qdip("energies", tmp_path)
    assert code == 1
    assert "no run folder" in err
    code, _, err = qdip("energies", tmp_path / "nowhere")
    assert code == 1
    assert "does not exist" in err


def test_half_finished_campaign_ends_with_three(qdip: Qdip, tmp_path: Path) -> None:
    copy_reference(tmp_path)
    (tmp_path / "interface" / "run.out").unlink()
    code, out, err = qdip("energies", tmp_path)
    assert code == 3
    assert "surface energy, film" in out
    assert "adsorption" not in out.split("term")[0]
    assert "refused: " in err
    assert "interface" in err


def test_nothing_finished_ends_with_one(qdip: Qdip, qdip_json: QdipJson, tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=("film", "substrate"))
    for role in ("film", "substrate"):
        (tmp_path / role / "run.out").unlink()
    code, out, err = qdip("energies", tmp_path)
    assert code == 1
    assert "no group of runs could be combined" in out
    assert err.count("refused: ") == 2
    code, document = qdip_json("energies", tmp_path)
    assert code == 1
    assert document["groups"] == []
    assert len(document["refused"]) == 2
    code, _, err = qdip("energies", tmp_path, "--plot", tmp_path / "a.svg")
    assert code == 2
    assert "nothing to draw" in err


def test_damaged_record_is_one_sentence(qdip: Qdip, tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=("film",))
    (tmp_path / "film" / "run.json").write_text("{")
    code, _, err = qdip("energies", tmp_path)
    assert code == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "run.json" in err


def test_chemical_potential_thickness_and_ranking_are_printed(qdip: Qdip, tmp_path: Path) -> None:
    copy_reference(tmp_path / "thin")
    copy_reference(tmp_path / "thick", roles=("film", "interface"))
    bulk = energy_hartree(REFERENCE / "film_bulk") / 4
    for role, n_atoms in (("film", 20), ("interface", 28)):
        folder = tmp_path / "thick" / role

        def change(item: dict[str, Any], n_atoms: int = n_atoms) -> None:
            item["group"] = "thick"
            item["n_atoms"] = n_atoms
            item["composition"]["Pb"] += 4
            item["composition"]["S"] += 4
            item["structure"]["film_layers"] = 5

        edit_record(folder, change)
        set_atoms(folder, n_atoms)
        set_energy(folder, energy_hartree(folder) + 4 * bulk)
    code, out, err = qdip("energies", tmp_path, "--formation-energy", "CsPbBr3=-0.25", "--rank-by", "interface")
    assert code == 0, err
    assert "against the chemical potential" in out
    assert "PbBr2-rich" in out
    assert "thickness series, film PbS" in out
    assert "against thickness, PbS on CsPbBr3" in out
    assert "5+3" in out
    assert "ranked by interface" in out
    assert "from PbS(100)//CsPbBr3(100)" in out


def test_warnings_go_to_stderr(qdip: Qdip, tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=("film", "substrate", "interface"))
    edit(tmp_path / "film" / "run.out", ("CP2K version 2023.1", "CP2K version 2024.3"))
    code, out, err = qdip("energies", tmp_path)
    assert code == 0
    assert "different CP2K releases" in err
    assert "different CP2K releases" not in out


def test_a_coarse_grid_is_named_wherever_the_run_counts(qdip: Qdip, qdip_json: QdipJson, tmp_path: Path) -> None:
    runs = copy_reference(tmp_path / "runs")
    for command in ("energies", "collect"):
        assert "the forces sum to" not in "".join(qdip(command, runs)[1:])
    edit(
        runs / "substrate" / "run.out",
        (
            "Pb          0.00000000     0.00000000     0.00182752",
            "Pb          0.00000000     0.00000000     0.10182752",
        ),
    )
    _, document = qdip_json("energies", runs)
    (group,) = document["groups"]
    (found,) = group["warnings"]
    assert found.startswith(f"{runs / 'substrate'}: the forces sum to 5.1")
    assert "CUTOFF 300 Ry" in found
    assert group["adsorption_energy_mev_per_angstrom2"] is not None
    for command in ("energies", "collect"):
        assert "the forces sum to 5.1" in "".join(qdip(command, runs)[1:])
    qdip("report", runs, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<strong>Warning:</strong> substrate: the forces sum to 5.1" in page
