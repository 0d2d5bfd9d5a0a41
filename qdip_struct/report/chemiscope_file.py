"""A chemiscope file of a study: every structure with its energies, every atom with its strain and charge.

Written through chemiscope (BSD-3-Clause, extra ``viewer``): Fraux et al., J. Open Source Softw. 5, 2117 (2020),
10.21105/joss.02117. Imported only here, late. The viewer is a web page of its own; the file leaves nothing out.
"""

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.base.errors import QdipError, ToolError, UsageError
from qdip_struct.base.files import plain, write_bytes
from qdip_struct.runs.rundir import STRUCTURE

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.report.study import RunState, Study

ENDINGS = (".json", ".json.gz")
_CUTOFF_ANGSTROM = 4.0


def write_chemiscope(path: Path, study: "Study", *, title: str, force: bool = False) -> int:
    """Write the structures of a study, relaxed where they are, and return how many.

    Properties of structures: energy (eV per atom), largest force (eV/Å), gap (eV), number of atoms, role, group,
    status; one that some structures lack is text. Properties of atoms: mean strain of the cations that carry one, else
    of all atoms the formal charge (e), when every structure has it. Same study, same bytes.

    Raises
    ------
    ToolError
        If chemiscope is not installed.
    UsageError
        If the name does not end in .json or .json.gz, the study holds no structure, or the file exists.
    """
    if not path.name.endswith(ENDINGS):
        raise UsageError(f"cannot write {path}: expected a name that ends in {' or '.join(ENDINGS)}")
    try:
        import chemiscope
    except ImportError as error:
        raise ToolError("a chemiscope file needs chemiscope: pip install 'qdip-struct[viewer]'") from error
    structures, rows = _structures(study)
    if not structures:
        raise UsageError(f"{study.path} holds no structure that could be shown")
    of_atoms, places = _of_atoms(structures)
    content = chemiscope.create_input(
        structures=[_bare(atoms) for atoms in structures],
        properties={**_properties(structures, rows), **of_atoms},
        environments=places,
        metadata={"name": title},
    )
    text = json.dumps(plain(content), ensure_ascii=False, sort_keys=True).encode()
    write_bytes(path, gzip.compress(text, mtime=0) if path.name.endswith(".gz") else text, force=force)
    return len(structures)


def _structures(study: "Study") -> "tuple[list[Atoms], list[RunState | None]]":
    """Structures of runs, then the files with strain arrays, which belong to no run."""
    from qdip_struct.materials.structure_files import read_structure
    from qdip_struct.runs.collection import final_structure

    structures: list[Atoms] = []
    rows: list[RunState | None] = []
    for state in study.runs:
        try:
            found = None
            if state.run is not None and state.run.moved:
                found = final_structure(state.folder.path, state.run)
            structures.append(found or read_structure(state.folder.path / STRUCTURE))
        except QdipError:
            continue
        rows.append(state)
    for file in study.labelled:
        structures.append(read_structure(file))
        rows.append(None)
    return structures, rows


def _bare(atoms: "Atoms") -> "Atoms":
    """Elements, positions and cell alone: arrays travel as properties, so that every structure has the same ones."""
    from ase import Atoms

    return Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _properties(structures: "list[Atoms]", rows: "list[RunState | None]") -> dict[str, Any]:
    runs = [None if row is None else row.run for row in rows]
    energy = [
        np.nan if run is None or run.energy_ev is None else run.energy_ev / len(atoms)
        for run, atoms in zip(runs, structures, strict=True)
    ]
    per_structure: dict[str, tuple[list[Any], str, str]] = {
        "energy per atom": (energy, "eV", "last converged energy of the run over its atoms"),
        "largest force": (
            [np.nan if run is None else _number(run.max_force_ev_per_angstrom) for run in runs],
            "eV/Å",
            "of the last converged step",
        ),
        "gap": ([np.nan if run is None else _number(run.gap_ev) for run in runs], "eV", "as CP2K printed it"),
        "atoms": ([len(atoms) for atoms in structures], "", "number of atoms"),
        "role": ([row.folder.role if row else "structure" for row in rows], "", "role in its group"),
        "group": ([row.folder.group if row else "-" for row in rows], "", "runs that belong together"),
        "status": ([row.status if row else "-" for row in rows], "", "status of the run"),
    }
    found: dict[str, Any] = {}
    for name, (values, units, description) in per_structure.items():
        unknown = [isinstance(value, float) and np.isnan(value) for value in values]
        if all(unknown):
            continue
        if any(unknown):
            values = ["none" if gone else f"{value:.6g}" for value, gone in zip(values, unknown, strict=True)]
        found[name] = {"target": "structure", "values": values, "units": units, "description": description}
    return found


def _of_atoms(structures: "list[Atoms]") -> tuple[dict[str, Any], list[tuple[int, int, float]] | None]:
    """Properties of atoms, and the atoms they belong to: those with a strain, else all."""
    found: dict[str, Any] = {}
    places: list[tuple[int, int, float]] | None = None
    chosen = [np.arange(len(atoms)) for atoms in structures]
    if any("strain_mean" in atoms.arrays for atoms in structures):
        none = np.empty(0, dtype=int)
        chosen = [
            np.flatnonzero(np.isfinite(atoms.arrays["strain_mean"])) if "strain_mean" in atoms.arrays else none
            for atoms in structures
        ]
        places = [(n, int(i), _CUTOFF_ANGSTROM) for n, rows in enumerate(chosen) for i in rows]
    for key, name, units in (("strain_mean", "mean strain", ""), ("formal_charge", "formal charge", "e")):
        if all(key in atoms.arrays for atoms, rows in zip(structures, chosen, strict=True) if len(rows)):
            values = [float(atoms.arrays[key][i]) for atoms, rows in zip(structures, chosen, strict=True) for i in rows]
            found[name] = {"target": "atom", "values": values, "units": units, "description": key}
    return found, places if found else None


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
