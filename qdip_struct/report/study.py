"""What a study folder holds: misfit screens (``screen*.json``), run folders (``run.json``), the energies they give."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdip_struct.campaign.answers import energies_of
from qdip_struct.campaign.rundir import RunFolder, find_run_folders
from qdip_struct.cp2k.output import read_run
from qdip_struct.cp2k.run import Run
from qdip_struct.errors import DataError
from qdip_struct.files import read_text

SHIPPED = "shipped"
"""Value of ``origin`` in ``run.json`` of runs that came with the package and were not run by the user."""


@dataclass(frozen=True, eq=False)
class RunState:
    """A run folder with its run as read, or the reason why there is none."""

    folder: RunFolder
    run: Run | None
    reason: str

    @property
    def status(self) -> str:
        """The run's status, ``prepared`` when it has an input and no output, or ``unreadable``."""
        if self.run is not None:
            return self.run.status
        return "unreadable" if self.folder.n_segments else "prepared"


@dataclass(frozen=True, eq=False)
class Study:
    """What a study folder holds."""

    path: Path
    screens: tuple[dict[str, Any], ...]
    runs: tuple[RunState, ...]
    energies: dict[str, Any]


def read_study(path: Path) -> Study:
    """Collect screens, runs and energies below a folder.

    Raises
    ------
    DataError
        If the folder does not exist or holds neither a screen nor a run folder.
    """
    if not path.is_dir():
        raise DataError(f"{path} is not a folder")
    screens: list[dict[str, Any]] = []
    for file in sorted(path.rglob("screen*.json")):
        try:
            document = json.loads(read_text(file))
        except ValueError as error:
            raise DataError(f"{file} is not valid JSON: {error}") from error
        screens += document.get("pairs", [document])
    folders = find_run_folders([path]) if any(path.rglob("run.json")) else []
    if not folders and not screens:
        raise DataError(f"{path} holds nothing to report: no run folder (run.json) and no screen*.json")
    runs = tuple(_state(folder) for folder in folders)
    started = [state.folder for state in runs if state.status != "prepared"]
    return Study(path, tuple(screens), runs, energies_of(started))


def _state(folder: RunFolder) -> RunState:
    if not folder.n_segments:
        return RunState(folder, None, "not started")
    try:
        run = read_run(folder.path)
    except DataError as error:
        return RunState(folder, None, str(error))
    return RunState(folder, run, run.reason)
