"""Band alignment of two materials from finished runs: a joint cell lines up the potentials, each bulk has its edges.

The edges of a bulk come from its bands (k-points) or from its PDOS (Γ, where the cell must fold the edges to Γ).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.analysis.electrons.band_edges import band_edges
from qdip_struct.analysis.electrons.levels import gap_of, highest_occupied
from qdip_struct.analysis.electrons.potential import band_alignment, hartree_profile, layer_potential
from qdip_struct.analysis.electrons.run_levels import level_channels
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.bands import read_bands
from qdip_struct.cp2k.outputs.cube import check_cell, read_cube
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.sidefiles import side_files
from qdip_struct.runs.rundir import STRUCTURE

if TYPE_CHECKING:
    from qdip_struct.cp2k.outputs.cube import Cube
    from qdip_struct.cp2k.outputs.run import Run, Settings

_ASK = "ask for it with 'qdip inputs --print hartree'"


def alignment_document(
    folder: Path, run: "Run", *, bulks: Mapping[str, Path], axis: int = 2, periods_angstrom: tuple[float, ...]
) -> tuple[dict[str, Any], list[str]]:
    """Band alignment of two materials from a joint cell and the bulk of each, and what makes it doubtful.

    V̿ is the macroscopic average of the joint cell's Hartree potential half-way between the outermost atoms of each
    region; the valence edge is the bulk's above its own mean potential, the gap the bulk's.

    Parameters
    ----------
    folder, run
        The joint cell, with a Hartree cube and a structure whose array ``region`` names the materials.
    bulks
        Region → run folder of its bulk, with Hartree cube and bands (or, at Γ, PDOS).
    axis
        Cell vector across the interface.
    periods_angstrom
        Periods of the layers of both materials, Å.

    Raises
    ------
    UsageError
        If there are not two bulks, no period, or a region that the structure lacks.
    DataError
        If a cube, the edges or a gap are missing, or an SCF did not converge.
    MismatchError
        If functional, basis sets or potentials of the runs differ.
    """
    if len(bulks) != 2 or not periods_angstrom:
        raise UsageError("an alignment from runs needs the bulk of two regions and the periods of their layers")
    from qdip_struct.builders.atoms.store import read_structure

    cube = _potential(folder, run)
    atoms = read_structure(folder / STRUCTURE)
    regions = atoms.arrays["region"].astype(str) if "region" in atoms.arrays else None
    profile = hartree_profile(cube, axis=axis, periods_angstrom=periods_angstrom)
    materials: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for name, place in bulks.items():
        if regions is None or not (regions == name).any():
            raise UsageError(f"{folder / STRUCTURE} has no region '{name}'")
        layer = layer_potential(
            profile,
            positions=cube.atoms.positions[regions == name],
            cell=cube.cell,
            axis=axis,
            window_angstrom=sum(periods_angstrom),
        )
        if layer.spread_ev is None:
            notes.append(
                f"{name} is {layer.thickness_angstrom:.1f} Å thick, the average takes {sum(periods_angstrom):.1f} Å: "
                "its potential is no plateau; use more layers"
            )
        materials[name] = {
            "path": place,
            "potential_ev": layer.potential_ev,
            "height_angstrom": layer.height_angstrom,
            "thickness_angstrom": layer.thickness_angstrom,
            "plateau_spread_ev": layer.spread_ev,
            **_bulk_edges(place, run),
        }
    one, two = materials.values()
    found = band_alignment(
        potentials_ev=(one["potential_ev"], two["potential_ev"]),
        valence_edges_ev=(one["edge_ev"], two["edge_ev"]),
        gaps_ev=(one["gap_ev"], two["gap_ev"]),
    )
    spreads = [item["plateau_spread_ev"] for item in materials.values()]
    doubt = None if None in spreads else float(np.hypot(*spreads))
    for edge, offset in (("valence", found.valence_offset_ev), ("conduction", found.conduction_offset_ev)):
        if doubt is not None and abs(offset) <= doubt:
            notes.append(
                f"the {edge} offset of {offset:+.3f} eV is no more than the {doubt:.3f} eV by which potentials vary "
                f"in the layers: type {found.kind} is not certain"
            )
    return {
        "materials": list(materials),
        "terms": materials,
        "type": found.kind,
        "valence_offset_ev": found.valence_offset_ev,
        "conduction_offset_ev": found.conduction_offset_ev,
        "potential_spread_ev": doubt,
    }, notes


def _potential(folder: Path, run: "Run") -> "Cube":
    """The Hartree cube of a run whose SCF converged."""
    if run.scf_converged is not True:
        raise DataError(f"{folder}: its last SCF did not converge ({run.reason}); its potential means nothing")
    path = side_files(run).cubes.get("v_hartree")
    if path is None:
        raise DataError(f"{folder} holds no Hartree cube; {_ASK}")
    cube = read_cube(path)
    if run.cell is not None:
        check_cell(cube, cell=run.cell)
    return cube


def _bulk_edges(folder: Path, joint: "Run") -> dict[str, Any]:
    """Valence edge above the mean Hartree potential, gap and where they come from, of a bulk run."""
    run = read_run(folder)
    _check_settings(folder, run.settings, joint)
    mean = float(hartree_profile(_potential(folder, run)).values.mean())
    files = side_files(run)
    if files.bands is not None:
        edges = band_edges(read_bands(files.bands))
        if edges.gap_ev < 0:
            raise DataError(f"{folder}: its bands overlap by {-edges.gap_ev:.3f} eV, it has no gap to align")
        return {
            "edge_ev": edges.valence.energy_ev - mean,
            "gap_ev": edges.gap_ev,
            "edges_from": "bands",
            "valence_at": edges.valence.name or edges.valence.kpoint,
            "conduction_at": edges.conduction.name or edges.conduction.kpoint,
        }
    if not files.pdos:
        raise DataError(
            f"{folder} holds neither bands nor PDOS; ask for 'qdip inputs --print bands' (with k-points) or "
            "'--print pdos' (at Γ)"
        )
    channels = level_channels(folder, run)
    homo, gap = highest_occupied(channels), gap_of(channels)
    if homo is None or gap is None:
        raise DataError(f"{folder} has no gap: CP2K printed no empty level; ask for them with NLUMO in &PDOS")
    return {
        "edge_ev": homo.energy_ev - mean,
        "gap_ev": gap,
        "edges_from": "PDOS at Γ",
        "valence_at": None,
        "conduction_at": None,
    }


def _check_settings(folder: Path, settings: "Settings", joint: "Run") -> None:
    """Potentials can be lined up only when the same atoms carry the same charges in both cells."""
    other = joint.settings
    for what, mine, theirs in (
        ("functional", settings.functional, other.functional),
        ("potential", _common(settings.potential, other.potential), _common(other.potential, settings.potential)),
        ("basis set", _common(settings.basis, other.basis), _common(other.basis, settings.basis)),
    ):
        if mine is not None and theirs is not None and mine != theirs:
            raise MismatchError(f"{folder} and {joint.path} differ in their {what}: {mine} and {theirs}")


def _common(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    return {kind: one[kind] for kind in sorted(one) if kind in other}
