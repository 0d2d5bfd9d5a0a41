"""A request for the levels of a run: the options of ``qdip levels``, and the document that answers it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import option
from qdip_struct.materials.options import CellVector


@dataclass(frozen=True, kw_only=True)
class LevelsRequest:
    """What ``qdip levels`` takes, as typed."""

    folder: Path = option(positional=True, metavar="DIR", help="a run folder (or its output file)")
    sigma: float = option(0.1, metavar="EV", unit="eV", help="width of the Gaussians")
    host: str | None = option(None, metavar="REGION", shown="dot, else film", help="whose gap is searched for states")
    share: float = option(0.5, metavar="X", help="weight that makes a level its own")
    axis: CellVector = option("c", help="cell vector across the slab")
    period: tuple[float, ...] = option((), metavar="A", unit="Å", help="period to average over, repeatable")
    align: tuple[str, ...] = option((), metavar="NAME=V,EDGE,GAP", unit="eV", help="a material, twice")
    bulk: tuple[str, ...] = option((), metavar="REGION=DIR", help="run of a bulk, twice")
    against: Path | None = option(None, metavar="DIR", help="another run folder to compare with")


def requested_levels(request: LevelsRequest) -> dict[str, Any]:
    """The document of a run without its provenance; ``notes`` say what of it could not be decided.

    Raises
    ------
    UsageError
        If what is asked is not possible.
    """
    from qdip_struct.analysis.electrons.orbitals import orbital_document
    from qdip_struct.analysis.electrons.run_levels import (
        alignment_document,
        comparison_document,
        level_document,
        surface_document,
    )
    from qdip_struct.cp2k.outputs.output import read_run

    if request.align and request.bulk:
        raise UsageError("--align and --bulk say the same thing twice; use one of them")
    alignment, bulks = _alignment(request.align), _bulks(request.bulk)
    axis = "abc".index(request.axis)
    finished = read_run(request.folder)
    orbitals = orbital_document(request.folder, finished)
    found = level_document(
        request.folder, finished, sigma_ev=request.sigma, host=request.host, share=request.share, orbitals=orbitals
    )
    doubts: list[str] = []
    if bulks:
        alignment, doubts = alignment_document(
            request.folder, finished, bulks=bulks, axis=axis, periods_angstrom=request.period
        )
    elif found["levels_from"] is None and alignment is None and not request.period:
        doubts.append("the run wrote neither PDOS nor orbital cubes nor bands: no levels, only the potential")
    comparison = None
    if request.against is not None:
        comparison = comparison_document(found, _levels_of_other(request, request.against))
    surface, problems = surface_document(
        request.folder,
        finished,
        axis=axis,
        periods_angstrom=request.period,
        fermi_ev=found["fermi_ev"],
        homo_ev=_valence_edge(found),
    )
    notes = found.pop("notes") + problems + doubts
    pdos = found.pop("pdos")
    return {
        **found,
        "orbitals": orbitals,
        "comparison": comparison,
        "surface": surface,
        "alignment": alignment,
        "pdos": pdos,
        "notes": notes,
    }


def _levels_of_other(request: LevelsRequest, place: Path) -> dict[str, Any]:
    """Levels of the run to compare with."""
    from qdip_struct.analysis.electrons.orbitals import orbital_document
    from qdip_struct.analysis.electrons.run_levels import level_document
    from qdip_struct.cp2k.outputs.output import read_run

    finished = read_run(place)
    orbitals = orbital_document(place, finished)
    return level_document(place, finished, host=request.host, share=request.share, orbitals=orbitals)


def _valence_edge(found: dict[str, Any]) -> float | None:
    """Energy of the highest occupied level or band, where it is known."""
    if found["bands"] is not None:
        return float(found["bands"]["valence"]["energy_ev"])
    homo = found["homo"]
    return None if homo is None or homo["energy_ev"] != homo["energy_ev"] else float(homo["energy_ev"])


def _bulks(words: tuple[str, ...]) -> dict[str, Path]:
    found = {}
    for word in words:
        name, _, place = word.partition("=")
        if not name or not place:
            raise UsageError(f"--bulk {word}: expected REGION=DIR, as film=runs/film_bulk")
        found[name] = Path(place)
    if words and len(found) != 2:
        raise UsageError(f"--bulk is needed for two regions, not for {len(found)}")
    return found


def _alignment(words: tuple[str, ...]) -> dict[str, Any] | None:
    """Band alignment of the two materials of ``--align``."""
    from qdip_struct.analysis.electrons.potential import band_alignment

    if not words:
        return None
    if len(words) != 2:
        raise UsageError(f"--align is needed for two materials, not for {len(words)}")
    names, numbers = [], []
    for word in words:
        name, _, text = word.partition("=")
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if not name or len(values) != 3:
            raise UsageError(f"--align {word}: expected NAME=V,EDGE,GAP in eV, as film=-1.20,7.10,0.40")
        names.append(name)
        numbers.append(values)
    potentials, edges, gaps = ((a, b) for a, b in zip(*numbers, strict=True))
    found = band_alignment(potentials_ev=potentials, valence_edges_ev=edges, gaps_ev=gaps)
    return {
        "materials": names,
        "type": found.kind,
        "valence_offset_ev": found.valence_offset_ev,
        "conduction_offset_ev": found.conduction_offset_ev,
    }
