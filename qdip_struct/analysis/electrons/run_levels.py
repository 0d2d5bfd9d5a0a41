"""Levels of one run folder as the document of ``qdip levels``: projections, orbital cubes, bands, vacuum levels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.analysis.electrons import levels
from qdip_struct.analysis.electrons.band_edges import band_edges
from qdip_struct.analysis.electrons.potential import FLAT_EV, hartree_profile, vacuum_levels
from qdip_struct.analysis.electrons.run_orbitals import orbital_levels
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.cp2k.outputs.bands import read_bands
from qdip_struct.cp2k.outputs.cube import check_cell, read_cube
from qdip_struct.cp2k.outputs.pdos import read_pdos
from qdip_struct.cp2k.outputs.sidefiles import side_files
from qdip_struct.runs.rundir import RECORD, open_run_folder

if TYPE_CHECKING:
    from qdip_struct.analysis.electrons.levels import Channel, Edge
    from qdip_struct.cp2k.outputs.run import Run

HOSTS = ("dot", "film")
"""Regions whose own gap is searched for states when none is named, in this order."""

_NOTHING: dict[str, Any] = {
    "projected_on": (),
    "fermi_ev": None,
    "gap_ev": None,
    "homo": None,
    "lumo": None,
    "bands": None,
    "channels": [],
    "in_gap": None,
    "pdos": None,
}
_MARGIN_SIGMAS = 5.0
_POINTS = 1001


def level_channels(folder: Path, run: "Run") -> "tuple[Channel, ...]":
    """Projections of a run with the names that ``run.json`` gives to CP2K's lists.

    Raises
    ------
    DataError
        If the run wrote no PDOS, or its lists are not those of ``run.json``.
    """
    parts = [read_pdos(path) for path in side_files(run).pdos]
    if not parts:
        raise DataError(
            f"{folder} holds no PDOS file of its project; ask for it with 'qdip inputs --print pdos' (Γ point only)"
        )
    names: dict[str, str] = {}
    if (folder / RECORD).is_file():
        regions = open_run_folder(folder).record.get("pdos_regions") or []
        n_lists = len({part.group for part in parts if part.group.startswith("list ")})
        if regions and n_lists and len(regions) != n_lists:
            raise DataError(f"{folder}: {n_lists} PDOS lists, but {RECORD} names {len(regions)} regions")
        names = {f"list {number}": str(name) for number, name in enumerate(regions, start=1)}
    return levels.channels_of(parts, names=names)


def level_document(
    folder: Path,
    run: "Run",
    *,
    sigma_ev: float = 0.1,
    host: str | None = None,
    share: float = levels.HOST_SHARE,
    orbitals: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Gap, HOMO and LUMO by region, in-gap states and broadened PDOS of a finished run.

    They come from the PDOS, else from orbital cubes (no densities then, and only the levels that have a cube), else
    from bands (edges and gap, no regions); a run with a Hartree cube alone has none of them.

    Parameters
    ----------
    folder
        Run folder or output file, and where its names come from.
    run
        The run as read.
    sigma_ev
        Width of the Gaussians, eV.
    host, share
        Whose gap is searched for states (default: region dot, else film), and the weight that makes a level its own.
    orbitals
        What :func:`qdip_struct.analysis.electrons.run_orbitals.orbital_document` gives for the run.

    Raises
    ------
    UsageError
        If a width or share makes no sense or the host is unknown.
    DataError
        If the SCF did not converge or the run wrote nothing that levels could be read from.
    """
    if not (np.isfinite(sigma_ev) and sigma_ev > 0):
        raise UsageError(f"--sigma {sigma_ev:g}: expected a width greater than 0 eV")
    if run.scf_converged is not True:
        raise DataError(f"{folder}: its last SCF did not converge ({run.reason}); its levels mean nothing")
    files = side_files(run)
    started: list[str] = [] if run.status == "done" else [f"the run is not finished: {run.status}"]
    document: dict[str, Any] = {"path": folder, "status": run.status, "levels_from": None, **_NOTHING}
    if files.pdos:
        found = _from_pdos(folder, run, sigma_ev=sigma_ev, host=host, share=share)
    elif orbitals:
        found = _from_orbitals(run, orbitals, host=host, share=share)
    elif files.bands is not None:
        found = _from_bands(files.bands)
    elif "v_hartree" in files.cubes:
        found = {"notes": []}
    else:
        raise DataError(
            f"{folder} holds no PDOS file of its project, no orbital cube, no bands and no Hartree cube; ask for them "
            "with 'qdip inputs --print pdos' or '--print orbitals' (Γ point only), '--print bands' (k-points) or "
            "'--print hartree'"
        )
    if host is not None and not found.get("projected_on"):
        raise UsageError(f"--host {host}: {folder} has no levels by region; print 'pdos' or 'orbitals' at Γ")
    return {**document, **found, "notes": started + found["notes"]}


def _from_pdos(folder: Path, run: "Run", *, sigma_ev: float, host: str | None, share: float) -> dict[str, Any]:
    channels = level_channels(folder, run)
    homo, lumo = levels.highest_occupied(channels), levels.lowest_empty(channels)
    notes = [] if lumo is not None else ["CP2K printed no empty level: no gap; ask for them with NLUMO in &PDOS"]
    inside = _in_gap(channels, host=host, share=share, notes=notes)
    energies = np.concatenate([channel.energies_ev for channel in channels])
    margin = _MARGIN_SIGMAS * sigma_ev
    grid = np.linspace(energies.min() - margin, energies.max() + margin, _POINTS)
    densities = levels.density_of_states(channels, energies_ev=grid, sigma_ev=sigma_ev)
    return {
        "levels_from": "pdos",
        "projected_on": channels[0].groups,
        "fermi_ev": max(channel.fermi_ev for channel in channels),
        "gap_ev": levels.gap_of(channels),
        "homo": edge_document(homo),
        "lumo": edge_document(lumo),
        "channels": _channel_documents(channels),
        "in_gap": inside,
        "pdos": {
            "sigma_ev": sigma_ev,
            "energy_ev": grid,
            "density_per_ev": [
                {"spin": spin or None, "group": group, "values": values} for (spin, group), values in densities.items()
            ],
        },
        "notes": notes,
    }


def _from_orbitals(run: "Run", orbitals: Sequence[dict[str, Any]], *, host: str | None, share: float) -> dict[str, Any]:
    found = orbital_levels(run, orbitals)
    notes = list(found.notes)
    groups = tuple(orbitals[0]["shares"])
    _check_host(host, groups)
    inside = _in_gap(found.channels, host=host, share=share, notes=notes) if found.channels else None
    return {
        "levels_from": "orbitals",
        "projected_on": groups,
        "fermi_ev": found.fermi_ev,
        "gap_ev": found.gap_ev,
        "homo": edge_document(found.homo),
        "lumo": edge_document(found.lumo),
        "channels": [item | {"electrons": None} for item in _channel_documents(found.channels)],
        "in_gap": inside,
        "notes": notes,
    }


def _from_bands(path: Path) -> dict[str, Any]:
    edges = band_edges(read_bands(path))
    notes = [] if edges.gap_ev >= 0 else [f"the bands overlap by {-edges.gap_ev:.3f} eV: no gap"]
    return {
        "levels_from": "bands",
        "gap_ev": edges.gap_ev if edges.gap_ev >= 0 else None,
        "bands": {
            "valence": vars(edges.valence),
            "conduction": vars(edges.conduction),
            "direct_gap_ev": edges.direct_gap_ev,
            "n_kpoints": edges.n_kpoints,
        },
        "notes": notes,
    }


def _in_gap(
    channels: "Sequence[Channel]", *, host: str | None, share: float, notes: list[str]
) -> dict[str, Any] | None:
    """States in the gap of the host, None when nobody can be one; a reason goes to the notes."""
    name = host or next((known for known in HOSTS if known in channels[0].groups), None)
    if name is None:
        return None
    inside = levels.states_in_gap(channels, host=name, share=share)
    if inside.reason is not None:
        notes.append(f"in-gap states cannot be decided: {inside.reason}")
    return {
        "rule": f"between the outermost levels with at least {inside.share:g} of their weight on {inside.host}",
        "host": inside.host,
        "host_homo_ev": inside.host_homo_ev,
        "host_lumo_ev": inside.host_lumo_ev,
        "reason": inside.reason,
        "states": [vars(state) for state in inside.states],
    }


def _check_host(host: str | None, groups: Sequence[str]) -> None:
    if host is not None and host not in groups:
        raise UsageError(f"no group '{host}' in these levels: they are projected on {', '.join(groups)}")


def _channel_documents(channels: "Sequence[Channel]") -> list[dict[str, Any]]:
    return [
        {
            "spin": channel.spin,
            "fermi_ev": channel.fermi_ev,
            "gap_ev": levels.gap_of([channel]),
            "n_levels": len(channel.energies_ev),
            "electrons": float(channel.occupations.sum()),
        }
        for channel in channels
    ]


def edge_document(edge: "Edge | None") -> dict[str, Any] | None:
    """HOMO or LUMO with the region it lives on."""
    return None if edge is None else {**vars(edge), "home": edge.home}


def surface_document(
    folder: Path,
    run: "Run",
    *,
    axis: int = 2,
    periods_angstrom: tuple[float, ...] = (),
    fermi_ev: float | None = None,
    homo_ev: float | None = None,
) -> tuple[dict[str, Any] | None, list[str]]:
    """Vacuum levels, work functions and averaged potential of a run that wrote a Hartree cube, and remarks.

    Parameters
    ----------
    folder
        For messages.
    run
        The run as read.
    axis
        Cell vector across the slab.
    periods_angstrom
        Periods of the layers to average over, Å.
    fermi_ev, homo_ev
        On the run's scale; without them there is no work function and no ionisation energy.
    """
    path = side_files(run).cubes.get("v_hartree")
    if path is None:
        return None, [f"{folder} holds no Hartree cube: nothing to average"] if periods_angstrom else []
    cube = read_cube(path)
    if run.cell is not None:
        check_cell(cube, cell=run.cell)
    notes, sides = [], []
    for level in vacuum_levels(cube, axis=axis):
        if not level.flat:
            notes.append(
                f"{level.side} surface: the vacuum potential varies by {level.spread_ev:.3f} eV (above {FLAT_EV:g}): "
                "no work function; use more vacuum or a dipole correction"
            )
        sides.append(
            {
                "side": level.side,
                "vacuum_level_ev": level.level_ev,
                "spread_ev": level.spread_ev,
                "work_function_ev": level.level_ev - fermi_ev if level.flat and fermi_ev is not None else None,
                "ionisation_energy_ev": level.level_ev - homo_ev if level.flat and homo_ev is not None else None,
            }
        )
    plain = hartree_profile(cube, axis=axis)
    averaged = hartree_profile(cube, axis=axis, periods_angstrom=periods_angstrom) if periods_angstrom else None
    return {
        "axis": "abc"[axis],
        "sides": sides,
        "height_angstrom": plain.heights_angstrom,
        "planar_ev": plain.values,
        "periods_angstrom": list(periods_angstrom),
        "macroscopic_ev": None if averaged is None else averaged.values,
    }, notes
