"""Levels of one run folder as the document of ``qdip levels``: projections, orbital cubes, vacuum levels."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.analysis import levels
from qdip_struct.analysis.potential import FLAT_EV, hartree_profile, vacuum_levels
from qdip_struct.campaign.rundir import RECORD, open_run_folder
from qdip_struct.cp2k.cube import check_cell, read_cube
from qdip_struct.cp2k.pdos import read_pdos
from qdip_struct.cp2k.sidefiles import side_files
from qdip_struct.errors import DataError, UsageError

if TYPE_CHECKING:
    from qdip_struct.analysis.levels import Channel, Edge
    from qdip_struct.cp2k.run import Run

HOSTS = ("dot", "film")
"""Regions whose own gap is searched for states when none is named, in this order."""

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
    folder: Path, run: "Run", *, sigma_ev: float = 0.1, host: str | None = None, share: float = levels.HOST_SHARE
) -> dict[str, Any]:
    """Gap, HOMO and LUMO by region, in-gap states and broadened PDOS of a finished run.

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

    Raises
    ------
    UsageError
        If a width or share makes no sense or the host is unknown.
    DataError
        If the SCF did not converge or there is no PDOS.
    """
    if not (np.isfinite(sigma_ev) and sigma_ev > 0):
        raise UsageError(f"--sigma {sigma_ev:g}: expected a width greater than 0 eV")
    if run.scf_converged is not True:
        raise DataError(f"{folder}: its last SCF did not converge ({run.reason}); its levels mean nothing")
    channels = level_channels(folder, run)
    groups = channels[0].groups
    homo, lumo = levels.highest_occupied(channels), levels.lowest_empty(channels)
    name = host or next((known for known in HOSTS if known in groups), None)
    inside = None if name is None else levels.states_in_gap(channels, host=name, share=share)
    notes = [] if run.status == "done" else [f"the run is not finished: {run.status}"]
    if lumo is None:
        notes.append("CP2K printed no empty level: no gap; ask for them with NLUMO in &PDOS")
    if inside is not None and inside.reason is not None:
        notes.append(f"in-gap states cannot be decided: {inside.reason}")
    energies = np.concatenate([channel.energies_ev for channel in channels])
    margin = _MARGIN_SIGMAS * sigma_ev
    grid = np.linspace(energies.min() - margin, energies.max() + margin, _POINTS)
    densities = levels.density_of_states(channels, energies_ev=grid, sigma_ev=sigma_ev)
    return {
        "path": folder,
        "status": run.status,
        "projected_on": groups,
        "fermi_ev": max(channel.fermi_ev for channel in channels),
        "gap_ev": levels.gap_of(channels),
        "homo": edge_document(homo),
        "lumo": edge_document(lumo),
        "channels": [
            {
                "spin": channel.spin,
                "fermi_ev": channel.fermi_ev,
                "gap_ev": levels.gap_of([channel]),
                "n_levels": len(channel.energies_ev),
                "electrons": float(channel.occupations.sum()),
            }
            for channel in channels
        ],
        "in_gap": None
        if inside is None
        else {
            "rule": f"between the outermost levels with at least {inside.share:g} of their weight on {inside.host}",
            "host": inside.host,
            "host_homo_ev": inside.host_homo_ev,
            "host_lumo_ev": inside.host_lumo_ev,
            "reason": inside.reason,
            "states": [vars(state) for state in inside.states],
        },
        "pdos": {
            "sigma_ev": sigma_ev,
            "energy_ev": grid,
            "density_per_ev": [
                {"spin": spin or None, "group": group, "values": values} for (spin, group), values in densities.items()
            ],
        },
        "notes": notes,
    }


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
