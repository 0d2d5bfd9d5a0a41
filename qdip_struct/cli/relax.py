"""Relax a structure with a machine-learned potential in its fixed cell; resumable (extra mlip).

The result is OUT (extxyz with all labels) and a sidecar OUT.json that names model, start, fmax (eV/Å), steps and
whether fmax was reached. Run the same command again after an interruption and it goes on from OUT.checkpoint.npz.

  qdip relax embedded.extxyz --model chgnet --fmax 0.03 --rattle 0.03 --dot-lattice 6.016,6.410 -o relaxed.extxyz
"""

import argparse
import sys
from pathlib import Path

from qdip_struct.cli.console import emit, note
from qdip_struct.errors import UsageError
from qdip_struct.files import provenance, refuse_existing, sha256

UNFINISHED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``qdip relax``."""
    parser.add_argument("structure", type=Path, metavar="FILE", help="structure file (extxyz keeps the labels)")
    parser.add_argument("--model", default="chgnet", help="potential (default: chgnet)")
    parser.add_argument("--fmax", type=float, default=0.03, help="largest force at the end, eV/Å (default: 0.03)")
    parser.add_argument(
        "--rattle", type=float, default=0.03, help="random displacement of the start, Å (default: 0.03)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random displacement (default: 0)")
    parser.add_argument(
        "--dot-lattice",
        metavar="OWN,BUILT",
        help="start with the dot at its own lattice constant: scale it about its centre by OWN/BUILT, both in Å",
    )
    parser.add_argument(
        "--part",
        choices=("all", "dot"),
        default="all",
        help="dot: relax the dot alone in the same cell, as the vacuum reference of 'qdip strain' (default: all)",
    )
    parser.add_argument("--max-steps", type=int, default=3000, help="stop after this many steps (default: 3000)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Relax one structure and write it with its sidecar."""
    from qdip_struct.build.store import read_structure, sidecar_of, write_structure
    from qdip_struct.campaign.models import MODELS, load_model, model_version
    from qdip_struct.campaign.relax import RelaxSettings, only_dots, relax, with_dot_lattice

    settings = RelaxSettings(args.model, args.fmax, args.rattle, args.seed, args.max_steps)
    if args.model not in MODELS:
        raise UsageError(f"unknown model '{args.model}'; known: {', '.join(MODELS)}")
    out: Path = args.out or args.structure.with_name(f"{args.structure.stem}.relaxed.extxyz")
    refuse_existing(out, force=args.force)
    refuse_existing(sidecar_of(out), force=args.force)
    atoms = read_structure(args.structure)
    if args.dot_lattice is not None:
        own, built = _two_lengths(args.dot_lattice)
        atoms = with_dot_lattice(atoms, own=own, built=built)
    if args.part == "dot":
        atoms = only_dots(atoms)
    calculator = load_model(args.model, threads=args.threads)
    checkpoint = out.with_name(f"{out.name}.checkpoint.npz")
    if checkpoint.exists():
        note(f"going on from {checkpoint}")
    progress = _Progress(quiet=args.json)
    done = relax(atoms, calculator=calculator, settings=settings, checkpoint=checkpoint, progress=progress.show)
    progress.close()
    report = {
        **done.report(),
        "model_description": MODELS[args.model],
        "model_version": model_version(calculator),
        "n_atoms": len(done.atoms),
        "start": args.structure.name,
        "dot_start": "as built" if args.dot_lattice is None else f"scaled by {args.dot_lattice.replace(',', '/')}",
        "part": args.part,
        "start_file_sha256": sha256(args.structure.read_bytes()),
    }
    parameters = {
        "structure": args.structure.name,
        "model": args.model,
        "fmax": args.fmax,
        "rattle": args.rattle,
        "dot_lattice": args.dot_lattice,
        "part": args.part,
        "max_steps": args.max_steps,
    }
    written = provenance("qdip relax", parameters, seed=args.seed)
    write_structure(out, done.atoms, provenance=written, report=report, force=args.force)
    if done.converged:
        checkpoint.unlink(missing_ok=True)
    ending = "reached" if done.converged else "did NOT reach"
    text = (
        f"{out}: {args.model} {ending} fmax {args.fmax} eV/Å after {done.n_steps} steps "
        f"(largest force {done.max_force_ev_per_angstrom:.4f} eV/Å, energy {done.energy_ev:.4f} eV)"
    )
    emit({**report, "path": str(out)}, as_json=args.json, text=text)
    if not done.converged:
        note(f"not finished: run again with more --max-steps and --force to go on from {checkpoint}")
    return 0 if done.converged else UNFINISHED


def _two_lengths(text: str) -> tuple[float, float]:
    try:
        own, built = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--dot-lattice takes two lengths in Å, for example 6.016,6.410, not '{text}'") from error
    return own, built


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
