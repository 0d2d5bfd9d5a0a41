"""One damaged ``run.json`` in a folder of runs: listed with its reason, in no energy, and no hindrance to the rest."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from energy_folders import copy_reference

from qdip_struct.base.errors import DataError
from qdip_struct.runs.rundir import find_run_folders, survey_run_folders

QdipJson = Callable[..., tuple[int, Any]]
DAMAGES: dict[str, Callable[[str], str]] = {
    "cut": lambda text: text[:300],
    "empty": lambda text: "",
    "other text": lambda text: "segmentation fault",
    "not a number": lambda text: text.replace('"n_atoms": 12', '"n_atoms": NaN'),
}


@pytest.fixture(params=DAMAGES)
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The shipped group, its film with a damaged ``run.json``."""
    folder = copy_reference(tmp_path / "runs")
    place = folder / "film" / "run.json"
    whole = place.read_text()
    place.write_text(DAMAGES[request.param](whole))
    assert place.read_text() != whole
    return folder


def test_it_enters_no_energy_and_the_others_do(runs: Path, qdip_json: QdipJson) -> None:
    code, document = qdip_json("energies", runs)
    assert code == 3
    (refused,) = document["refused"]
    assert refused["paths"] == [str(runs / "film")]
    assert "film/run.json is not valid JSON" in refused["reason"]
    (group,) = document["groups"]
    assert "film" not in group["terms"]
    assert group["adsorption_energy_mev_per_angstrom2"] is None
    assert group["interface_energy_mev_per_angstrom2"] is None
    assert group["surface_energy_substrate_mev_per_angstrom2"] == pytest.approx(13.19, abs=0.01)


def test_it_is_not_collected_and_the_others_are(runs: Path, qdip_json: QdipJson) -> None:
    for again in (False, True):
        code, document = qdip_json("collect", runs, *(["--reread"] if again else []))
        assert code == 3
        assert len(document["runs"]) == 7
        (failed,) = document["failed"]
        assert failed["path"] == str(runs / "film")
        assert "film/run.json is not valid JSON" in failed["reason"]


def test_an_output_alone_is_still_read(runs: Path, qdip_json: QdipJson) -> None:
    code, document = qdip_json("collect", runs / "film" / "run.out")
    assert code == 0
    assert document["runs"][0]["status"] == "done"


def test_it_stands_as_failed_and_the_others_as_they_are(runs: Path, qdip_json: QdipJson) -> None:
    code, document = qdip_json("status", runs)
    assert code == 3
    assert document["counts"] == {"done": 7, "failed": 1}
    (failed,) = (run for group in document["groups"] for run in group["runs"] if run["state"] == "failed")
    assert failed["path"] == str(runs / "film")
    assert "film/run.json is not valid JSON" in failed["reason"]
    assert failed["energy_ev"] is None


def test_a_group_that_shares_it_does_not_bring_it_back(runs: Path, qdip_json: QdipJson) -> None:
    other = copy_reference(runs.parent / "other", roles=("film", "interface", "substrate"))
    link = json.loads((other / "film" / "run.json").read_text()) | {"same_as": "../../runs/film"}
    for file in (other / "film").iterdir():
        file.unlink()
    (other / "film" / "same_as.json").write_text(json.dumps(link))
    for paths in ([runs, other], [other]):
        code, document = qdip_json("energies", *paths)
        assert code in (1, 3)
        assert str(other / "film") in [path for item in document["refused"] for path in item["paths"]]
        for group in document["groups"]:
            assert "film" not in group["terms"]
            assert group["adsorption_energy_mev_per_angstrom2"] is None


def test_commands_that_act_on_runs_refuse_the_folder(runs: Path) -> None:
    with pytest.raises(DataError, match=r"film/run\.json is not valid JSON"):
        find_run_folders([runs])
    found, damaged = survey_run_folders([runs, runs / "film"])
    assert (len(found), [item.path for item in damaged]) == (7, [runs / "film"])
    with pytest.raises(DataError, match=r"film/run\.json is not valid JSON"):
        survey_run_folders([runs / "film"])


@pytest.fixture
def campaign(tmp_path: Path, qdip: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A campaign of three runs, the second with a damaged ``run.json``, and a CP2K that answers at once."""
    script = tmp_path / "stand-in"
    output = Path(__file__).parents[1] / "data" / "cp2k_runs" / "energy" / "run.out"
    script.write_text(f'#!/bin/bash\ncase "$1" in --version) echo "CP2K version 2023.1"; exit 0;; esac\ncat {output}\n')
    script.chmod(0o755)
    (tmp_path / "campaign.yaml").write_text(THREE)
    assert qdip("submit", tmp_path / "campaign.yaml", "-o", tmp_path / "camp")[0] == 0
    monkeypatch.setenv("QDIP_CP2K", str(script))
    (tmp_path / "camp" / "lattice4.2" / "bulk" / "run.json").write_text('{"role": ')
    return tmp_path / "camp"


THREE = """\
name: three
build: {bulk: {material: CsBr}}
vary: {lattice: [4.1, 4.2, 4.3]}
inputs: {preset: quick, kpoints: "2,2,2"}
"""


def told_of(document: Any) -> dict[str, tuple[str, str]]:
    runs = [run for group in document["groups"] for run in group["runs"]] if "groups" in document else document["runs"]
    return {Path(run["path"]).parent.name: (run.get("state") or run["outcome"], run["reason"]) for run in runs}


def test_every_command_goes_on_and_says_the_same_of_it(
    campaign: Path, qdip: Any, qdip_json: QdipJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, document = qdip_json("status", campaign)
    before = told_of(document)
    assert code == 3
    assert before["lattice4.2"][0] == "failed" and "run.json is not valid JSON" in before["lattice4.2"][1]
    assert before["lattice4.1"][0] == "waiting"
    code, document = qdip_json("run", campaign)
    assert code == 3
    assert [told_of(document)[f"lattice4.{k}"][0] for k in (1, 2, 3)] == ["done", "failed", "done"]
    assert told_of(document)["lattice4.2"] == before["lattice4.2"]
    code, document = qdip_json("submit", campaign, "--engine", "local")
    assert code == 3
    assert [Path(item["path"]).parent.name for item in document["left_out"]] == ["lattice4.2"]
    assert document["status"]["counts"] == {"done": 2, "failed": 1}
    monkeypatch.delenv("QDIP_CP2K")  # the stand-in has no keywords to check against
    code, document = qdip_json("submit", campaign.parent / "campaign.yaml", "-o", campaign)
    assert (code, len(document["left_out"])) == (3, 1)
    assert (campaign / "lattice4.2" / "bulk" / "run.json").read_text() == '{"role": '
    code, document = qdip_json("collect", campaign)
    assert (code, len(document["runs"]), len(document["failed"])) == (3, 2, 1)
    assert qdip("submit", campaign.parent / "campaign.yaml", "-o", campaign, "--force")[0] == 0
    assert told_of(qdip_json("status", campaign)[1])["lattice4.2"][0] == "waiting"


def test_a_share_of_a_damaged_run_waits_with_it(tmp_path: Path, qdip_json: QdipJson) -> None:
    (tmp_path / "campaign.yaml").write_text(
        "name: shared\nbuild: {slab: {material: PbS, vacuum: 12}}\nvary: {layers: [1, 3]}\ninputs: {preset: quick}\n"
    )
    words = ("submit", tmp_path / "campaign.yaml", "-o", tmp_path / "camp")
    assert qdip_json(*words)[0] == 0
    (tmp_path / "camp" / "layers1" / "slab_bulk" / "run.json").write_text("{")
    code, document = qdip_json(*words)
    assert (code, len(document["left_out"])) == (3, 1)
    assert qdip_json("status", tmp_path / "camp")[1]["counts"] == {"waiting": 2, "failed": 1}


def test_a_missing_run_stops_no_submission(campaign: Path, qdip_json: QdipJson) -> None:
    shutil.rmtree(campaign / "lattice4.2")
    code, document = qdip_json("submit", campaign, "--engine", "local")
    assert code == 3
    assert document["status"]["counts"] == {"done": 2, "missing": 1}


def test_linked_run_folders_are_followed_once(campaign: Path, tmp_path: Path, qdip_json: QdipJson) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "one").symlink_to(campaign / "lattice4.1" / "bulk")
    (links / "same").symlink_to(campaign / "lattice4.1" / "bulk")
    (links / "round").symlink_to(links)
    assert qdip_json("status", links)[1]["n_runs"] == 1
    code, document = qdip_json("run", links)
    assert (code, [run["outcome"] for run in document["runs"]]) == (0, ["done"])
    code, document = qdip_json("collect", links)
    assert (code, len(document["runs"])) == (0, 1)
    assert (campaign / "lattice4.1" / "bulk" / "result.json").exists()


def test_a_finished_run_in_a_read_only_folder_is_done(campaign: Path, qdip: Any, qdip_json: QdipJson) -> None:
    folder = campaign / "lattice4.1" / "bulk"
    assert qdip("run", folder)[0] == 0
    if os.geteuid() == 0:
        words = [["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,ro,bind", str(folder)]]
        if any(subprocess.run(word, capture_output=True, check=False).returncode for word in words):
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
            pytest.skip("needs the right to mount")
    else:
        folder.chmod(0o555)
    try:
        with pytest.raises(OSError, match=r"."):
            (folder / "written").touch()
        for command in ("run", "segment"):
            code, document = qdip_json(command, folder)
            assert (code, (document.get("runs") or [document])[0]["outcome"]) == (0, "done")
        assert qdip_json("status", folder)[1]["counts"] == {"done": 1}
        assert qdip_json("collect", folder)[0] == 0
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        else:
            folder.chmod(0o755)


@pytest.mark.parametrize(
    "words", ["vary: {lattice: {a: 4.1, A: 4.2}}", "cases: {low: {lattice: 4.1}, LOW: {lattice: 4.2}}"]
)
def test_labels_that_differ_in_case_alone_are_refused(words: str, tmp_path: Path, qdip: Any) -> None:
    text = THREE.replace("vary: {lattice: [4.1, 4.2, 4.3]}", words)
    (tmp_path / "campaign.yaml").write_text(text)
    code, _, err = qdip("submit", tmp_path / "campaign.yaml", "-o", tmp_path / "camp")
    assert (code, "some file systems take for one" in err) == (2, True), err
    assert not (tmp_path / "camp").exists()
