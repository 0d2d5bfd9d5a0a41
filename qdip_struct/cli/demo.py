"""The whole path on this machine, in minutes: misfit, slabs, CP2K inputs, CP2K itself, energies, a dot, one page.

With CP2K the inputs are run here; without it the finished runs that ship with the package take their place, marked
as shipped. Stopped halfway, the same command goes on from what is finished; once CP2K is there, own runs replace the
shipped ones.

example:
  qdip demo -o demo --nproc 2
"""

import argparse
import contextlib
import io
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from qdip_struct.base.errors import EXIT_DONE, EXIT_INTERRUPTED, QdipError, ToolError
from qdip_struct.cli.console import emit, note

GROUP = "PbS(100)//CsPbBr3(100)"
TITLE = "PbS in halide perovskites: misfit, interface energy, embedded dot"
_SLABS = (
    "--film PbS --film-plane 100 --film-layers 3 --substrate CsPbBr3 --substrate-plane 100 --substrate-layers 3 "
    "--termination BX2 --registry continuation --vacuum 15 --dataset pbe_cp2k"
)
_ROLES = (
    *("film", "substrate", "interface", "film_bulk", "substrate_bulk"),
    *("film_bulk_free", "substrate_other", "reservoir"),
)
DOT = "--dot PbS --diameter 30 --shape sphere --matrix CsPbI3 --cells 8,8,8 --lattice 6.325"


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``qdip demo``."""
    parser.add_argument("--nproc", type=int, metavar="N", help="cores to use (default: those of this machine)")


class _Steps:
    """Runs commands as a user would type them, and skips those whose result is already there."""

    def __init__(self, *, quiet: bool, force: bool) -> None:
        self._quiet = quiet
        self._force = force

    def do(self, title: str, words: str, *more: str, results: Sequence[Path] = ()) -> None:
        """Say what comes; run ``qdip WORDS MORE`` unless all results are there; stop the demo when it fails."""
        from qdip_struct.cli.main import main

        command = [*words.split(), *more]
        done = bool(results) and all(path.exists() for path in results) and not self._force
        note(f"\n== {title}{' (already there)' if done else ''}\n$ qdip {shlex.join(command)}")
        if done:
            return
        replacing = ["--force"] if results and "--force" not in command else []
        with contextlib.redirect_stdout(io.StringIO()) if self._quiet else contextlib.nullcontext():
            code = main([*command, *replacing])
            sys.stdout.flush()
        if code == EXIT_INTERRUPTED:
            raise SystemExit(code)
        if code:
            raise QdipError(f"the demo stopped at 'qdip {shlex.join(command)}' (exit code {code})")


def demo_command(args: argparse.Namespace) -> int:
    """Do all steps in order; exit 0 when every run is done."""
    from qdip_struct.cp2k.program import HOW_TO_GET_CP2K, find_program

    out = args.out if args.out is not None else Path("demo")
    steps = _Steps(quiet=args.json, force=args.force)
    screen, figure, slabs = out / "screen.json", out / "misfit.svg", out / "slabs"
    dot, cluster, page = out / "dot" / "embedded.extxyz", out / "cluster", out / "report.html"
    program = find_program()
    runs, copies = out / "runs", out / "runs_shipped"
    begun = any((runs / role / "run.out").exists() for role in _ROLES)
    if program is None and not begun:
        runs = copies
    elif copies.exists():
        note(f"removing {copies}: copies of the shipped runs, which {runs} replaces")
        shutil.rmtree(copies)
    steps.do(
        "1. Which halide ratio fits PbS? With the lattice constants of Liu et al. 2019",
        "screen --dot PbS --matrix CsPb(Br,I)3 --dataset liu2019",
        *("--plot", str(figure), "-o", str(screen)),
        results=[screen, figure],
    )
    structures = [slabs / f"{role}.extxyz" for role in _ROLES]
    steps.do(
        "2. PbS(100) on CsPbBr3(100): film, substrate, interface and bulk cells in one lateral cell",
        f"build interface {_SLABS} -o",
        str(slabs),
        results=[*structures, *(path.with_suffix(".json") for path in structures)],
    )
    if program is not None:
        missing = [path for path in structures if args.force or not (runs / path.stem / "run.json").exists()]
        steps.do(
            "3. CP2K inputs, checked before they are written",
            f"inputs --preset quick --task energy --group {GROUP} -o",
            *(str(runs), *map(str, missing or structures)),
            results=[runs / path.stem / "run.json" for path in structures],
        )
        steps.do(
            f"4. CP2K {program.version} runs them here",
            *("run", str(runs)),
            *([] if args.nproc is None else ["--nproc", str(args.nproc)]),
        )
    elif begun:
        note(f"\n== 3., 4. No CP2K here to go on with {runs}: what is finished is used.\n{HOW_TO_GET_CP2K}")
    else:
        note(f"\n== 3., 4. No CP2K here: finished runs that ship with the package are used.\n{HOW_TO_GET_CP2K}")
        _copy_shipped(runs)
    steps.do("5. What the finished runs say", "collect", str(runs))
    energies = out / "energies.json"
    steps.do("6. Surface, adsorption and interface energies", "energies --force -o", str(energies), str(runs))
    steps.do("7. A 3-nm PbS dot in a 50.6 Å perovskite box", f"build embed {DOT} -o", str(dot), results=[dot])
    steps.do(
        "8. Its CP2K input, ready for a cluster",
        "inputs --preset ning2015 --task geo_opt --role embedded -o",
        *(str(cluster), str(dot)),
        results=[cluster / "embedded" / "run.json"],
    )
    steps.do("9. One page", "report --force --title", TITLE, "-o", str(page), str(out))
    document = {"report": str(page), "cp2k_version": program.version if program else None, "runs": str(runs)}
    emit(document, as_json=args.json, text=f"\nOpen {page} in a browser.")
    return EXIT_DONE


def _copy_shipped(runs: Path) -> None:
    from qdip_struct.base.files import shipped

    source = shipped("workflows", "interface_energy", "reference", "runs")
    if runs.exists():
        return
    temporary = runs.with_name(f".{runs.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shutil.copytree(source, temporary)
        temporary.rename(runs)
    except OSError as error:
        raise ToolError(f"cannot copy the shipped runs to {runs}: {error.strerror or error}") from error
