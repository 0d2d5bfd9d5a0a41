"""Build a film on a substrate and every cell whose energy the interface energy needs.

Writes film, substrate, interface, film_bulk, substrate_bulk, film_bulk_free (and substrate_bulk_free for a strained
substrate; substrate_other, film_other, reservoir and film_reservoir for slabs that are not stoichiometric), each with a
sidecar .json. Film, substrate and interface share one cell: substrate below, film above, normal along z. Charged and
polar slabs, and references that cannot exist, are warned about. Lengths in Å (angstrom), areas in Å², strains and
compositions as fractions.

Planes: 100, 1-10 or "1 -1 0". Crystals: NAME[:phase], a mixed formula (CsPbBr2I, MAPbI2.5Br0.5, PbS0.5Se0.5), or a
structure file. Registry: continuation (the film's cation over the substrate's anion), metal (over its cation), hollow,
the shift in fractions of the cation square (0.5,0), or scan (every shift of a grid that symmetry does not make equal).
With --termination all, --registry scan or several gaps each interface goes to its own folder below DIR, all in cells
of one height.

examples:
  qdip build interface --film PbS --substrate CsPbBr3 --dataset pbe_cp2k -o interface
  qdip build interface --film PbS --film-layers 7 --substrate MAPbI3:tetragonal --substrate-plane 110 \\
      --substrate-layers 7 --repeat 3,3 --lateral 26.88,26.88 --vacuum 100 -o ning2015
"""

import argparse
from collections.abc import Sequence
from typing import Any

from qdip_struct.base.errors import EXIT_DONE
from qdip_struct.base.options import add_options, request_of
from qdip_struct.builders.interface.interface_request import InterfaceRequest, requested_interfaces
from qdip_struct.cli.building import add_format
from qdip_struct.cli.console import emit, note, table, warn_of


def add_build_interface_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_options(parser, InterfaceRequest)
    add_format(parser)


def build_interface_command(args: argparse.Namespace) -> int:
    """Build, write, and say what was built."""
    from qdip_struct.builders.roles import PARTS
    from qdip_struct.cli.building import check_format, folder_of, note_findings, origin_of, write_cells

    out = folder_of(args.out, holds="interface")
    check_format(args.format)
    built = requested_interfaces(request_of(args, InterfaceRequest))
    origin = origin_of(args, command="build interface")
    documents = []
    warn_of(told for cells in built.values() for told in cells.report["lattice_warnings"])
    for folder, cells in built.items():
        film_atoms, substrate_atoms = len(cells.film), len(cells.substrate)
        note(f"{cells.report['group']}: film {film_atoms} + substrate {substrate_atoms} = {len(cells.interface)} atoms")
        for part in PARTS:
            note_findings(cells.reports[part], whose=part)
        files = write_cells(
            out / folder, cells.cells(), reports=cells.reports, origin=origin, format=args.format,
            force=args.force,
        )  # fmt: skip
        documents.append({**cells.report, "files": files, "cells": dict(cells.reports)})
    document = documents[0] if len(documents) == 1 else {"interfaces": documents}
    emit(document, as_json=args.json, text="\n\n".join(map(_text, documents)))
    return EXIT_DONE


def _directions(uvw: Sequence[Sequence[float]]) -> str:
    return ", ".join(f"[{' '.join(f'{value:g}' for value in row)}]" for row in uvw)


def _text(document: dict[str, Any]) -> str:
    from qdip_struct.cli.building import cell_row

    rows = [cell_row(role, report, document["files"][role]) for role, report in document["cells"].items()]
    strains = ", ".join(
        f"{who} {values[0]:+.4f} {values[1]:+.4f}"
        for who, values in (("film", document["strain_film"]), ("substrate", document["strain_substrate"]))
    )
    lines = [
        document["group"],
        f"film      {document['film_source']}",
        f"substrate {document['substrate_source']}",
        f"area {document['area_angstrom2']:.3f} Å², strain {strains}",
        f"film {_directions(document['film_uvw'])} on substrate {_directions(document['substrate_uvw'])}",
        f"contact {document['termination']} / {document['film_termination']}, registry {document['registry']} "
        f"({document['registry_fraction'][0]:g}, {document['registry_fraction'][1]:g}), gap "
        f"{document['gap_angstrom']:.3f} Å ({document['gap_rule']}), interfaces {document['n_interfaces']}",
    ]
    for part in ("film", "substrate"):
        elastic = document[f"elastic_energy_{part}_mev_per_angstrom2"]
        if any(document[f"strain_{part}"]) and elastic is None:
            lines.append(f"elastic energy of the {part}: its moduli are not known")
        elif any(document[f"strain_{part}"]):
            kept, relaxed = elastic["normal_kept"], elastic["normal_relaxed"]
            lines.append(
                f"elastic energy of the {part}: {kept:.3f} meV/Å², {relaxed:.3f} with spacings along z relaxed"
            )
    for part, entries in document["alloy"].items():
        for entry in entries:
            shares = ", ".join(f"{ion} {share:.4f}" for ion, share in entry["realised"].items())
            error = entry["correlation_error"]
            lines.append(f"{part} alloy: {shares} on {entry['n_sites']} sites, correlation error {error:.4f}")
    if document["stand_in_for"]:
        lines.append(f"A site: one {document['a_site']} ion stands in for each {', '.join(document['stand_in_for'])}")
    for part, key in (("substrate", "reservoir"), ("film", "film_reservoir")):
        if document[key]:
            source = document[f"{key}_source"]
            lines.append(f"the {part} slab is not stoichiometric: its surface energy refers to bulk {source}")
    return "\n".join([*lines, "", table(["role", "atoms", "composition", "charge", "nearest Å", "file"], rows)])
