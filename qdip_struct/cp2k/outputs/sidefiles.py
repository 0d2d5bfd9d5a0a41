"""The files beside an output that belong to its run: bound to the project name it printed, never to what lies around.

CP2K names them ``PROJECT-…``. Only the endings that CP2K itself writes are accepted after the project name, so that
the files of a project ``run-2`` are not taken for those of ``run``.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from qdip_struct.cp2k.outputs.run import Run

_CUBES = (
    r"ELECTRON_DENSITY|SPIN_DENSITY|TOTAL_DENSITY|v_hartree|v_xc|v_external|ELF(?:_S\d+)?|WFN_\d+_\d|efield_[xyz]"
    r"|PRINT_MODULE-\w+|STM(?:_\w+)?"
)
_PATTERNS = {
    "positions": re.compile(r"pos-1\.xyz"),
    "forces": re.compile(r"frc-1\.xyz"),
    "velocities": re.compile(r"vel-1\.xyz"),
    "cells": re.compile(r"1\.cell"),
    "energies": re.compile(r"1\.ener"),
    "restart": re.compile(r"1\.restart"),
    "wavefunction": re.compile(r"RESTART\.(?:wfn|kp)"),
    "pdos": re.compile(r"(?:ALPHA_|BETA_)?(?:k|list)\d+-1(?:_\d+)?\.pdos"),
    "bands": re.compile(r"bands\.bs"),
    "cubes": re.compile(rf"(?:{_CUBES})-1(?:_\d+)?\.cube"),
}


@dataclass(frozen=True)
class SideFiles:
    """Files of one run; ``None`` or empty where CP2K wrote none.

    Attributes
    ----------
    positions, forces, velocities, cells, energies
        Trajectories.
    restart, wavefunction
        The last ones.
    bands
        Energies along lines or on a mesh of k-points.
    pdos
        Projected densities of states.
    cubes
        Last file of each quantity.
    """

    positions: Path | None = None
    forces: Path | None = None
    velocities: Path | None = None
    cells: Path | None = None
    energies: Path | None = None
    restart: Path | None = None
    wavefunction: Path | None = None
    bands: Path | None = None
    pdos: tuple[Path, ...] = ()
    cubes: dict[str, Path] = field(default_factory=dict)


def side_files(run: Run) -> SideFiles:
    """The side files of ``run``, looked for in the folder of its output; none when it printed no project name."""
    folder = run.path if run.path.is_dir() else run.path.parent
    if run.project is None or not folder.is_dir():
        return SideFiles()
    # a PROJECT may name a folder: CP2K writes its files there
    place = folder / f"{run.project}-"
    prefix, where = place.name, place.parent
    names = sorted(item.name for item in where.iterdir() if item.is_file()) if where.is_dir() else []
    found: dict[str, list[str]] = {kind: [] for kind in _PATTERNS}
    for name in names:
        if name.startswith(prefix):
            for kind, pattern in _PATTERNS.items():
                if pattern.fullmatch(name[len(prefix) :]):
                    found[kind].append(name)
    cubes = sorted(found.pop("cubes"), key=lambda name: (name.rsplit("-", 1)[0], _step(name)))
    pdos = found.pop("pdos")
    return SideFiles(
        pdos=tuple(where / name for name in pdos),
        cubes={name[len(prefix) :].rsplit("-", 1)[0]: where / name for name in cubes},
        **{kind: where / entries[-1] for kind, entries in found.items() if entries},
    )


def _step(name: str) -> int:
    found = re.search(r"_(\d+)\.cube$", name)
    return int(found.group(1)) if found else -1
