"""Write CP2K run folders from structures, one folder per structure, checked before they are written.

A sidecar (the .json beside a built structure) gives the role and the group of the run; other files are 'single'.
Energies that are to be combined (qdip energies) need one group, one preset and one lateral cell.

A template keeps its keywords; cell and coordinates are those of the structure, &KIND of elements that it lacks go,
and what CP2K does at Gamma alone (exact exchange, OT) leaves no k-points. What that changes of the preset is listed.
--set PATH=VALUE stands above all; PATH+=VALUE adds one more; of several sections name one: KIND[Pb]/BASIS_SET=NAME.

example:
  qdip inputs slabs/*.extxyz --preset quick --task energy -o runs
  qdip inputs dot.extxyz --preset ning2015 --task geo_opt --set FORCE_EVAL/DFT/MGRID/CUTOFF=400 -o runs

units: cutoffs in Ry, walltime in seconds, charges in e. Presets and templates: cp2k_templates/ in the installation.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, DataError, UsageError
from qdip_struct.base.options import add_options, recorded, request_of
from qdip_struct.cli.console import emit, note, read_given, table
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.materials.options import CrystalOptions, FileOptions

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.cp2k.inputs.deck import Deck, DeckMaker
    from qdip_struct.cp2k.inputs.schema import Schema
    from qdip_struct.runs.rundir import RunFolder

_SHOWN = 40
"""Characters of a wrong name that a message shows."""


def add_inputs_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip inputs``."""
    parser.add_argument(
        "structure",
        nargs="+",
        type=Path,
        metavar="STRUCTURE",
        help="extxyz, CIF, POSCAR, xyz, CP2K input or restart, ...",
    )
    add_options(parser, InputsRequest)
    add_options(parser, CrystalOptions, names=("cell",))
    add_options(parser, FileOptions)
    parser.add_argument("--site", metavar="NAME", help="also a job script: laptop, slurm, pbs or a YAML file like them")
    parser.add_argument("--role", help="role of the runs (default: from the sidecar, else single)")
    parser.add_argument("--group", help="group of the runs (default: from the sidecar, else the structure's name)")


@dataclass(frozen=True, eq=False)
class _Planned:
    """A run folder before it is written: its name, the file it starts from, its structure and its part in the group."""

    name: str
    path: Path
    atoms: "Atoms"
    sidecar: dict[str, Any]
    role: str
    group: str


def inputs_command(args: argparse.Namespace) -> int:
    """Make the decks, check every one, then write all run folders."""
    from qdip_struct.base.files import provenance, refuse_existing, write_text
    from qdip_struct.builders.atoms.cells import refuse_unused
    from qdip_struct.campaign.engines.jobscript import LIST, job_script, load_site, run_list, script_name
    from qdip_struct.cli.check import schema_for
    from qdip_struct.cp2k.inputs.deck import deck_maker
    from qdip_struct.materials.ions import charges_given
    from qdip_struct.runs.run_draft import draft_run, write_run_folder

    request = request_of(args, InputsRequest)
    maker = deck_maker(request)
    request = maker.request
    schema, version = schema_for(request.cp2k_version)
    site = load_site(args.site) if args.site else None
    maker = replace(maker, version=version, walltime_s=None if site is None else site.walltime_s)
    out = args.out if args.out is not None else Path("runs")
    planned = _named_apart([item for path in args.structure for item in _planned(path, args)])
    names = [item.name for item in planned]
    _refuse_double(names)
    charges = charges_given(args.charges)
    refuse_unused(charges, *(item.atoms for item in planned))
    for name in [*names, *([script_name(site), LIST] if site else [])]:
        refuse_existing(out / name, force=args.force)
    decks = [_checked_deck(item, maker=maker, schema=schema, charges=charges) for item in planned]
    parameters = {**recorded(request, place="command"), "site": args.site, "charges": args.charges}
    if args.cell is not None:
        parameters["cell"] = args.cell
    del parameters["cp2k_version"]
    for name, file in (("template", request.template), ("kinds", request.kinds)):
        parameters[name] = None if file is None else Path(file).name
    written = [
        write_run_folder(
            out / item.name,
            draft_run(
                item.atoms,
                deck=deck,
                role=item.role,
                group=item.group,
                provenance=provenance("inputs", {**parameters, "structure": item.path.name}, cp2k_version=version),
                structure_report=item.sidecar,
            ),
            force=args.force,
        )
        for item, deck in zip(planned, decks, strict=True)
    ]
    if site is not None:
        write_text(out / LIST, run_list(names), force=args.force)
        write_text(out / script_name(site), job_script(site, n_runs=len(names)), force=args.force)
    document = {
        "preset": maker.preset.name,
        "about": maker.preset.about,
        "template": request.template,
        "cost": maker.preset.cost,
        "cp2k_version": version,
        "job_script": str(out / script_name(site)) if site else None,
        "keywords_checked": schema is not None,
        "runs": [_entry(folder) for folder in written],
    }
    if schema is None:
        note("note: no CP2K is installed here, so keywords were not checked against its own list (qdip doctor)")
    emit(document, as_json=args.json, text=_text(document))
    return EXIT_DONE


def _planned(path: Path, args: argparse.Namespace) -> list[_Planned]:
    """The run of a structure file and, where they are asked for, those of its slabs with ghost partners."""
    from qdip_struct.builders.atoms.store import read_sidecar, sidecar_of
    from qdip_struct.builders.interface.parts import ghost_partners
    from qdip_struct.builders.roles import ROLES
    from qdip_struct.materials.structure_files import structure_stem
    from qdip_struct.runs.run_draft import refuse_name

    atoms, notes = read_given(path, cell=args.cell, used=("constraints", "moments", "periodicity"))
    said, sidecar = read_sidecar(path)
    sidecar = {**sidecar, "file_notes": notes} if notes else sidecar
    stem = structure_stem(path)
    role = args.role or said.role or "single"
    group = args.group or said.group or stem
    if role not in ROLES:
        whose = "--role" if args.role else str(sidecar_of(path))
        shown = ascii(role if len(role) < _SHOWN else f"{role[:_SHOWN]}...")
        raise UsageError(f"{whose}: unknown role {shown}; known: {', '.join(ROLES)}")
    refuse_name(stem, what="name")
    refuse_name(group, what="group")
    ghosts = ghost_partners(atoms) if args.counterpoise and role == "interface" else {}
    return [
        _Planned(stem, path, atoms, sidecar, role, group),
        *(_Planned(f"{stem}_{ghost}", path, ghosted, sidecar, ghost, group) for ghost, ghosted in ghosts.items()),
    ]


def _named_apart(planned: list[_Planned]) -> list[_Planned]:
    """Runs of files that share a name are named after their folders too: ``a_slab`` and ``b_slab``."""
    names = Counter(item.name for item in planned)
    return [
        item if names[item.name] == 1 else replace(item, name=f"{item.path.resolve().parent.name}_{item.name}")
        for item in planned
    ]


def _refuse_double(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            both = name if seen[name.casefold()] == name else f"{seen[name.casefold()]} and {name}"
            raise UsageError(f"two structures are named {both}; run folders are named after them: rename one")
        seen[name.casefold()] = name


def _checked_deck(item: _Planned, *, maker: "DeckMaker", schema: "Schema | None", charges: Mapping[str, int]) -> "Deck":
    """The input of a run after pre-flight: an error is raised with the structure's name, warnings are printed."""
    from qdip_struct.builders.atoms.regions import told_charge
    from qdip_struct.cp2k.inputs.preflight import check_formal_charge, checked

    try:
        deck = maker.deck(item.atoms, role=item.role)
        formal = told_charge(item.atoms, item.sidecar, charges=charges)
    except (UsageError, DataError) as error:
        raise type(error)(f"{item.path}: {error}") from error
    charge = check_formal_charge(formal, charge=deck.settings["charge"])
    for finding in (*checked(deck, schema=schema, source=f"the input for {item.path}"), *charge):
        note(f"warning: {item.name}: {finding.message}; {finding.remedy}")
    return deck


def _entry(folder: "RunFolder") -> dict[str, Any]:
    """A written run and what it will cost, as an entry of the document."""
    from qdip_struct.runs.cost import estimate_run

    cost = estimate_run(folder.record)
    return {
        "path": str(folder.path),
        **{key: folder.content[key] for key in ("role", "group", "n_atoms", "n_electrons", "decisions")},
        "estimate": {
            "core_hours": cost.core_hours,
            "core_hours_range": cost.range_core_hours,
            "memory_gb": cost.memory_gb,
        },
    }


def _text(document: dict[str, Any]) -> str:
    rows = [
        (
            *(r[key] for key in ("path", "role", "group", "n_atoms", "n_electrons")),
            _rough(r["estimate"]["core_hours"]),
            _rough(r["estimate"]["memory_gb"]),
        )
        for r in document["runs"]
    ]
    below = f", where template {document['template']} leaves it open" if document["template"] else ""
    lines = [
        f"preset {document['preset']}{below}: {document['about']}",
        f"cost: {document['cost']}",
        "",
        table(("run folder", "role", "group", "atoms", "electrons", "core-h", "GB"), rows),
        "core-h and GB are estimates, good to a factor of three either way",
    ]
    seen: dict[str, list[str]] = {}
    for item in document["runs"]:
        for decision in item["decisions"]:
            line = f"{decision['topic']}: {decision['choice']} ({decision['reason']})"
            seen.setdefault(line, []).append(Path(item["path"]).name)
    everywhere = len(document["runs"])
    if document["job_script"]:
        lines += ["", f"job script: {document['job_script']} (submit it from its folder)"]
    lines += ["", "decided for you (change with --set, --kpoints, ...):"]
    lines += [f"  {line}{'' if len(who) == everywhere else ': ' + ', '.join(who)}" for line, who in seen.items()]
    return "\n".join(lines)


def _rough(value: float) -> str:
    """Two significant digits, without an exponent for people's numbers."""
    return f"{float(f'{value:.2g}'):.0f}" if value >= 10 else f"{value:.2g}"
