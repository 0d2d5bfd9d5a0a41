"""Orbital cubes of one run folder, and two runs side by side: where HOMO and LUMO live and where they went."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.analysis.orbitals import orbital_name, orbital_of
from qdip_struct.analysis.potential import band_alignment, hartree_profile
from qdip_struct.campaign.run_levels import level_channels
from qdip_struct.campaign.rundir import STRUCTURE, open_run_folder
from qdip_struct.cp2k.cube import check_cell, read_cube
from qdip_struct.cp2k.output import read_run
from qdip_struct.cp2k.sidefiles import side_files
from qdip_struct.errors import DataError, MismatchError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from qdip_struct.cp2k.run import Run

_SPINS = {1: "ALPHA", 2: "BETA"}


def orbital_document(folder: Path, run: "Run") -> list[dict[str, Any]]:
    """Shares by region of every orbital cube of a run, from the lowest up; empty when it wrote none.

    Raises
    ------
    DataError
        If the folder has no ``run.json`` or structure with regions, or a cube is damaged.
    MismatchError
        If a cube is not the run's.
    """
    cubes = {name: path for name, path in side_files(run).cubes.items() if name.startswith("WFN_")}
    if not cubes:
        return []
    from qdip_struct.build.store import read_structure

    record = open_run_folder(folder).record
    atoms = read_structure(folder / STRUCTURE)
    key = next((name for name in ("region", "phase") if name in atoms.arrays), None)
    labels = atoms.get_chemical_symbols() if key is None else atoms.arrays[key].astype(str).tolist()
    n_occupied = _occupied(int(record["n_electrons"]), run)
    found = []
    for quantity, path in sorted(cubes.items()):
        named = orbital_name(quantity, n_occupied=n_occupied)
        if named is None:
            continue
        cube = read_cube(path)
        if run.cell is not None:
            check_cell(cube, cell=run.cell)
        if len(cube.atoms) != len(atoms) or (cube.atoms.numbers != atoms.numbers).any():
            raise MismatchError(f"{path} holds other atoms than {folder / STRUCTURE}")
        orbital = orbital_of(cube, labels=labels)
        found.append(
            {
                "name": named[2],
                "index": named[0],
                "spin": _SPINS[named[1]] if len(n_occupied) == 2 else None,
                "shares": orbital.shares,
                "home": orbital.home,
                "norm": orbital.norm,
            }
        )
    return sorted(found, key=lambda item: (item["spin"] or "", item["index"]))


def _occupied(n_electrons: int, run: "Run") -> tuple[int, ...]:
    """Occupied orbitals of each spin channel from electron count and multiplicity."""
    if run.settings.spin == "UKS":
        excess = (run.settings.multiplicity or (1 + n_electrons % 2)) - 1
        return (n_electrons + excess) // 2, (n_electrons - excess) // 2
    return (n_electrons // 2,)


def comparison_document(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two documents of ``qdip levels`` side by side: a matched against a rotated dot (Ning et al., Ext. Data Fig. 2).

    ``moved`` lists the edges that live on another region in ``other``; shares are those of the host of ``one``.

    Raises
    ------
    MismatchError
        If the runs are projected on other regions, or neither has a host.
    """
    if list(one["projected_on"]) != list(other["projected_on"]):
        raise MismatchError(
            f"{one['path']} is projected on {', '.join(one['projected_on'])} and {other['path']} on "
            f"{', '.join(other['projected_on'])}: compare runs with the same regions"
        )
    if one["in_gap"] is None or other["in_gap"] is None:
        raise MismatchError(f"{one['path']} and {other['path']} have no host to compare: name one with --host")
    host = one["in_gap"]["host"]
    moved, edges = [], {}
    for edge in ("homo", "lumo"):
        pair = [document[edge] for document in (one, other)]
        edges[edge] = {
            "homes": [None if item is None else item["home"] for item in pair],
            "host_shares": [None if item is None else item["weights"][host] for item in pair],
        }
        if None not in pair and pair[0]["home"] != pair[1]["home"]:
            moved.append(edge)
    gaps = [document["gap_ev"] for document in (one, other)]
    counts = [
        None if document["in_gap"]["reason"] is not None else len(document["in_gap"]["states"])
        for document in (one, other)
    ]
    return {
        "paths": [one["path"], other["path"]],
        "host": host,
        "gap_ev": gaps,
        "gap_change_ev": None if None in gaps else gaps[1] - gaps[0],
        **edges,
        "n_states_in_gap": counts,
        "moved": moved,
    }


def alignment_document(
    folder: Path, run: "Run", *, bulks: Mapping[str, Path], axis: int = 2, periods_angstrom: tuple[float, ...]
) -> dict[str, Any]:
    """Band alignment of two materials from a joint cell and the bulk of each.

    V̿ is the macroscopic average of the joint cell's Hartree potential half-way between the outermost atoms of each
    region; the valence edge is the bulk's HOMO above its own mean potential, the gap the bulk's.

    Parameters
    ----------
    folder, run
        The joint cell, with a Hartree cube and a structure whose array ``region`` names the materials.
    bulks
        Region → run folder of its bulk, with Hartree cube and PDOS (Γ only: the cell must fold the band edges to Γ).
    axis
        Cell vector across the interface.
    periods_angstrom
        Periods of the layers of both materials, Å.

    Raises
    ------
    UsageError
        If there are not two bulks, no period, or a region that the structure lacks.
    DataError
        If a cube, projection or gap is missing.
    """
    if len(bulks) != 2 or not periods_angstrom:
        raise UsageError("an alignment from runs needs the bulk of two regions and the periods of their layers")
    cube_path = side_files(run).cubes.get("v_hartree")
    if cube_path is None:
        raise DataError(f"{folder} holds no Hartree cube; ask for it with 'qdip inputs --print hartree'")
    from qdip_struct.build.store import read_structure

    atoms = read_structure(folder / STRUCTURE)
    regions = atoms.arrays["region"].astype(str) if "region" in atoms.arrays else None
    cube = read_cube(cube_path)
    profile = hartree_profile(cube, axis=axis, periods_angstrom=periods_angstrom)
    materials: dict[str, dict[str, float]] = {}
    for name, place in bulks.items():
        if regions is None or not (regions == name).any():
            raise UsageError(f"{folder / STRUCTURE} has no region '{name}'")
        middle = _middle(cube.atoms.positions[regions == name], cube.cell, axis)
        potential = float(_at(profile.heights_angstrom, profile.values, profile.length_angstrom, middle))
        materials[name] = {"potential_ev": potential, "height_angstrom": middle, **_bulk_edges(place)}
    one, two = materials.values()
    found = band_alignment(
        potentials_ev=(one["potential_ev"], two["potential_ev"]),
        valence_edges_ev=(one["edge_ev"], two["edge_ev"]),
        gaps_ev=(one["gap_ev"], two["gap_ev"]),
    )
    return {
        "materials": list(materials),
        "terms": materials,
        "type": found.kind,
        "valence_offset_ev": found.valence_offset_ev,
        "conduction_offset_ev": found.conduction_offset_ev,
    }


def _bulk_edges(folder: Path) -> dict[str, float]:
    """Valence edge above the mean Hartree potential, and gap, of a bulk run."""
    from qdip_struct.analysis.levels import gap_of, highest_occupied

    run = read_run(folder)
    if run.scf_converged is not True:
        raise DataError(f"{folder}: its last SCF did not converge ({run.reason}); its levels mean nothing")
    path = side_files(run).cubes.get("v_hartree")
    if path is None:
        raise DataError(f"{folder} holds no Hartree cube; ask for it with 'qdip inputs --print hartree'")
    channels = level_channels(folder, run)
    homo, gap = highest_occupied(channels), gap_of(channels)
    if homo is None or gap is None:
        raise DataError(f"{folder} has no gap: CP2K printed no empty level; ask for them with NLUMO in &PDOS")
    mean = float(hartree_profile(read_cube(path)).values.mean())
    return {"edge_ev": homo.energy_ev - mean, "gap_ev": gap}


def _middle(positions: "np.ndarray", cell: "np.ndarray", axis: int) -> float:
    """Height half-way between the outermost atoms, across the widest gap of the period."""
    import numpy as np

    column = np.linalg.inv(cell)[:, axis]
    length = 1 / float(np.linalg.norm(column))
    heights = np.sort(np.mod(positions @ column, 1.0)) * length
    gaps = np.diff(np.append(heights, heights[0] + length))
    start = heights[(int(np.argmax(np.round(gaps, 6))) + 1) % len(heights)]
    above = np.mod(heights - start + 1e-9, length)
    return float((start + 0.5 * above.max()) % length)


def _at(heights: "np.ndarray", values: "np.ndarray", length: float, place: float) -> float:
    import numpy as np

    found = np.interp(place, heights, values, period=length)
    return float(found)
