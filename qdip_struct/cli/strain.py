"""Strain of every cation against the lattice of its own phase: map, region means, line gauge, continuum prediction.

No reference configuration is needed. Phases come from the builder's labels, else from chemistry. The reference of each
is what you give, else what the structure was built from (its sidecar), else the crystal of the data set. Any ionic
crystal will do: the cations, of a perovskite its B sites, are held against those of the reference crystal. Lengths in
Å, moduli in GPa; strains are fractions in JSON and files, percent in text and figures, always with the name of the
measure. Every mean has a standard error; a cation with fewer than three non-coplanar neighbours has no strain (NaN).

examples:
  qdip strain relaxed.extxyz --reference-lattice dot=5.987,matrix=6.325
  qdip strain relaxed.extxyz --reference-structure vacuum.extxyz --line x,y,z --plot strain.png -o strain.extxyz
  qdip strain user.cif --dataset pbe_cp2k --measure green --json
  qdip strain relaxed.extxyz --crystal InP=InP.cif --crystal CsPbBr3:gamma
"""

import argparse
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from qdip_struct.analysis.strain.measures import MEASURES
from qdip_struct.base.errors import EXIT_DONE, DataError, UsageError
from qdip_struct.base.files import provenance, sha256, write_text
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import at_kelvin, emit, note, read_given, refuse_places, table, warn_of
from qdip_struct.materials.crystals import check_lattice, edges_text
from qdip_struct.materials.options import CrystalOptions, OutputOptions

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.analysis.strain.strain_summary import StrainSummary
    from qdip_struct.analysis.strain.sublattice import MetalSublattice
    from qdip_struct.materials.crystals import Crystal
    from qdip_struct.materials.elasticity import Moduli


def add_strain_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip strain``."""
    parser.add_argument("structure", type=Path, metavar="FILE", help="structure, or trajectory with --frames")
    parser.add_argument(
        "--reference-lattice",
        metavar="NAME=Å,...",
        help="lattice constants by role or phase: dot=5.987,matrix=6.325; a perovskite may have three: 6.2/6.2/6.3",
    )
    parser.add_argument(
        "--reference-structure",
        type=Path,
        metavar="FILE",
        help="the same dot relaxed in vacuum, as the dot's reference",
    )
    parser.add_argument("--dataset", metavar="NAME", help="data set of the lattice constants that are not given")
    add_options(parser, CrystalOptions, names=("temperature", "crystals", "cell"))
    parser.add_argument(
        "--crystal",
        action="append",
        default=[],
        metavar="NAME:phase|NAME=FILE",
        help="reference crystal of a phase or role: CdS:wurtzite, InP=InP.cif, dot=InP.cif; repeatable",
    )
    parser.add_argument(
        "--measure", choices=MEASURES, default="engineering", help="strain measure (default: engineering)"
    )
    parser.add_argument("--line", default="x,y,z", metavar="x,y,z", help="axes of the line gauge, or a direction 1,1,0")
    parser.add_argument("--moduli", metavar="ROLE=K/G,...", help="moduli of dot and matrix, GPa: dot=53/27,matrix=12/5")
    parser.add_argument("--bin", type=float, default=3.0, metavar="Å", help="width of the radial bins (default: 3 Å)")
    parser.add_argument("--frames", metavar="SLICE", help="average over frames of a trajectory: ':' for all, '100::10'")
    parser.add_argument("--built", type=Path, metavar="FILE", help="structure before relaxation, for displacements")
    add_options(parser, OutputOptions, names=("csv", "plot"), told={"csv": "table of all cations"})


def strain_command(args: argparse.Namespace) -> int:
    """Measure the strain of one structure or trajectory and write what was asked for."""
    from qdip_struct.analysis.strain.bonds import displacements
    from qdip_struct.analysis.strain.gauge import parse_directions
    from qdip_struct.analysis.strain.reference import built_from, said_of_crystals
    from qdip_struct.analysis.strain.strain_summary import summarise
    from qdip_struct.builders.atoms.store import sidecar_of, write_structure
    from qdip_struct.materials.structure_files import read_structure
    from qdip_struct.report.figures import save_figure

    sidecar = None if args.out is None else sidecar_of(args.out)
    refuse_places((args.csv, args.out, sidecar), figures=(args.plot,), force=args.force)
    directions = parse_directions(args.line)
    lattices = _lattices(args.reference_lattice)
    structures = _crystals(args.crystal)
    moduli = _moduli(args.moduli)
    notes: list[str] = []
    if args.frames is None:
        atoms, notes = read_given(
            args.structure, cell=args.cell, used=("constraints", "moments", "velocities", "periodicity")
        )
        frames = [atoms]
    else:
        frames = _frames(args.structure, args.frames, cell=args.cell)
    vacuum = None if args.reference_structure is None else read_structure(args.reference_structure)
    summary = summarise(
        frames,
        lattices=lattices,
        structures=structures,
        built=built_from(args.structure),
        dataset=args.dataset,
        temperature=args.temperature,
        files=tuple(args.crystals),
        vacuum_dot=vacuum,
        measure=args.measure,
        directions=directions,
        moduli=moduli,
        bin_width=args.bin,
    )
    document = {"structure": args.structure.name, **summary.to_dict()}
    if notes:
        document["file_notes"] = notes
    if vacuum is not None:
        document["reference_structure"] = args.reference_structure.name
    if args.built is not None:
        moved = displacements(frames[-1], start=read_structure(args.built))
        length = (moved**2).sum(axis=1) ** 0.5
        document["displacement"] = {"rms_angstrom": float((length**2).mean() ** 0.5), "max_angstrom": length.max()}
    if args.out is not None:
        labelled = summary.labelled()
        if args.built is not None:
            labelled.arrays["displacement"] = moved
        parameters = {
            "structure": args.structure.name,
            "reference_lattice": args.reference_lattice,
            "crystal": args.crystal,
            "dataset": args.dataset,
            "temperature": args.temperature,
            "measure": args.measure,
            "frames": args.frames,
        }
        if args.cell is not None:
            parameters["cell"] = args.cell
        source = provenance("strain", parameters, structure_read_sha256=sha256(args.structure.read_bytes()))
        report = {**document, **said_of_crystals(args.structure)}
        write_structure(args.out, labelled, provenance=source, report=report, force=args.force)
    if args.csv is not None:
        write_text(args.csv, summary.csv(), force=args.force)
    if args.plot is not None:
        from qdip_struct.report.strain_plots import strain_figure

        save_figure(args.plot, strain_figure(summary), force=args.force)
    warn_of(told for name in summary.phases.roles for told in summary.strain.references[name].warnings)
    emit(document, as_json=args.json, text=_text(summary))
    if len(summary.phases.undecided):
        note(f"{len(summary.phases.undecided)} cations on the interface (mixed anions) take no part")
    if strangers := ", ".join(f"{count} {element}" for element, count in summary.phases.strangers.items()):
        note(f"{strangers} take no part: their phase is told by the arrays region and phase of 'qdip build' only")
    missing = ~summary.strain.defined
    for name in dict.fromkeys(summary.strain.phase[missing].tolist()):
        own = summary.strain.sites[missing & (summary.strain.phase == name)].tolist()
        shown = ", ".join(map(str, own[:_SHOWN])) + (", ..." if len(own) > _SHOWN else "")
        note(
            f"{len(own)} cations of {name} have fewer than three non-coplanar neighbours of their phase: no strain "
            f"(atoms {shown}, counted from 0)"
        )
    return EXIT_DONE


_SHOWN = 10


def _percent(value: float) -> str | None:
    return None if isnan(value) else f"{round(100 * value, 3) + 0.0:.3f}"


def _crystals(given: list[str]) -> dict[str, "str | Crystal"]:
    """Phase or role → crystal, from ``NAME:phase`` and ``NAME=FILE``."""
    from qdip_struct.builders.atoms.cells import crystal_to_cut
    from qdip_struct.materials.structure_files import is_structure_file

    found: dict[str, str | Crystal] = {}
    for spec in given:
        name, equals, word = spec.partition("=")
        if not equals:
            name, word = spec.partition(":")[0], spec
        name, word = name.strip(), word.strip()
        if not name or not word or name in found:
            raise UsageError(f"--crystal takes NAME:phase or NAME=FILE, each name once; not '{spec}'")
        found[name] = crystal_to_cut(word) if equals and is_structure_file(word) else word
    return found


def _text(summary: "StrainSummary") -> str:
    phases = "\n".join(
        f"{role} {name}: reference {_edges(summary.strain.references[name])} Å"
        f"{at_kelvin(summary.strain.references[name].temperature_kelvin)} ({summary.strain.references[name].source})"
        for name, role in summary.phases.roles.items()
    )
    regions = table(
        ("region", "n", f"mean {summary.measure} strain %", "stderr %", "std %"),
        [
            (name, one.n, _percent(one.mean), _percent(one.stderr), _percent(one.std))
            for name, one in summary.regions.items()
        ],
    )
    if summary.to_reference:
        regions += "\n\n" + table(
            ("against the dot in vacuum", "n", "mean %", "stderr %", "std %"),
            [
                (name, one.n, f"{100 * one.mean:+.3f}", f"{100 * one.stderr:.3f}", f"{100 * one.std:.3f}")
                for name, one in summary.to_reference.items()
            ],
        )
    free = {(line.phase, line.direction): line for line in summary.reference_lines}
    rows = []
    for line in summary.lines:
        other = free.get((line.phase, line.direction))
        change = None if other is None else f"{100 * (line.lattice_angstrom / other.lattice_angstrom - 1):+.3f}"
        along = ",".join(f"{x:g}" for x in line.direction)
        rows.append(
            (line.phase, along, line.n_spacings, f"{line.length_angstrom:.3f}", f"{line.lattice_angstrom:.4f}",
             f"{100 * line.strain:+.3f}", change)
        )  # fmt: skip
    gauge = table(("line", "along", "spacings", "length Å", "lattice Å", "strain %", "vs vacuum %"), rows)
    if summary.continuum is None:
        prediction = f"no continuum prediction: {summary.continuum_reason}"
    else:
        one, percent = summary.continuum, 100 * summary.continuum.fixed.dot_strain
        prediction = (
            f"continuum: misfit {100 * one.misfit:.2f} %, dot strain {percent:.3f} % in the fixed cell "
            f"(volume fraction {one.volume_fraction:.3f}), {100 * one.infinite.dot_strain:.3f} % in an infinite matrix"
        )
        assumed = "; ".join(moduli.assumption for moduli in (one.dot, one.matrix) if moduli.assumption)
        prediction += f"\n(assumed: {assumed})" if assumed else ""
    return f"{phases}\n\n{regions}\n\n{gauge}\n\n{prediction}"


def _edges(reference: "MetalSublattice") -> str:
    if reference.lengths is None or reference.angles is None:
        return f"{reference.lattice_angstrom:.4f}"
    return edges_text(reference.lengths, reference.angles)


def _pairs(text: str | None, *, option: str, example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise UsageError(f"{option} takes pairs such as {example}, each name once; not '{text}'")
        found[name.strip()] = value.strip()
    return found


def _numbers(text: str, *, option: str, example: str) -> list[float]:
    try:
        return [float(word) for word in text.split("/")]
    except ValueError as error:
        raise UsageError(f"{option} takes numbers such as {example}, not '{text}'") from error


def _lattices(text: str | None) -> dict[str, float | list[float]]:
    option, example = "--reference-lattice", "dot=5.987,matrix=6.325"
    found: dict[str, float | list[float]] = {}
    for name, value in _pairs(text, option=option, example=example).items():
        lengths = _numbers(value, option=option, example=example)
        if len(lengths) not in (1, 3):
            raise UsageError(f"{option}: '{value}' is neither one length nor three joined by /")
        for length in lengths:
            check_lattice(length, what=f"the reference lattice constant of {name}")
        found[name] = lengths[0] if len(lengths) == 1 else lengths
    return found


def _moduli(text: str | None) -> dict[str, "Moduli"]:
    from qdip_struct.materials.elasticity import isotropic_moduli

    option, example = "--moduli", "dot=53/27,matrix=12/5"
    found = {}
    for name, value in _pairs(text, option=option, example=example).items():
        numbers = _numbers(value, option=option, example=example)
        if name not in ("dot", "matrix") or len(numbers) != 2:
            raise UsageError(
                f"{option} takes bulk and shear modulus of dot and matrix: {example}; not '{name}={value}'"
            )
        found[name] = isotropic_moduli(numbers[0], shear=numbers[1], name=name, source="given")
    return found


def _frames(path: Path, text: str, *, cell: str | None) -> list["Atoms"]:
    from ase import Atoms
    from ase.io import read

    from qdip_struct.builders.parsing import numbers
    from qdip_struct.materials.structure_files import with_given_cell

    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file")
    words = text.split(":")
    if not 1 < len(words) <= 3 or any(word and not word.lstrip("-").isdigit() for word in words):
        raise UsageError(f"--frames takes a slice such as ':' or '100::10', not '{text}'")
    try:
        found = read(path, index=text)
    except (ValueError, KeyError, IndexError, OSError, StopIteration) as error:
        raise DataError(f"cannot read {path} as a trajectory: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(found, list) or not found or not all(isinstance(frame, Atoms) for frame in found):
        raise DataError(f"{path} has no frames in the slice '{text}'")
    edges = None if cell is None else numbers(cell, what="--cell")
    return found if edges is None else [with_given_cell(frame, edges, path=path) for frame in found]
