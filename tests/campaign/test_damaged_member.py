"""One damaged ``run.json`` in a folder of runs: listed with its reason, in no energy, and no hindrance to the rest."""

import json
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
