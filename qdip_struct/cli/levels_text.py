"""The readable form of the document of ``qdip levels``."""

import math
from typing import Any

from qdip_struct.cli.console import table


def levels_text(document: dict[str, Any]) -> str:
    """The readable form of the document."""
    lines = [f"{document['path']}: Fermi level {_energy(document['fermi_ev'])}, gap {_energy(document['gap_ev'])}"]
    if document["levels_from"] == "orbitals":
        lines[0] += "; levels from orbital cubes"
    rows = []
    for name in ("homo", "lumo"):
        edge = document[name]
        if edge is not None:
            shares = [f"{edge['weights'][group]:.3f}" for group in document["projected_on"]]
            rows.append(
                (name.upper(), _energy(edge["energy_ev"], unit=""), edge["spin"], *shares, edge["home"] or "shared")
            )
    if rows:
        lines += ["", table(("level", "eV", "spin", *document["projected_on"], "lives on"), rows)]
    lines += _bands(document["bands"])
    inside = document["in_gap"]
    if inside is not None and inside["reason"] is None:
        lines += ["", f"{len(inside['states'])} in-gap states ({inside['rule']}):"]
        for state in inside["states"]:
            parts = ", ".join(f"{group} {weight:.3f}" for group, weight in state["weights"].items())
            lines.append(f"  {state['energy_ev']:.4f} eV, {state['occupation']:g} e: {parts}")
    rows = [
        (item["name"], item["spin"], *(f"{share:.3f}" for share in item["shares"].values()), item["home"] or "shared")
        for item in document["orbitals"]
    ]
    if rows:
        lines += ["", table(("orbital |ψ|²", "spin", *document["orbitals"][0]["shares"], "lives on"), rows)]
    lines += _compared(document["comparison"])
    surface = document["surface"]
    for side in [] if surface is None else surface["sides"]:
        if side["work_function_ev"] is not None:
            lines.append(f"{side['side']} surface: work function {side['work_function_ev']:.4f} eV")
    lines += _aligned(document["alignment"])
    return "\n".join(lines)


def _compared(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    rows = [("gap (eV)", *(None if gap is None else f"{gap:.4f}" for gap in found["gap_ev"]))]
    for edge in ("homo", "lumo"):
        shares = ("?" if share is None else f"{share:.3f}" for share in found[edge]["host_shares"])
        homes = (home or "shared" for home in found[edge]["homes"])
        cells = (f"{home} ({share} on {found['host']})" for home, share in zip(homes, shares, strict=True))
        rows.append((edge.upper(), *cells))
    rows.append(("states in the gap", *found["n_states_in_gap"]))
    moved = ", ".join(edge.upper() for edge in found["moved"]) or "neither HOMO nor LUMO"
    return ["", table(("", *map(str, found["paths"])), rows), f"moved to another region: {moved}"]


def _energy(value: float | None, *, unit: str = " eV") -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.4f}{unit}"


def _bands(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    rows = []
    for name in ("valence", "conduction"):
        edge = found[name]
        place = " ".join(f"{number:g}" for number in edge["kpoint"])
        rows.append((f"{name} edge", f"{edge['energy_ev']:.4f}", place, edge["name"]))
    text = table(("bands", "eV", "k-point (b)", "name"), rows)
    return ["", text, f"smallest direct gap {found['direct_gap_ev']:.4f} eV, {found['n_kpoints']} k-points"]


def _aligned(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    lines = [
        f"band alignment {found['materials'][0]} / {found['materials'][1]}: type {found['type']}, valence offset "
        f"{found['valence_offset_ev']:+.3f} eV, conduction offset {found['conduction_offset_ev']:+.3f} eV"
    ]
    rows = [
        (
            name,
            f"{term['potential_ev']:.4f}",
            None if term["plateau_spread_ev"] is None else f"{term['plateau_spread_ev']:.4f}",
            f"{term['edge_ev']:.4f}",
            f"{term['gap_ev']:.4f}",
            term["edges_from"],
        )
        for name, term in found.get("terms", {}).items()
    ]
    if rows:
        header = ("material", "potential eV", "varies by", "edge above it", "gap eV", "edges from")
        lines = ["", table(header, rows), *lines]
    return lines
