"""One ranked table of all studies of a folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from qdip_struct.analysis.energies.energies import GroupEnergies
from qdip_struct.analysis.energies.groups import RunSet
from qdip_struct.analysis.energies.stoichiometry import reduced_formula
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.roles import PARTS

RANKINGS: dict[str, tuple[str, bool]] = {
    "adsorption": ("adsorption_energy_mev_per_angstrom2", True),
    "interface": ("interface_energy_mev_per_angstrom2", False),
    "surface-film": ("surface_energy_film_mev_per_angstrom2", False),
    "surface-substrate": ("surface_energy_substrate_mev_per_angstrom2", False),
    "formation": ("formation_energy_mev_per_formula_unit", False),
}
"""Key of the table and whether the largest value stands first: strong adsorption, low everything else."""


_SAME = (
    ("functional", "functional"),
    ("dispersion", "dispersion correction"),
    ("cutoff_rydberg", "cutoff (Ry)"),
    ("rel_cutoff_rydberg", "relative cutoff (Ry)"),
)


def ranking(document: Mapping[str, Any], studies: Sequence[tuple[RunSet, GroupEnergies]], *, by: str) -> dict[str, Any]:
    """One table of all studies, sorted by ``by``; studies without that value stand last.

    Raises
    ------
    UsageError
        If ``by`` is unknown.
    """
    if by not in RANKINGS:
        raise UsageError(f"cannot rank by '{by}'; known: {', '.join(RANKINGS)}")
    key, largest_first = RANKINGS[by]
    formed = {item["formula"]: item for item in document["formation_energies"]}
    rows = []
    for entry, (item, _) in zip(document["groups"], studies, strict=True):
        bulk = next((run for run in item.runs if run.role == "substrate_bulk"), None)
        mixed = formed.get(reduced_formula(bulk.composition)) if bulk is not None else None
        relaxed = {run.relaxed for run in item.runs if run.plays.kind in ("interface", "slab")}
        rows.append(
            {
                "group": entry["group"],
                **{name: entry["system"][name] for name in ("substrate", "termination", "registry", "gap_angstrom")},
                "layers": [entry["system"][f"{part}_layers"] for part in PARTS],
                "relaxed": relaxed.pop() if len(relaxed) == 1 else None,
                "adsorption_energy_mev_per_angstrom2": entry["adsorption_energy_mev_per_angstrom2"],
                "interface_energy_mev_per_angstrom2": entry["interface_energy_mev_per_angstrom2"],
                "interface_energy_reference": entry["interface_energy_reference"],
                "surface_energy_film_mev_per_angstrom2": entry["surface_energy_film_mev_per_angstrom2"],
                "surface_energy_substrate_mev_per_angstrom2": entry["surface_energy_substrate_mev_per_angstrom2"],
                "formation_energy_mev_per_formula_unit": mixed["formation_energy_mev_per_formula_unit"]
                if mixed
                else None,
            }
        )
    sign = -1.0 if largest_first else 1.0
    rows.sort(key=lambda row: (row[key] is None, sign * round(row[key] or 0.0, 9), row["group"]))
    return {
        "by": by,
        "key": key,
        "rows": [{"rank": n, **row} for n, row in enumerate(rows, start=1)],
        "warnings": _warnings(studies, rows),
    }


def _warnings(studies: Sequence[tuple[RunSet, GroupEnergies]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What makes rows of one table unlike each other."""
    found = []
    if {True, False} <= {row["relaxed"] for row in rows}:
        found.append("the table holds relaxed and unrelaxed studies; compare like with like")
    slabs = [run for item, _ in studies for run in item.runs if run.plays.kind in ("interface", "slab")]
    for key, label in _SAME:
        values = sorted({str(run.settings.get(key)) for run in slabs if run.status == "done"})
        if len(values) > 1:
            found.append(f"the studies differ in {label}: {', '.join(values)}")
    return found
