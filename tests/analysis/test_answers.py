"""Answers of whole folders: sums by hand, invariance, borrowed slabs, registries, thickness, potentials, ranks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from energy_folders import (
    HARTREE,
    REFERENCE,
    as_run,
    copy_reference,
    edit,
    edit_record,
    energy_hartree,
    set_atoms,
    set_cell,
    set_energy,
    set_mesh,
)

from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.runs.rundir import find_run_folders

REGISTRIES = Path(str(shipped("workflows", "registry"))) / "reference" / "pbs_cspbbr3_registries.json"
PER_AREA = (
    "surface_energy_film_mev_per_angstrom2",
    "surface_energy_substrate_mev_per_angstrom2",
    "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2",
    "adsorption_energy_mev_per_angstrom2",
    "interface_energy_mev_per_angstrom2",
    "strain_energy_film_mev_per_angstrom2",
)


def answers(path: Path, **options: Any) -> dict[str, Any]:
    return energies_of(find_run_folders([path]), **options)


def only(document: dict[str, Any]) -> dict[str, Any]:
    assert document["refused"] == []
    assert len(document["groups"]) == 1
    group: dict[str, Any] = document["groups"][0]
    return group


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    return only(answers(REFERENCE))


def test_energies_agree_with_sums_by_hand_from_the_outputs(reference: dict[str, Any]) -> None:
    e = {role: HARTREE * energy_hartree(REFERENCE / role) for role in [item.name for item in REFERENCE.iterdir()]}
    area = 5.99 * 5.99
    by_hand = {
        "surface_energy_film_mev_per_angstrom2": e["film"] - 1.5 * e["film_bulk"],
        "surface_energy_substrate_mev_per_angstrom2": e["substrate"] - 2 * e["substrate_bulk"] + e["reservoir"],
        "adsorption_energy_mev_per_angstrom2": e["film"] + e["substrate"] - e["interface"],
        "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2": e["substrate"]
        + e["substrate_other"]
        - 3 * e["substrate_bulk"],
        "strain_energy_film_mev_per_angstrom2": 1.5 * (e["film_bulk"] - e["film_bulk_free"]),
    }
    faces = dict(zip(by_hand, (2, 2, 1, 4, 1), strict=True))
    for key, energy in by_hand.items():
        assert reference[key] * faces[key] * area / 1000 == pytest.approx(energy, abs=1e-9), key
    gamma = [reference[key] for key in PER_AREA]
    assert gamma[4] == pytest.approx(gamma[0] + gamma[1] - gamma[3], abs=1e-9)


def test_joules_stand_beside_every_energy_per_area(reference: dict[str, Any]) -> None:
    for key in PER_AREA:
        joules = reference[key.replace("_mev_per_angstrom2", "_j_per_m2")]
        assert joules == pytest.approx(reference[key] * 0.0160217657, rel=1e-6)
    assert reference["interface_energy_limits"][0]["value_j_per_m2"] > 0


def test_every_term_names_its_run_program_status_and_settings(reference: dict[str, Any]) -> None:
    for role, term in reference["terms"].items():
        assert Path(term["path"]).name == role
        assert term["status"] == "done"
        assert term["cp2k_version"] == "2023.1"
        assert term["settings"]["cutoff_rydberg"] == 300.0
        assert term["settings"]["eps_scf"] == 1e-6
        assert len(term["structure_sha256"]) == len(term["input_sha256"]) == 64


def test_doubled_lateral_cell_gives_the_same_energies(tmp_path: Path, reference: dict[str, Any]) -> None:
    copy_reference(tmp_path)
    for folder in sorted(tmp_path.iterdir()):
        if folder.name in ("reservoir", "film_bulk_free"):
            continue
        record = json.loads((folder / "run.json").read_text())
        cell = np.array(record["cell_angstrom"]) * [[2], [1], [1]]

        def change(item: dict[str, Any], cell: Any = cell) -> None:
            item["cell_angstrom"] = cell.tolist()
            item["n_atoms"] *= 2
            item["composition"] = {e: 2 * n for e, n in item["composition"].items()}

        edit_record(folder, change)
        set_atoms(folder, 2 * record["n_atoms"])
        set_cell(folder, np.diag(cell))
        set_energy(folder, 2 * energy_hartree(folder))
        mesh = record["settings"]["kpoints"]
        set_mesh(folder, (mesh[0] // 2, *mesh[1:]))
    group = only(answers(tmp_path))
    assert group["area_angstrom2"] == pytest.approx(2 * reference["area_angstrom2"])
    for key in PER_AREA:
        assert group[key] == pytest.approx(reference[key], abs=1e-6), key


def test_swapped_roles_give_the_same_energies(tmp_path: Path, reference: dict[str, Any]) -> None:
    """The perovskite called film and the PbS called substrate: the same adsorption, each γ under the other name."""
    copy_reference(tmp_path, roles=("film", "substrate", "interface", "film_bulk", "film_bulk_free"))
    for folder in sorted(tmp_path.iterdir()):

        def change(item: dict[str, Any]) -> None:
            role = item["role"]
            item["role"] = role.replace("film", "?").replace("substrate", "film").replace("?", "substrate")
            item["structure"] = {}

        edit_record(folder, change)
    group = only(answers(tmp_path))
    assert group["adsorption_energy_mev_per_angstrom2"] == pytest.approx(reference[PER_AREA[3]], abs=1e-9)
    assert group["surface_energy_substrate_mev_per_angstrom2"] == pytest.approx(reference[PER_AREA[0]], abs=1e-9)
    assert group["strain_energy_substrate_mev_per_angstrom2"] == pytest.approx(reference[PER_AREA[5]], abs=1e-9)


def test_shifted_origin_and_other_order_of_runs_give_the_same_bytes(tmp_path: Path, reference: dict[str, Any]) -> None:
    copy_reference(tmp_path)
    for folder in sorted(tmp_path.iterdir()):
        atoms = read_structure(folder / "structure.extxyz")
        atoms.positions += [0.7, -1.3, 2.1]
        atoms.wrap()
        atoms.write(folder / "structure.extxyz")
    folders = find_run_folders([tmp_path])
    group = only(energies_of(folders))
    backwards = only(energies_of(folders[::-1]))
    assert json.dumps(group) == json.dumps(backwards)
    for key in PER_AREA:
        assert group[key] == reference[key]


def test_runs_of_older_versions_still_read(tmp_path: Path, reference: dict[str, Any]) -> None:
    """run.json without the builder's report, hashes of the input or decisions."""
    copy_reference(tmp_path)
    for folder in sorted(tmp_path.iterdir()):
        keys = ("structure", "decisions", "input_sha256", "n_electrons", "origin", "parameters", "command", "seed")
        edit_record(folder, lambda item, keys=keys: [item.pop(key, None) for key in keys] and None)
    group = only(answers(tmp_path))
    for key in PER_AREA:
        assert group[key] == reference[key]


def test_half_finished_campaign_gives_what_it_can(tmp_path: Path) -> None:
    copy_reference(tmp_path)
    for role in ("interface", "reservoir"):
        (tmp_path / role / "run.out").unlink()
    document = answers(tmp_path)
    assert sorted(Path(item["paths"][0]).name for item in document["refused"]) == ["interface", "reservoir"]
    assert all("no CP2K output" in item["reason"] for item in document["refused"])
    group = document["groups"][0]
    assert group["surface_energy_film_mev_per_angstrom2"] == pytest.approx(17.26, abs=0.01)
    assert group["adsorption_energy_mev_per_angstrom2"] is None
    assert group["interface_energy_mev_per_angstrom2"] is None


def test_a_study_borrows_what_another_group_has(tmp_path: Path, reference: dict[str, Any]) -> None:
    copy_reference(tmp_path / "a", roles=("film", "film_bulk", "substrate_bulk", "reservoir", "substrate_other"))
    copy_reference(tmp_path / "b", roles=("interface", "substrate"))
    for folder in sorted((tmp_path / "b").iterdir()):
        edit_record(folder, lambda item: item.update(group="other"))
    document = answers(tmp_path)
    group = next(item for item in document["groups"] if item["group"] == "other")
    for key in PER_AREA[:5]:
        assert group[key] == pytest.approx(reference[key], abs=1e-12), key
    assert group["terms"]["film"]["borrowed"]
    assert group["terms"]["film"]["group"] == "PbS(100)//CsPbBr3(100)"
    assert not group["terms"]["substrate"]["borrowed"]


def test_nothing_is_borrowed_that_does_not_belong(tmp_path: Path) -> None:
    copy_reference(tmp_path / "a", roles=("film",))
    copy_reference(tmp_path / "b", roles=("interface", "substrate"))
    for folder in sorted((tmp_path / "b").iterdir()):
        edit_record(folder, lambda item: item.update(group="other"))
    edit(tmp_path / "a" / "film" / "run.inp", ("EPS_DEFAULT 1.0E-10", "EPS_DEFAULT 1.0E-12"))
    assert answers(tmp_path)["groups"] == []
    edit(tmp_path / "a" / "film" / "run.inp", ("EPS_DEFAULT 1.0E-12", "EPS_DEFAULT 1.0E-10"))
    assert len(answers(tmp_path)["groups"]) == 1
    edit_record(tmp_path / "a" / "film", lambda item: item["structure"].update(film_layers=5))
    assert answers(tmp_path)["groups"] == []


def test_chemical_potential_between_the_limits(tmp_path: Path, reference: dict[str, Any]) -> None:
    assert reference["chemical_potential"] is None
    table = only(answers(REFERENCE, formation_energies={"CsPbBr3": -0.3}))["chemical_potential"]
    assert table["limit_names"] == ["PbBr2-rich", "CsBr-rich"]
    assert table["limits_ev"] == [-0.3, 0.0]
    lines = {line["name"]: line["values_mev_per_angstrom2"] for line in table["lines"]}
    gamma = lines["γ substrate, PbBr2 termination"]
    assert gamma[-1] == pytest.approx(reference[PER_AREA[1]], abs=1e-9)
    assert gamma[-1] - gamma[0] == pytest.approx(1000 * 0.3 / (2 * 35.8801), abs=1e-6)
    other = lines["γ substrate, CsBr termination"]
    for one, two in zip(gamma, other, strict=True):
        assert (one + two) / 2 == pytest.approx(reference[PER_AREA[2]], abs=1e-9)
    assert lines["γ_int"][-1] == pytest.approx(reference[PER_AREA[4]], abs=1e-9)

    copy_reference(tmp_path)
    bulk, salt = (energy_hartree(REFERENCE / name) for name in ("substrate_bulk", "reservoir"))
    _reservoir(tmp_path, "z_PbBr2", {"Pb": 4, "Br": 8}, 4 * (bulk - salt + 0.011))
    group = only(answers(tmp_path))
    table = group["chemical_potential"]
    assert table["formation_energy_ev"] == pytest.approx(-0.011 * HARTREE, abs=1e-9)
    limits = {item["reference"]: item["value_mev_per_angstrom2"] for item in group["interface_energy_limits"]}
    line = next(line["values_mev_per_angstrom2"] for line in table["lines"] if line["name"] == "γ_int")
    assert line[0] == pytest.approx(limits["PbBr2-rich"], abs=1e-9)
    assert line[-1] == pytest.approx(limits["CsBr-rich"], abs=1e-9)


def test_a_compound_that_falls_apart_has_no_range(tmp_path: Path) -> None:
    table = only(answers(REFERENCE, formation_energies={"CsPbBr3": 0.1}))["chemical_potential"]
    assert not table["stable"]


def _reservoir(path: Path, name: str, composition: dict[str, int], hartree: float) -> None:
    copy_reference(path / name, roles=("reservoir",))
    folder = path / name / "reservoir"

    def change(item: dict[str, Any]) -> None:
        item["composition"] = composition
        item["n_atoms"] = sum(composition.values())

    edit_record(folder, change)
    edit(folder / "run.out", ("Atomic kind: Cs ", "Atomic kind: Pb "))
    edit(folder / "run.out", ("GTH-PBE-q9", "GTH-PBE-q4"))
    set_atoms(folder, sum(composition.values()))
    set_energy(folder, hartree)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped registry results as run folders of built interfaces: every energy as CP2K gave it."""
    from qdip_struct.cli.main import main

    place = tmp_path_factory.mktemp("scan")
    data = json.loads(REGISTRIES.read_text())
    seen: set[str] = set()
    for number, item in enumerate(data["interfaces"]):
        termination, shift = item["termination"], ",".join(map(str, item["registry_fraction"]))
        built = place / "built" / str(number)
        words = ["--film", "PbS", "--substrate", "CsPbBr3", "--dataset", "pbe_cp2k", "--lateral", "6,6"]
        words += ["--termination", termination, "--registry", shift, "--gap", str(item["gap_angstrom"])]
        assert main(["build", "interface", *words, "-o", str(built)]) == 0

        def add(name: str, role: str, like: str, hartree: float, built: Path = built) -> None:
            report = json.loads((built / f"{role}.json").read_text())
            atoms = read_structure(built / f"{role}.extxyz")
            as_run(place / "runs" / name, like=like, atoms=atoms, report=report, hartree=hartree, mesh=(3, 3, 1))

        add(f"interface_{number}", "interface", "interface", item["energy_hartree"])
        if termination not in seen:
            seen.add(termination)
            like = "substrate" if termination == "BX2" else "substrate_other"
            add(f"substrate_{termination}", "substrate", like, data["substrate"][termination]["energy_hartree"])
    add("film", "film", "film", data["film"]["energy_hartree"])
    return place / "runs"


def test_registry_scan_gives_the_shipped_adhesion_best_gaps_and_maps(scan: Path) -> None:
    document = answers(scan)
    assert document["refused"] == []
    data = json.loads(REGISTRIES.read_text())["interfaces"]
    found = {
        (g["system"]["termination"], *g["system"]["registry_fraction"], g["system"]["gap_angstrom"]): g[
            "adsorption_energy_mev_per_angstrom2"
        ]
        for g in document["groups"]
    }
    assert len(found) == len(data)
    for item in data:
        key = (item["termination"], *item["registry_fraction"], item["gap_angstrom"])
        assert found[key] == pytest.approx(item["adhesion_mev_per_angstrom2"], abs=1e-3)
    maps = {entry["termination"]: entry for entry in document["registry_maps"]}
    lead = maps["BX2"]
    assert lead["best"]["registry"] == "0.5,0"
    assert lead["best"]["best_gap_angstrom"] == pytest.approx(3.19, abs=0.005)
    assert lead["best"]["adsorption_energy_mev_per_angstrom2"] == pytest.approx(18.7, abs=0.1)
    assert [shift["multiplicity"] for shift in lead["shifts"]] == [2, 4, 2]
    assert lead["interpolated_minimum"]["adsorption_energy_mev_per_angstrom2"] == pytest.approx(18.69, abs=0.05)
    hollow = next(shift for shift in lead["shifts"] if shift["registry"] == "0.25,0.25")
    assert hollow["best_gap_angstrom"] == pytest.approx(3.49, abs=0.01)
    assert maps["AX"]["best"]["registry"] == "0.25,0.25"
    assert [row["rank"] for row in document["ranking"]["rows"]] == list(range(1, len(data) + 1))
    assert document["ranking"]["rows"][0]["gap_angstrom"] == 3.15


def test_one_group_may_hold_several_registries_and_gaps(scan: Path, tmp_path: Path) -> None:
    """The same runs under one group name are split by what the builder says about each interface."""
    for folder in sorted(scan.iterdir()):
        shutil.copytree(folder, tmp_path / folder.name)
        edit_record(tmp_path / folder.name, lambda item: item.update(group="scan"))
    one, two = answers(scan), answers(tmp_path)
    assert two["refused"] == []
    assert len(two["groups"]) == len(one["groups"])
    assert "scan [BX2, registry 0.5,0, gap 3.15 Å]" in [group["group"] for group in two["groups"]]
    key = "adsorption_energy_mev_per_angstrom2"
    assert [row[key] for row in one["ranking"]["rows"]] == [row[key] for row in two["ranking"]["rows"]]
    for first, second in zip(one["registry_maps"], two["registry_maps"], strict=True):
        assert first["map"] == second["map"]


def _thick(path: Path, n: int, hartree: float, *, role: str = "film") -> None:
    """A film of n PbS layers made of the shipped one's output."""
    copy_reference(path / f"{role}_{n}", roles=("film",))
    folder = path / f"{role}_{n}" / "film"

    def change(item: dict[str, Any]) -> None:
        item["role"] = role
        item["group"] = f"layers {n}"
        item["n_atoms"] = 4 * n
        item["composition"] = {"Pb": 2 * n, "S": 2 * n}
        item["structure"]["film_layers"] = n

    edit_record(folder, change)
    set_atoms(folder, 4 * n)
    set_energy(folder, hartree)


def test_thickness_series_of_a_folder(tmp_path: Path) -> None:
    bulk = energy_hartree(REFERENCE / "film_bulk") / 4
    area, gamma, drift = 5.99 * 5.99, 0.0165, -0.0004
    for n in (3, 5, 7):
        _thick(tmp_path, n, 2 * area * gamma / HARTREE + 2 * n * (bulk + drift / HARTREE))
    copy_reference(tmp_path, roles=("film_bulk",))
    document = answers(tmp_path)
    assert document["refused"] == []
    (series,) = document["thickness_series"]
    assert series["surface_energy_fit_mev_per_angstrom2"] == pytest.approx(16.5, abs=1e-6)
    assert series["bulk_energy_difference_mev"] == pytest.approx(0.4, abs=1e-6)
    assert series["residual_mev"] == pytest.approx(0.0, abs=1e-6)
    direct = [point["surface_energy_direct_mev_per_angstrom2"] for point in series["points"]]
    wanted = [16.5 + 1000 * 2 * n * drift / (2 * area) for n in (3, 5, 7)]
    assert direct == pytest.approx(wanted, abs=1e-6)
    assert [point["n_layers"] for point in series["points"]] == [3, 5, 7]
    assert series["surface_energy_fit_j_per_m2"] == pytest.approx(16.5 * 0.0160217657, rel=1e-6)
    assert series["warnings"] == []


def test_series_of_a_non_stoichiometric_termination_needs_its_reservoir(tmp_path: Path) -> None:
    copy_reference(tmp_path / "three", roles=("substrate", "substrate_bulk", "reservoir"))
    copy_reference(tmp_path / "five", roles=("substrate",))
    bulk, slab = (energy_hartree(REFERENCE / role) for role in ("substrate_bulk", "substrate"))

    def change(item: dict[str, Any]) -> None:
        item["group"] = "five"
        item["composition"] = {"Br": 8, "Cs": 2, "Pb": 3}
        item["n_atoms"] = 13

    edit_record(tmp_path / "five" / "substrate", change)
    set_atoms(tmp_path / "five" / "substrate", 13)
    set_energy(tmp_path / "five" / "substrate", slab + bulk)
    document = answers(tmp_path)
    (series,) = document["thickness_series"]
    assert series["reference"] == "CsBr-rich"
    assert series["termination"] == "PbBr2 termination"
    reference_value = 13.192016436083367
    gamma = only(answers(REFERENCE))["surface_energy_substrate_mev_per_angstrom2"]
    assert gamma == pytest.approx(reference_value, abs=1e-9)
    assert series["surface_energy_fit_mev_per_angstrom2"] == pytest.approx(gamma, abs=1e-6)


def _with_iodine(folder: Path, *, alone: bool) -> None:
    """Let the output tell of I beside Br, or in its place."""
    path = folder / "run.out"
    text = path.read_text()
    start = text.rindex("\n", 0, text.index("Atomic kind: Br "))
    stop = text.index("Atomic kind:", start + 40) if "Atomic kind:" in text[start + 40 :] else text.index("MOLECULE")
    block = text[start : text.rindex("\n", 0, stop)]
    iodine = block.replace("Atomic kind: Br", "Atomic kind: I ")
    path.write_text(text.replace(block, iodine if alone else block + iodine))


def test_formation_energies_and_the_ranked_table_of_a_composition_campaign(tmp_path: Path) -> None:
    """CsPbBr3 with I in place of Br: bulk cells against the end members, and the interfaces in one table."""
    energies = {"Br3": -64.0, "Br2I": -63.70, "BrI2": -63.405, "I3": -63.1}
    for name, hartree in energies.items():
        copy_reference(tmp_path / name)
        n_iodine = {"Br3": 0, "Br2I": 1, "BrI2": 2, "I3": 3}[name]
        for folder in sorted((tmp_path / name).iterdir()):
            record = json.loads((folder / "run.json").read_text())

            def change(item: dict[str, Any], name: str = name) -> None:
                item["group"] = name

            edit_record(folder, change)
            if folder.name == "substrate_bulk":
                counts = {"Br": 3 - n_iodine, "Cs": 1, "I": n_iodine, "Pb": 1}
                counts = {e: n for e, n in counts.items() if n}
                edit_record(folder, lambda item, counts=counts: item.update(composition=counts))
                _with_iodine(folder, alone=n_iodine == 3) if n_iodine else None
                set_energy(folder, hartree)
            elif n_iodine and "Cs" in record["composition"]:
                shutil.rmtree(folder)
    document = answers(tmp_path)
    table = {item["formula"]: item for item in document["formation_energies"]}
    assert set(table) == {"CsPbBr2I", "CsPbBrI2"}
    assert table["CsPbBr2I"]["shares"] == pytest.approx({"CsPbBr3": 2 / 3, "CsPbI3": 1 / 3})
    assert table["CsPbBr2I"]["formation_energy_mev_per_formula_unit"] == pytest.approx(0.0, abs=1e-6)
    assert table["CsPbBrI2"]["formation_energy_mev_per_formula_unit"] == pytest.approx(-5 * HARTREE, abs=1e-6)
    assert table["CsPbBrI2"]["on_hull"]
    assert table["CsPbBr2I"]["above_hull_mev_per_formula_unit"] == pytest.approx(2.5 * HARTREE, abs=1e-6)
    assert [item["formula"] for item in document["formation_energies"]] == ["CsPbBrI2", "CsPbBr2I"]
    ranks = document["ranking"]["rows"]
    assert ranks[0]["group"] == "Br3"
    by_formation = answers(tmp_path, rank_by="formation")["ranking"]["rows"]
    assert [row["group"] for row in by_formation[:2]] == ["BrI2", "Br2I"]
    assert by_formation[0]["formation_energy_mev_per_formula_unit"] == pytest.approx(-5 * HARTREE, abs=1e-6)
    assert by_formation[-1]["formation_energy_mev_per_formula_unit"] is None
    assert ranks[0]["adsorption_energy_mev_per_angstrom2"] is not None


@pytest.mark.parametrize(
    ("by", "pick"),
    [
        ("adsorption", lambda rows: [-row["adsorption_energy_mev_per_angstrom2"] for row in rows]),
        ("interface", lambda rows: [row["interface_energy_mev_per_angstrom2"] for row in rows]),
        ("surface-film", lambda rows: [row["surface_energy_film_mev_per_angstrom2"] for row in rows]),
    ],
)
def test_ranking_follows_its_key(tmp_path: Path, by: str, pick: Callable[[list[dict[str, Any]]], list[float]]) -> None:
    for number, shift in enumerate((0.0, 0.02, -0.01)):
        copy_reference(tmp_path / f"c{number}")
        for folder in sorted((tmp_path / f"c{number}").iterdir()):
            edit_record(folder, lambda item, number=number: item.update(group=f"c{number}"))
        for role, factor in (("interface", 1), ("film", -2)):
            folder = tmp_path / f"c{number}" / role
            set_energy(folder, energy_hartree(folder) + factor * shift)
    rows = answers(tmp_path, rank_by=by)["ranking"]["rows"]
    values = pick(rows)
    assert len(values) == 3
    assert values == sorted(values)
    with pytest.raises(UsageError, match="cannot rank by 'beauty'"):
        answers(tmp_path, rank_by="beauty")
