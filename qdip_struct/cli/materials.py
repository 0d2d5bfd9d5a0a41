"""Crystals: lattice constants (Å), phase, temperature (K), data set, source, and whether the number was verified.

examples:
  qdip materials
  qdip materials CsPbI3
  qdip materials PbS --dataset liu2019 --json
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.cli.console import answer, table
from qdip_struct.errors import UsageError
from qdip_struct.materials.crystals import Crystal, get_crystal, list_crystals, list_datasets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip materials``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one crystal, as NAME or NAME:phase")
    parser.add_argument("--dataset", metavar="NAME", help="only this data set")
    parser.add_argument(
        "--crystals", action="append", type=Path, default=[], metavar="FILE", help="YAML file that adds crystals"
    )


def run(args: argparse.Namespace) -> int:
    """Print the crystals asked for."""
    files = tuple(args.crystals)
    crystals = list_crystals(dataset=args.dataset, files=files)
    if args.name:
        name, _, phase = args.name.partition(":")
        if args.dataset or not any(crystal.name == name for crystal in crystals):
            get_crystal(args.name, dataset=args.dataset, files=files)
        crystals = tuple(c for c in crystals if c.name == name)
        if phase:
            known = ", ".join(dict.fromkeys(crystal.phase for crystal in crystals))
            crystals = tuple(_with(crystals, phase))
            if not crystals:
                raise UsageError(f"no phase '{phase}' of {name}; known: {known}")
    document = {
        "datasets": [
            {"name": d.name, "title": d.title, "doi": d.doi, "temperature_kelvin": d.temperature_kelvin}
            for d in list_datasets(files=files)
            if args.dataset in (None, d.name)
        ],
        "crystals": [_entry(crystal) for crystal in crystals],
    }
    answer(args, document, text=_text(crystals))
    return 0


def _with(crystals: tuple[Crystal, ...], phase: str) -> list[Crystal]:
    from qdip_struct.materials.crystals import PHASE_ALIASES

    wanted = PHASE_ALIASES.get(phase.lower(), phase.lower())
    return [crystal for crystal in crystals if crystal.phase == wanted]


def _entry(crystal: Crystal) -> dict[str, Any]:
    return {
        "name": crystal.name,
        "phase": crystal.phase,
        "structure_type": crystal.structure_type,
        "space_group": crystal.space_group,
        "dataset": crystal.dataset,
        "lengths_angstrom": crystal.lengths,
        "angles_degree": crystal.angles,
        "a_angstrom": crystal.a_angstrom,
        "uncertainty_angstrom": crystal.uncertainty_angstrom,
        "volume_angstrom3": crystal.volume,
        "n_formula_units": crystal.n_formula_units,
        "temperature_kelvin": crystal.temperature_kelvin,
        "source": crystal.source,
        "doi": crystal.doi,
        "verified": crystal.verified,
        "note": crystal.note,
        "origin": crystal.origin,
    }


def _text(crystals: tuple[Crystal, ...]) -> str:
    rows = []
    for c in crystals:
        lengths = " ".join(f"{length:.4g}" for length in dict.fromkeys(c.lengths))
        temperature = None if c.temperature_kelvin is None else f"{c.temperature_kelvin:g}"
        rows.append(
            (c.name, c.phase, c.dataset, lengths, f"{c.a_angstrom:.4f}", temperature, "yes" if c.verified else "no",
             c.source)
        )  # fmt: skip
    header = ("crystal", "phase", "data set", "edges Å", "cubic a Å", "T K", "verified", "source")
    return table(header, rows) + "\n\ncubic a: (V/Z')^(1/3); verified: the number was read in the source named"
