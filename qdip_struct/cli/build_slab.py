"""Cut a slab of a crystal parallel to any plane, with its bulk reference in the same lateral cell.

Writes slab and slab_bulk (and, for a slab that is not stoichiometric, slab_other and reservoir) with a sidecar .json
each: both faces, symmetric or not, formal charge, dipole and Tasker's type, what a non-stoichiometric slab has too much
of, thickness. --list prints every termination of the plane and writes nothing; --dry-run prints the slab's report and
writes nothing. Lengths in Å (angstrom), dipole per area in e/Å.

Thickness counts monolayers (CsBr and PbBr2 are two) or, with --units, whole periods of the plane.

Tasker's types: 1 neutral layers, 2 charged layers without a dipole in the repeat unit below the cut, 3 a dipole in the
repeat unit (polar). Without --termination the cut is the one without dipole that has the widest gap. A slab is
symmetric when an operation that turns the normal over maps all its atoms onto themselves; --faces symmetric takes
molecules as points and the ions of a mixture as alike.

examples:
  qdip build slab --material CsPbBr3 --plane 100 --list
  qdip build slab --material CsPbBr3 --plane 100 --layers 5 --termination AX --faces symmetric -o slab
"""

import argparse
from pathlib import Path
from typing import Any

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.base.options import add_options, request_of
from qdip_struct.builders.slab.slab_request import SlabRequest, requested_slabs, requested_surface
from qdip_struct.cli.building import add_format
from qdip_struct.cli.console import emit, note, table, warn_of


def add_build_slab_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, SlabRequest)
    parser.add_argument("--list", action="store_true", help="list the terminations and stop")
    parser.add_argument("--dry-run", action="store_true", help="print what would be built and stop")
    add_format(parser)


def build_slab_command(args: argparse.Namespace) -> int:
    """List terminations, or build and write slabs."""
    from qdip_struct.builders.roles import role_of
    from qdip_struct.cli.building import check_format, folder_of, note_findings, origin_of, write_cells

    check_format(args.format)
    request = request_of(args, SlabRequest)
    if args.list:
        document = _listing(requested_surface(request))
        emit(document, as_json=args.json, text=_listing_text(document))
        return EXIT_DONE
    if args.out is None and not args.dry_run:
        raise UsageError("say where to write: -o DIR (or --dry-run)")
    folder = Path() if args.dry_run else folder_of(args.out, holds="slab")
    slabs = requested_slabs(request)
    origin = origin_of(args, command="build slab")
    documents = []
    for name, built in slabs.items():
        cells = {role_of(role).file_name: atoms for role, atoms in built.cells().items()}
        reports = {role_of(role).file_name: report for role, report in built.reports.items()}
        files: dict[str, str] = {}
        facts = built.report
        warn_of(facts["lattice_warnings"])
        note(
            f"{facts['group']}: {facts['n_atoms']} atoms, {facts['thickness_angstrom']:.3f} Å thick, charge "
            f"{facts['formal_charge']['total']} e, {'dipolar' if facts['dipolar'] else 'no dipole'}"
        )
        note_findings(facts, whose=facts["group"])
        if not args.dry_run:
            files = write_cells(
                folder / name, cells, reports=reports, origin=origin, format=args.format, force=args.force
            )
        documents.append({**built.report, "files": files, "cells": reports})
    document = documents[0] if len(documents) == 1 else {"slabs": documents}
    emit(document, as_json=args.json, text="\n\n".join(map(_text, documents)))
    return EXIT_DONE


def _listing(surface: Any) -> dict[str, Any]:
    from qdip_struct.builders.slab.stoichiometry import default_cut, termination_names, terminations

    layers = surface.layers
    named = list(zip(termination_names(surface), terminations(surface), strict=True))
    default, reason = default_cut(surface)
    return {
        "material": surface.sites.name,
        "plane": list(surface.plane),
        "uvw": surface.uvw[:2].round(6).tolist(),
        "period_angstrom": surface.period,
        "layers_per_period": len(layers),
        "faces_alike": surface.flips,
        "default_termination": next(n for n, k in named if k == default),
        "default_reason": reason,
        "terminations": [_termination(name, surface, k) for name, k in named],
    }


def _termination(name: str, surface: Any, k: int) -> dict[str, Any]:
    from qdip_struct.builders.slab.stoichiometry import cut_above, symmetric_thicknesses

    layers, cut = surface.layers, cut_above(surface, k)
    return {
        "name": name,
        "formula": layers[k].formula,
        "charge_e": layers[k].charge,
        "tasker_type": cut.tasker_type,
        "polar": cut.tasker_type == 3,
        "gap_angstrom": cut.gap_angstrom,
        "repeat_dipole_e_per_angstrom": cut.dipole_e_per_angstrom,
        "symmetric_layers": list(symmetric_thicknesses(surface, k)),
        "spacing_above_angstrom": round(
            (layers[(k + 1) % len(layers)].height - layers[k].height) % surface.period or surface.period, 6
        ),
    }


def _listing_text(document: dict[str, Any]) -> str:
    rows = [
        [
            entry["name"],
            entry["formula"],
            entry["charge_e"],
            f"{entry['gap_angstrom']:.3f}",
            entry["tasker_type"],
            f"{entry['repeat_dipole_e_per_angstrom']:.4f}",
            ", ".join(map(str, entry["symmetric_layers"])) or "none",
        ]
        for entry in document["terminations"]
    ]
    head = (
        f"{document['material']} {document['plane']}: period {document['period_angstrom']:.4f} Å of "
        f"{document['layers_per_period']} monolayers, u = {document['uvw'][0]}, v = {document['uvw'][1]}"
    )
    columns = ["termination", "layer", "charge e", "gap above Å", "type", "dipole e/Å", "symmetric at"]
    tail = (
        f"default: {document['default_termination']} ({document['default_reason']}); 'symmetric at': monolayers, and "
        f"any multiple of {document['layers_per_period']} more"
    )
    return f"{head}\n\n{table(columns, rows)}\n\n{tail}"


def _symmetry(document: dict[str, Any]) -> str:
    if document["symmetric_sites"] and not document["symmetric"]:
        mixed = "the arrangement of its mixed ions" if document["alloy"] else "the orientation of its molecules"
        return f"symmetric but for {mixed}"
    return "symmetric" if document["symmetric"] else "not symmetric"


def _tasker(document: dict[str, Any]) -> str:
    if document["tasker_type"] is None:
        return "no Tasker type: the formal charges of the crystal do not add up to zero"
    moment = document["repeat_dipole_e_per_angstrom"]
    said = {1: "neutral layers", 2: "charged layers, no dipole", 3: f"polar, {moment:g} e/Å"}
    return f"Tasker type {document['tasker_type']} (repeat unit: {said[document['tasker_type']]})"


def _text(document: dict[str, Any]) -> str:
    from qdip_struct.cli.building import cell_row

    lines = [
        document["group"],
        f"crystal: {document['source']}",
        f"faces: top {document['termination_top']} ({document['face_top']}), bottom {document['termination_bottom']} "
        f"({document['face_bottom']}), {_symmetry(document)}",
        f"atoms {document['n_atoms']}, thickness {document['thickness_angstrom']:.3f} Å, area "
        f"{document['area_angstrom2']:.3f} Å², formula units {document['n_formula_units']:g}, excess "
        f"{document['excess'] or 'none'}",
        f"formal charge {document['formal_charge']['total']} e, dipole {document['dipole_e_per_angstrom']:g} e/Å"
        f"{' (dipolar)' if document['dipolar'] else ''}, {_tasker(document)}",
    ]
    if document["termination_chosen"] and len(set(document["layer_names"])) > 1:
        lines.insert(2, f"termination {document['termination']}: {document['termination_chosen']}")
    if document["stand_in_for"]:
        lines.append(f"A site: one {document['a_site']} ion stands in for each {', '.join(document['stand_in_for'])}")
    for entry in document["alloy"]:
        shares = ", ".join(f"{ion} {share:.4f}" for ion, share in entry["realised"].items())
        lines.append(f"alloy: {shares} on {entry['n_sites']} sites, correlation error {entry['correlation_error']:.4f}")
    if document["reservoir"]:
        lines.append(f"not stoichiometric, its surface energy refers to bulk {document['reservoir_source']}")
    if not document["files"]:
        return "\n".join(lines)
    rows = [cell_row(role, report, document["files"][role]) for role, report in document["cells"].items()]
    return "\n".join([*lines, "", table(["role", "atoms", "composition", "charge", "nearest Å", "file"], rows)])
