"""Relax a structure with a machine-learned potential; resumable (extra mlip).

Models: chgnet, sevennet and sevennet-l3i5 use the weights inside their wheels; mace needs a file given with --weights.
Nothing is downloaded. Loading a weights file runs code stored in it: give only files from a source you trust.

The result is OUT (extxyz with all labels) and a sidecar OUT.json: what the start's sidecar said (role, group, ...),
and under 'relaxation' the model and its version, the start, rattle (Å), fmax (eV/Å), steps and whether fmax was
reached. Run the same command again after an interruption and it goes on from OUT.checkpoint.npz.
Energies of relaxations from different starts are not comparable and are ranked nowhere.

--cell fixed   nothing of the cell relaxes (default; the only choice where there is vacuum)
--cell normal  the height of the cell over fixed lateral vectors a and b (bulk references of a slab, superlattices)
--cell free    lengths and angles (a crystal of its own); both go on until the stress is below --smax, in GPa

examples:
  qdip relax embedded.extxyz --model chgnet --fmax 0.03 --rattle 0.03 --dot-lattice 6.016,6.410 -o relaxed.extxyz
  qdip relax interface.extxyz --model sevennet --rattle 0 --freeze substrate -o prerelaxed/interface.extxyz
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import EXIT_DONE, EXIT_UNFINISHED, UsageError
from qdip_struct.base.files import provenance, refuse_existing, sha256
from qdip_struct.base.options import add_options, request_of
from qdip_struct.cli.console import emit, note, read_given
from qdip_struct.mlip.relax_request import RelaxRequest

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.mlip.models import LoadedModel
    from qdip_struct.mlip.relax import Relaxation

COMPARABLE = "energies of relaxations from different starts, models or cells are not comparable: report each, rank none"


def add_relax_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``qdip relax``."""
    parser.add_argument("structure", type=Path, metavar="FILE", help="structure file (extxyz keeps the labels)")
    add_options(parser, RelaxRequest)


def relax_command(args: argparse.Namespace) -> int:
    """Relax one structure and write it with its sidecar."""
    from qdip_struct.builders.atoms.store import sidecar_of, write_structure
    from qdip_struct.materials.structure_files import structure_stem
    from qdip_struct.mlip.models import check_weights, find_model, load_model
    from qdip_struct.mlip.relax import check_cell_mode, frozen_atoms, relax

    request = request_of(args, RelaxRequest)
    request.check()
    check_weights(find_model(request.model), request.weights)
    if request.fixed_layers < 0:
        raise UsageError(f"--fixed-layers is a number of layers, not {request.fixed_layers}")
    out: Path = args.out or args.structure.with_name(f"{structure_stem(args.structure)}.relaxed.extxyz")
    refuse_existing(out, force=args.force)
    refuse_existing(sidecar_of(out), force=args.force)
    atoms, sidecar, lattices, notes = _start(args, request)
    check_cell_mode(atoms, cell=request.cell, role=sidecar.get("role"))
    regions = [name.strip() for name in request.freeze.split(",")] if request.freeze else []
    frozen = frozen_atoms(atoms, regions=regions, n_layers=request.fixed_layers)
    if frozen.any() and request.cell != "fixed":
        raise UsageError("frozen atoms need --cell fixed: in a cell that changes they would move with it")
    potential = load_model(
        request.model,
        threads=request.threads,
        weights=request.weights,
        stress=request.cell != "fixed",
        device=request.device,
    )
    potential.refuse_unknown_elements(atoms)
    checkpoint = out.with_name(f"{out.name}.checkpoint.npz")
    if checkpoint.exists():
        note(f"going on from {checkpoint}")
    progress = _Progress(quiet=args.json)
    done = relax(
        atoms,
        request,
        calculator=potential.calculator,
        weights_sha256=potential.weights_sha256,
        frozen=frozen,
        checkpoint=checkpoint,
        progress=progress.show,
    )
    progress.close()
    relaxation = {
        **_relaxation(done, potential),
        "start": args.structure.name,
        "start_file_sha256": sha256(args.structure.read_bytes()),
        "dot_start": _dot_start(lattices, atoms=atoms),
        "dot_start_lattice_angstrom": lattices,
        "part": request.part,
        "frozen_regions": regions,
        "frozen_layers": request.fixed_layers,
        "energies_comparable_across_starts": False,
    }
    written = provenance("relax", _parameters(args, request), seed=request.seed, start=sidecar.get("provenance"))
    report = {**_described(done.atoms, sidecar=sidecar), "relaxation": relaxation}
    if notes:
        report["file_notes"] = notes
    write_structure(out, done.atoms, provenance=written, report=report, force=args.force)
    if done.converged:
        checkpoint.unlink(missing_ok=True)
    document = {"path": str(out), "n_atoms": len(done.atoms), **relaxation}
    emit(document, as_json=args.json, text=_text(out, relaxation))
    if not done.converged:
        note(f"not finished: run again with more --max-steps and --force to go on from {checkpoint}")
    return EXIT_DONE if done.converged else EXIT_UNFINISHED


def _start(
    args: argparse.Namespace, request: RelaxRequest
) -> tuple["Atoms", dict[str, Any], tuple[float, float] | None, list[str]]:
    """The structure to start from, what its sidecar says, the lattices of dot and matrix (Å) where they are known, and
    what is to be said of its file.

    ``--dot-lattice`` scales the dot, ``--part dot`` leaves the matrix and the sidecar, which speaks of the whole, out.
    """
    from qdip_struct.builders.atoms.store import read_sidecar
    from qdip_struct.mlip.relax import only_dots, with_dot_lattice

    atoms, notes = read_given(args.structure, cell=request.start_cell, used=("constraints", "moments"))
    _, sidecar = read_sidecar(args.structure)
    lattices = _dot_lattices(request.dot_lattice, sidecar=sidecar, atoms=atoms)
    if request.dot_lattice is not None and lattices is not None:
        atoms = with_dot_lattice(atoms, own=lattices[0], built=lattices[1])
    if request.part == "dot":
        atoms, sidecar = only_dots(atoms), {}
        for name in ("role", "group"):
            atoms.info.pop(name, None)
    return atoms, sidecar, lattices, notes


def _relaxation(done: "Relaxation", potential: "LoadedModel") -> dict[str, Any]:
    report = done.report()
    return {
        "model": report.pop("model"),
        "model_description": potential.model.about,
        "model_version": potential.version,
        "weights": potential.weights,
        "weights_sha256": report.pop("weights_sha256"),
        **report,
    }


def _described(atoms: "Atoms", *, sidecar: dict[str, Any]) -> dict[str, Any]:
    """What the start's sidecar said, with what relaxing changes measured again; without one, the labels summed up."""
    from qdip_struct.builders.atoms.neighbours import minimum_distance
    from qdip_struct.builders.atoms.regions import report

    kept = {key: value for key, value in sidecar.items() if key not in ("structure", "structure_sha256", "provenance")}
    kept.pop("relaxation", None)
    if kept:
        return {
            **kept,
            "min_distance_angstrom": minimum_distance(atoms),
            "cell_angstrom": atoms.cell.array.tolist(),
        }
    if atoms.has("region") and atoms.has("formal_charge"):
        try:
            return report(atoms)
        except UsageError:
            return {"n_atoms": len(atoms)}
    return {"n_atoms": len(atoms)}


def _parameters(args: argparse.Namespace, request: RelaxRequest) -> dict[str, Any]:
    names = (
        "model", "fmax", "rattle", "cell", "start_cell", "smax", "freeze", "fixed_layers", "dot_lattice", "part",
        "max_steps",
    )  # fmt: skip
    weights = None if request.weights is None else request.weights.name
    return {"structure": args.structure.name, "weights": weights, **{name: getattr(request, name) for name in names}}


def _dot_lattices(text: str | None, *, sidecar: dict[str, Any], atoms: "Atoms") -> tuple[float, float] | None:
    """Lattice constants (Å) of the dot at the start and of the lattice it is built in, where they are known."""
    if text is not None:
        try:
            own, built = (float(part) for part in text.split(","))
        except ValueError as error:
            raise UsageError(f"--dot-lattice takes two lengths in Å, for example 6.016,6.410, not '{text}'") from error
        return own, built
    lattice = sidecar.get("lattice_angstrom")
    if not atoms.has("dot") or not isinstance(lattice, dict):
        return None
    dot, matrix = lattice.get("dot"), lattice.get("matrix")
    if not (isinstance(dot, (int, float)) and isinstance(matrix, (int, float))):
        return None
    return float(dot), float(matrix)


def _dot_start(lattices: tuple[float, float] | None, *, atoms: "Atoms") -> str | None:
    """How an embedded dot starts: ``coherent`` with the matrix, at its ``own lattice``, or ``as built`` (not known)."""
    if not atoms.has("dot"):
        return None
    if lattices is None:
        return "as built"
    return "coherent" if abs(lattices[0] - lattices[1]) < 1e-6 else "own lattice"


def _text(out: Path, relaxation: dict[str, Any]) -> str:
    start = [f"rattled by {relaxation['rattle_angstrom']:g} Å (seed {relaxation['seed']})"]
    if relaxation["dot_start"]:
        lengths = relaxation["dot_start_lattice_angstrom"]
        measured = f" ({lengths[0]:g} Å in {lengths[1]:g} Å)" if lengths else ""
        start.insert(0, f"dot {relaxation['dot_start']}{measured}")
    if relaxation["n_frozen"]:
        start.append(f"{relaxation['n_frozen']} atoms frozen")
    ending = "reached" if relaxation["converged"] else "did NOT reach"
    stress = relaxation["max_stress_gpa"]
    pressed = "" if stress is None else f", largest free stress {stress:.4f} GPa"
    goal = f"fmax {relaxation['fmax_ev_per_angstrom']:g} eV/Å"
    if stress is not None:
        goal += f" and smax {relaxation['smax_gpa']:g} GPa"
    return "\n".join(
        [
            f"{out}: {relaxation['model_version']} {ending} {goal} after {relaxation['n_steps']} steps",
            f"start: {', '.join(start)}; cell {relaxation['cell']}",
            f"end: largest force {relaxation['max_force_ev_per_angstrom']:.4f} eV/Å{pressed}, "
            f"energy {relaxation['energy_ev']:.4f} eV",
            f"note: {COMPARABLE}",
        ]
    )


class _Progress:
    """A bar on a terminal; off a terminal one line every hundred steps."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.bar = None
        if sys.stderr.isatty() and not quiet:
            from tqdm import tqdm

            self.bar = tqdm(unit="step")

    def show(self, step: int, force: float, energy: float) -> None:
        if self.bar is not None:
            self.bar.update(step - self.bar.n)
            self.bar.set_postfix_str(f"max force {force:.3f} eV/Å, {energy:.3f} eV")
        elif step % 100 == 0 and not self.quiet:
            note(f"step {step}: max force {force:.4f} eV/Å, energy {energy:.4f} eV")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
