"""What a study folder holds: run folders, misfit screens, results of other commands, and the question it asks.

Documents of other commands that a page shows: how each is recognised, and the shape that its section relies on.

Written by this package they agree with their shapes; edited or damaged ones are passed over with the reason.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.base.document_shapes import (
    ANYTHING,
    COUNT,
    NUMBER,
    POSITIVE,
    TEXT,
    TRUTH,
    WHOLE,
    WORD,
    Each,
    Entries,
    Fields,
    Maybe,
    Shape,
    fault,
)
from qdip_struct.base.documents import json_document, yaml_document
from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.report.memory import Memory
from qdip_struct.runs.rundir import OUTPUT, RECORD, RESULT, STRUCTURE, RunFolder, open_run_folder, segment_name

Kind = Literal["strain", "levels", "charge-difference", "diffraction", "convergence"]

_NUMBERS = Each(NUMBER)
_WEIGHTS = Entries(NUMBER)
_PLANE = Each(WHOLE)
_MEAN = Fields({"n": COUNT, "mean": Maybe(NUMBER), "stderr": Maybe(NUMBER)})
_REGION = Fields({"n": COUNT, "mean": Maybe(NUMBER), "stderr": Maybe(NUMBER), "std": Maybe(NUMBER)})
_PHASE = Fields({"reference_lattice_angstrom": POSITIVE, "reference_source": TEXT})
_CONTINUUM = Fields(dict.fromkeys(("dot_strain", "dot_strain_infinite_matrix", "misfit", "volume_fraction"), NUMBER))
_EDGE = Fields({"energy_ev": NUMBER, "home": Maybe(WORD), "weights": _WEIGHTS})
_LINE = Fields(
    {"hkl": _PLANE, "spacing_angstrom": POSITIVE, "two_theta_degree": NUMBER, "intensity": NUMBER}, exactly=True
)
_SPOT = Fields(
    {"hkl": _PLANE, "spacing_angstrom": POSITIVE, "strength": NUMBER, "azimuth_degree": NUMBER}, exactly=True
)

SHAPES: Mapping[Kind, Fields] = {
    "strain": Fields(
        {
            "measure": WORD,
            "regions": Entries(_REGION),
            "profile": ANYTHING,
            "continuum_reason": Maybe(TEXT),
        },
        {
            "structure": TEXT,
            "phases": Entries(_PHASE),
            "to_reference": Maybe(Entries(_MEAN)),
            "continuum": Maybe(_CONTINUUM),
            "undefined": Maybe(COUNT),
        },
    ),
    "levels": Fields(
        {
            "projected_on": Each(WORD),
            "pdos": Maybe(
                Fields(
                    {
                        "sigma_ev": POSITIVE,
                        "energy_ev": _NUMBERS,
                        "density_per_ev": Each(Fields({"group": WORD, "spin": Maybe(WORD), "values": _NUMBERS})),
                    }
                )
            ),
            "homo": Maybe(_EDGE),
            "lumo": Maybe(_EDGE),
            "fermi_ev": Maybe(NUMBER),
            "gap_ev": Maybe(NUMBER),
            "in_gap": Maybe(
                Fields({"host": WORD, "reason": Maybe(TEXT), "states": Each(Fields({"energy_ev": NUMBER}))})
            ),
        },
        {
            "notes": Each(TEXT),
            "orbitals": Maybe(
                Each(Fields({"name": WORD, "spin": Maybe(WORD), "home": Maybe(WORD), "shares": _WEIGHTS}))
            ),
            "comparison": Maybe(
                Fields(
                    {
                        "paths": Each(TEXT, 2),
                        "host": WORD,
                        "moved": Each(WORD),
                        "n_states_in_gap": Each(Maybe(COUNT), 2),
                    }
                )
            ),
            "alignment": Maybe(
                Fields(
                    {
                        "materials": Each(WORD, 2),
                        "type": WORD,
                        "valence_offset_ev": NUMBER,
                        "conduction_offset_ev": NUMBER,
                    }
                )
            ),
        },
    ),
    "charge-difference": Fields(
        {
            "planar": Fields({"axis": WORD, "height_angstrom": _NUMBERS, "linear_density_e_per_angstrom": _NUMBERS}),
            "radial": Maybe(Fields({"outer_radius_angstrom": _NUMBERS, "density_e_per_angstrom3": _NUMBERS})),
            "displaced_e": NUMBER,
            "integral_e": NUMBER,
            "balanced": TRUTH,
        },
        {"transfer_dipole_e_angstrom": Maybe(NUMBER), "transfer_step_ev": Maybe(NUMBER)},
    ),
    "diffraction": Fields(
        {
            "path": TEXT,
            "two_theta_max_degree": NUMBER,
            "wavelength_angstrom": POSITIVE,
            "zone": Maybe(Each(WHOLE, 3)),
            "parts": Each(Fields({"name": WORD, "powder": Each(_LINE), "spots": Each(_SPOT)})),
        },
        {
            "between": Maybe(Fields({"hkl": Each(_PLANE, 2), "angle_degree": NUMBER})),
            "fringe": Maybe(
                Fields({"spacing_angstrom": NUMBER, "phases": Each(Fields({"phase": WORD, "can_show": Maybe(TRUTH)}))})
            ),
        },
    ),
    "convergence": Fields(
        {
            "vary": WORD,
            "unit": TEXT,
            "points": Each(Fields({"value": NUMBER, "difference_mev_per_atom": Maybe(NUMBER)})),
        }
    ),
}
"""Shape of each document."""

_SIGNS: Mapping[Kind, frozenset[str]] = {
    "strain": frozenset({"measure", "regions", "profile", "continuum_reason"}),
    "levels": frozenset({"projected_on", "pdos", "homo"}),
    "charge-difference": frozenset({"planar", "displaced_e", "integral_e"}),
    "diffraction": frozenset({"two_theta_max_degree", "parts", "zone"}),
    "convergence": frozenset({"vary", "unit", "points"}),
}
"""Keys by which each document is known."""

_MATCH = Fields({"formula": WORD, "fraction": Maybe(NUMBER), "a_angstrom": NUMBER})
_POINT = Fields(
    {"formula": WORD, "fraction": Maybe(NUMBER), "a_matrix_angstrom": NUMBER, "mismatch": NUMBER},
    {"mismatch_uncertainty": Maybe(NUMBER)},
)
SCREEN: Shape = Fields(
    {
        "dot": Fields({"name": WORD, "a_angstrom": Maybe(NUMBER), "source": TEXT}),
        "matrix": Fields({"name": WORD}),
        "dataset": WORD,
        "denominator": WORD,
        "zero_mismatch": Each(_MATCH),
        "window": Each(Fields({"from": NUMBER, "to": NUMBER})),
        "points": Each(_POINT),
    },
    {"remarks": Each(TEXT)},
)
"""Shape of what ``qdip screen`` wrote for one dot in one matrix."""

_EQUALLY_LONG: Mapping[Kind, tuple[tuple[str, str, str], ...]] = {
    "charge-difference": (
        ("planar", "height_angstrom", "linear_density_e_per_angstrom"),
        ("radial", "outer_radius_angstrom", "density_e_per_angstrom3"),
    ),
}


def kind_of(content: Mapping[str, Any]) -> Kind | None:
    """The command that wrote a document; ``None`` for one that a page does not show."""
    return next((kind for kind, signs in _SIGNS.items() if signs <= content.keys()), None)


def fault_of(content: Mapping[str, Any], kind: Kind) -> str | None:
    """What is wrong with a document of a command, in words; ``None`` when a page can show it."""
    found = fault(content, SHAPES[kind])
    if found is not None:
        return found
    if kind == "levels" and content["pdos"] is not None:
        pdos = content["pdos"]
        if content["fermi_ev"] is None:
            return "pdos has no fermi_ev to be drawn against"
        lengths = {len(part["values"]) for part in pdos["density_per_ev"]} | {len(pdos["energy_ev"])}
        return None if len(lengths) == 1 else "pdos holds energies and densities of different lengths"
    for part, one, other in _EQUALLY_LONG.get(kind, ()):
        if content[part] is not None and len(content[part][one]) != len(content[part][other]):
            return f"{part}.{one} and {part}.{other} have different lengths"
    return None


SHIPPED = "shipped"
"""Value of ``origin`` in ``run.json`` of runs that came with the package and were not run by the user."""

_LARGEST_BYTES = 60_000_000
_CAMPAIGN = "campaign.yaml"
_COMMANDS: dict[Kind, str] = {"convergence": "converge"}


@dataclass(frozen=True, eq=False)
class RunState:
    """A run folder as read.

    Attributes
    ----------
    folder
        Where.
    run
        ``None`` without a readable output.
    reason
        Why there is none.
    """

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
class Result:
    """A JSON document that another command wrote.

    Attributes
    ----------
    path, content
        Where it lies, and what it says.
    """

    path: Path
    content: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Study:
    """What a study folder holds.

    Attributes
    ----------
    path
        The folder.
    screens
        Documents of ``qdip screen``.
    runs
        Every run folder.
    energies
        The document of ``qdip energies``.
    results
        Documents of other commands.
    labelled
        Structures with a strain map.
    question
        What the study asks.
    skipped
        What could not be read, with the reason.
    """

    path: Path
    screens: tuple[dict[str, Any], ...]
    runs: tuple[RunState, ...]
    energies: dict[str, Any]
    results: dict[Kind, tuple[Result, ...]] = field(default_factory=dict)
    labelled: tuple[Path, ...] = ()
    question: str | None = None
    skipped: tuple[str, ...] = ()

    def name(self, path: Path | str) -> str:
        """A path as seen from the study folder."""
        try:
            return str(Path(path).resolve().relative_to(self.path.resolve()))
        except ValueError:
            return str(path)

    def of(self, kind: Kind) -> tuple[Result, ...]:
        """Documents of one command."""
        return self.results.get(kind, ())


def read_study(path: Path, *, question: str | None = None, memory: Memory | None = None) -> Study:
    """Collect runs, screens, results and energies below a folder.

    Parameters
    ----------
    path
        Study folder, or one run folder.
    question
        What the study asks; default the key ``question`` of a ``campaign.yaml`` in the folder.
    memory
        Where the energies of unchanged runs are kept; default nowhere.

    Raises
    ------
    DataError
        If the folder does not exist or holds nothing that a page could show.
    """
    if not path.is_dir():
        raise DataError(f"{path} is not a folder")
    folders: list[RunFolder] = []
    screens: list[dict[str, Any]] = []
    results: dict[Kind, list[Result]] = {}
    labelled: list[Path] = []
    skipped: list[str] = []
    for place, names, files in os.walk(path):
        here = Path(place)
        names[:] = sorted(name for name in names if not name.startswith((".", "__")))
        if RECORD in files:
            try:
                folders.append(open_run_folder(here))
            except DataError as error:
                skipped.append(str(error))
        for file in sorted(files):
            if file.startswith("screen") and file.endswith(".json"):
                screens += _screens(here / file, skipped)
            elif file.endswith(".json") and file not in (RECORD, RESULT):
                found = _result(here / file, skipped)
                if found is not None:
                    results.setdefault(found[0], []).append(found[1])
            elif file.endswith(".extxyz") and file != STRUCTURE and _has_strain(here / file):
                labelled.append(here / file)
    if not folders and not screens and not results and not labelled:
        if skipped:
            raise DataError(f"{path} holds nothing to report that could be read: {'; '.join(skipped)}")
        raise DataError(
            f"{path} holds nothing to report: no run folder (run.json), no screen*.json, no result of another command"
        )
    runs = tuple(_state(folder) for folder in sorted(folders, key=lambda folder: str(folder.path)))
    started = [state.folder for state in runs if state.status != "prepared"]
    return Study(
        path,
        tuple(screens),
        runs,
        _energies(started, memory or Memory(None)),
        {kind: tuple(items) for kind, items in results.items()},
        tuple(labelled),
        question or _question(path / _CAMPAIGN),
        tuple(skipped),
    )


def _energies(folders: list[RunFolder], memory: Memory) -> dict[str, Any]:
    files = [
        folder.path / name
        for folder in folders
        for name in (RECORD, STRUCTURE, *(segment_name(Path(OUTPUT), n + 1).name for n in range(folder.n_segments)))
    ]
    return memory.document(
        "energies",
        files=[file for file in files if file.is_file()],
        parameters=[str(folder.path) for folder in folders],
        make=lambda: energies_of(folders),
    )


def _screens(file: Path, skipped: list[str]) -> list[dict[str, Any]]:
    """The pairs of dot and matrix in a file of ``qdip screen``."""
    try:
        document = json_document(file)
    except DataError as error:
        skipped.append(str(error))
        return []
    found: list[dict[str, Any]] = []
    pairs = document.get("pairs", [document]) if isinstance(document, dict) else [document]
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        wrong = fault(pair, SCREEN)
        if wrong is None:
            found.append(pair)
        else:
            skipped.append(f"{file} is no document of 'qdip screen': {wrong}")
    return found


def _result(file: Path, skipped: list[str]) -> tuple[Kind, Result] | None:
    """The document in a file when it is one of those a page shows."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            return None
        content = json_document(file)
    except OSError as error:
        skipped.append(f"cannot read {file}: {error.strerror or error}")
        return None
    except DataError as error:
        skipped.append(str(error))
        return None
    kind = kind_of(content) if isinstance(content, dict) else None
    if kind is None:
        return None
    wrong = fault_of(content, kind)
    if wrong is not None:
        skipped.append(f"{file} is no document of 'qdip {_COMMANDS.get(kind, kind)}': {wrong}")
        return None
    return kind, Result(file, content)


def _has_strain(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            stream.readline()
            return "strain_mean:R:1" in stream.readline()
    except OSError:
        return False


def _question(file: Path) -> str | None:
    """The question that a campaign file asks."""
    if not file.is_file():
        return None
    try:
        content = yaml_document(file)
    except DataError:
        return None
    found = content.get("question") if isinstance(content, dict) else None
    return " ".join(found.split()) if isinstance(found, str) else None


def _state(folder: RunFolder) -> RunState:
    if not folder.n_segments:
        return RunState(folder, None, "not started")
    try:
        run = read_run(folder.path)
    except DataError as error:
        return RunState(folder, None, str(error))
    return RunState(folder, run, run.reason)
