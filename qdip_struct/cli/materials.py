"""Crystals: lattice constants (Å), phase, temperature (K), data set, source, and whether the number was verified.

With a NAME, or with --properties, also thermal expansion, elastic moduli, dielectric constants and band edges. A YAML
file of the same format as the shipped crystals.yaml adds records or replaces those of the same name, phase and set.

examples:
  qdip materials
  qdip materials CsPbI3
  qdip materials PbS --dataset liu2019 --json
"""

import argparse
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import answer, table
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import PHASE_ALIASES, get_crystal, list_crystals, list_datasets
from qdip_struct.materials.elasticity import Property, list_properties
from qdip_struct.materials.options import CrystalOptions


def add_materials_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip materials``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one crystal, as NAME or NAME:phase")
    parser.add_argument("--dataset", metavar="NAME", help="only this data set")
    parser.add_argument(
        "--properties", action="store_true", help="also expansion, moduli, dielectric constants, band edges of all"
    )
    add_options(parser, CrystalOptions, names=("crystals",))


def materials_command(args: argparse.Namespace) -> int:
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
    wanted = None if args.name is None else args.name.partition(":")[0]
    properties = list_properties(files=files) if args.properties or wanted else ()
    properties = tuple(p for p in properties if wanted in (None, p.material))
    document = {
        "datasets": [
            {"name": d.name, "title": d.title, "doi": d.doi, "temperature_kelvin": d.temperature_kelvin}
            for d in list_datasets(files=files)
            if args.dataset in (None, d.name)
        ],
        "crystals": [_entry(crystal) for crystal in crystals],
        "properties": [_property(p) for p in properties],
    }
    answer(args, document, text=_text(crystals) + _properties_text(properties))
    return EXIT_DONE


def _with(crystals: tuple[Crystal, ...], phase: str) -> list[Crystal]:
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


def _property(entry: Property) -> dict[str, Any]:
    return {
        "material": entry.material,
        "phase": entry.phase,
        "quantity": entry.quantity,
        "values": dict(entry.values),
        "uncertainty": entry.uncertainty,
        "temperature_kelvin": entry.temperature_kelvin,
        "source": entry.source,
        "doi": entry.doi,
        "verified": entry.verified,
        "note": entry.note,
        "origin": entry.origin,
    }


def _properties_text(properties: tuple[Property, ...]) -> str:
    rows = [
        (
            p.material,
            p.quantity.replace("_", " "),
            ", ".join(f"{name} {value:g}" for name, value in p.values.items()),
            "yes" if p.verified else "no",
            p.source,
        )
        for p in properties
    ]
    return "\n\n" + table(("material", "property", "values", "verified", "source"), rows) if rows else ""


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
