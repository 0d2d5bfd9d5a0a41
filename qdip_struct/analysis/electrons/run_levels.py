"""The document of ``qdip levels``: what one run folder, two of them, or the runs of a junction say about levels.

One run: levels from its projections, else its orbital cubes, else its bands, and the vacuum levels beside them. Two
runs on the same regions: where HOMO and LUMO live in each and which of them moved. Band alignment: a joint cell lines
up the potentials of two materials, and each bulk has its edges from its bands (k-points) or from its PDOS (Γ, where the
cell must fold the edges to Γ). Energies in eV.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from qdip_struct.analysis.electrons import levels
from qdip_struct.analysis.electrons.levels import band_edges, gap_of, highest_occupied
from qdip_struct.analysis.electrons.orbitals import orbital_levels
from qdip_struct.analysis.electrons.potential import (
    FLAT_EV,
    band_alignment,
    hartree_profile,
    layer_potential,
    vacuum_levels,
)
from qdip_struct.base.documents import Count, Number, Positive, ResultDocument, Text, Word
from qdip_struct.base.errors import DataError, MismatchError, UsageError
from qdip_struct.cp2k.outputs.cube import check_cell, read_cube
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.pdos import read_bands, read_pdos
from qdip_struct.cp2k.outputs.trajectory import side_files
from qdip_struct.runs.rundir import RECORD, STRUCTURE, open_run_folder

if TYPE_CHECKING:
    from qdip_struct.analysis.electrons.levels import Channel, Edge
    from qdip_struct.cp2k.outputs.cube import Cube
    from qdip_struct.cp2k.outputs.run import Run, Settings

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


class _Density(msgspec.Struct, frozen=True):
    group: Word
    spin: Word | None
    values: list[Number]


class _Densities(msgspec.Struct, frozen=True):
    sigma_ev: Positive
    energy_ev: list[Number]
    density_per_ev: list[_Density]


class _WrittenEdge(msgspec.Struct, frozen=True):
    energy_ev: Number
    home: Word | None
    weights: dict[Word, Number]


class _State(msgspec.Struct, frozen=True):
    energy_ev: Number


class _InGap(msgspec.Struct, frozen=True):
    host: Word
    reason: Text | None
    states: list[_State]


class _Orbital(msgspec.Struct, frozen=True):
    name: Word
    spin: Word | None
    home: Word | None
    shares: dict[Word, Number]


class _Comparison(msgspec.Struct, frozen=True):
    paths: tuple[Text, Text]
    host: Word
    moved: list[Word]
    n_states_in_gap: tuple[Count | None, Count | None]


class _Alignment(msgspec.Struct, frozen=True):
    materials: tuple[Word, Word]
    type: Word
    valence_offset_ev: Number
    conduction_offset_ev: Number


class LevelDocument(ResultDocument, frozen=True, kw_only=True):
    """What :func:`level_document` gives and ``qdip levels`` writes, as far as a page shows it.

    Attributes
    ----------
    projected_on
        Regions.
    pdos
        Broadened densities of states.
    homo, lumo, fermi_ev, gap_ev
        Edges with the shares of the regions, Fermi level and gap, eV.
    in_gap
        States in the gap of the host.
    notes
        Remarks.
    orbitals, comparison, alignment
        Orbitals on the grid, a second run beside this one, two materials.
    """

    KIND = COMMAND = "levels"
    KNOWN_BY = frozenset({"projected_on", "pdos", "homo"})

    projected_on: list[Word]
    pdos: _Densities | None
    homo: _WrittenEdge | None
    lumo: _WrittenEdge | None
    fermi_ev: Number | None
    gap_ev: Number | None
    in_gap: _InGap | None
    notes: list[Text] = msgspec.field(default_factory=list)
    orbitals: list[_Orbital] | None = None
    comparison: _Comparison | None = None
    alignment: _Alignment | None = None

    def __post_init__(self) -> None:
        if self.pdos is None:
            return
        if self.fermi_ev is None:
            raise ValueError("pdos has no fermi_ev to be drawn against")
        if {len(part.values) for part in self.pdos.density_per_ev} - {len(self.pdos.energy_ev)}:
            raise ValueError("pdos holds energies and densities of different lengths")


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
        regions = open_run_folder(folder).record.pdos_regions or []
        n_lists = len({part.group for part in parts if part.group.startswith("list ")})
        if regions and n_lists and len(regions) != n_lists:
            raise DataError(f"{folder}: {n_lists} PDOS lists, but {RECORD} names {len(regions)} regions")
        names = {f"list {number}": name for number, name in enumerate(regions, start=1)}
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
        What :func:`qdip_struct.analysis.electrons.orbitals.orbital_document` gives for the run.

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
    inside, undecided = _in_gap(channels, host=host, share=share)
    notes += undecided
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
    inside, undecided = _in_gap(found.channels, host=host, share=share) if found.channels else (None, [])
    notes += undecided
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
    channels: "Sequence[Channel]", *, host: str | None, share: float
) -> tuple[dict[str, Any] | None, list[str]]:
    """States in the gap of the host, None when nobody can be one, and a remark where they cannot be decided."""
    name = host or next((known for known in HOSTS if known in channels[0].groups), None)
    if name is None:
        return None, []
    inside = levels.states_in_gap(channels, host=name, share=share)
    undecided = [] if inside.reason is None else [f"in-gap states cannot be decided: {inside.reason}"]
    return {
        "rule": f"between the outermost levels with at least {inside.share:g} of their weight on {inside.host}",
        "host": inside.host,
        "host_homo_ev": inside.host_homo_ev,
        "host_lumo_ev": inside.host_lumo_ev,
        "reason": inside.reason,
        "states": [vars(state) for state in inside.states],
    }, undecided


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
    from qdip_struct.materials.structure_files import read_structure

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
