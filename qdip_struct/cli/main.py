"""``qdip``: finds the command, reads its options and configuration file, turns errors into one line and an exit code.

The command ``build slab`` is the module ``build_slab`` of this folder with ``add_build_slab_arguments(parser)`` and
``build_slab_command(args) -> int``. Only the module of the chosen command is imported, so that ``qdip --help`` starts
fast.
"""

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from qdip_struct import __version__
from qdip_struct.base.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, QdipError, UsageError

COMMANDS: dict[str, str] = {
    "materials": "crystals: lattice, phase, temperature, source",
    "screen": "misfit of a dot in a mixed-halide matrix against composition",
    "match": "coincidence cells of a film and a substrate within an area and a strain",
    "loading": "mass ratio, volume fraction and spacing of dots in a matrix",
    "elastic": "strain and energy shared by dot and matrix, or film and substrate",
    "planes": "spacings, angles, zones, and which reflections a phase can show",
    "papers": "the five papers: statements recomputed, systems built, one table, one page",
    "build slab": "a crystal cut parallel to any plane, every termination, with its bulk reference",
    "build interface": "film on substrate: film, substrate, interface and bulk cells that belong together",
    "build dot": "a free quantum dot: shape, shell, surface, ligands",
    "build embed": "a quantum dot in a matrix supercell",
    "build attach": "a dot on a slab surface, or dots buried under an overgrown layer",
    "build parts": "the last geometry of a run, whole and cut into film and substrate, as the start of new runs",
    "inputs": "CP2K run folders from structures, checked before they are written",
    "converge": "a convergence study: run folders, later table and plot",
    "check": "check CP2K inputs before they wait in a queue",
    "submit": "a campaign: build, write and check all its runs, then hand them to an engine",
    "status": "how the runs of a campaign stand",
    "run": "run or continue run folders on this machine",
    "retry": "make failed runs ready to start again; their outputs are kept",
    "segment": "one idempotent piece of one run, for job scripts",
    "collect": "read finished CP2K runs: status, energies, forces",
    "energies": "surface, adsorption and interface energies from finished runs",
    "strain": "strain map of a relaxed structure, per phase and without a reference configuration",
    "charge-difference": "electrons gained and lost where two parts meet, from three density cubes",
    "dipole": "dipole moment of slabs and dots, from the density and as CP2K printed it",
    "levels": "gap, HOMO and LUMO by region, in-gap states, work function, band alignment",
    "diffraction": "powder lines and Fourier spots of a structure, and which phase can show a fringe",
    "relax": "relax a structure with a machine-learned potential, resumable",
    "report": "one static HTML page of a study",
    "doctor": "what is installed, what is missing, how to get it",
    "demo": "the whole path on this machine, from misfit to interface energy, in minutes",
}
"""Every command and its one line of help, in the order in which a study uses them."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see '{self.prog} --help')")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return (
        f"qdip {__version__}: quantum dots in perovskites, from lattice misfit to CP2K interface energies\n\n"
        f"usage: qdip COMMAND [options]      qdip COMMAND --help explains one command\n\ncommands:\n{rows}\n\n"
        "every command: --json (one document on stdout), -o/--out, --force, --config FILE.yaml, --debug\n"
        "exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but some items failed or are unfinished\n"
    )


def _family(first: str) -> dict[str, str]:
    """The commands of two words that begin with this one."""
    return {name: text for name, text in COMMANDS.items() if name.startswith(f"{first} ")}


def _family_overview(first: str) -> str:
    rows = "\n".join(f"  qdip {name:<{max(map(len, COMMANDS))}}  {text}" for name, text in _family(first).items())
    return f"usage: qdip {first} KIND [options]      qdip {first} KIND --help explains one\n\n{rows}\n"


def _command_of(words: Sequence[str]) -> tuple[str, list[str]]:
    for length in (2, 1):
        name = " ".join(words[:length])
        if len(words) >= length and name in COMMANDS:
            return name, list(words[length:])
    first = words[0]
    family = _family(first)
    if family:
        raise UsageError(f"'qdip {first}' needs one of: {', '.join(name.split()[1] for name in family)}")
    raise UsageError(f"unknown command '{first}'; 'qdip --help' lists the commands")


def _identifier(command: str) -> str:
    return command.replace(" ", "_").replace("-", "_")


def _module_of(command: str) -> ModuleType:
    return importlib.import_module(f"qdip_struct.cli.{_identifier(command)}")


def _parser_of(command: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"qdip {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    getattr(module, f"add_{_identifier(command)}_arguments")(parser)
    common = parser.add_argument_group("common options")
    common.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    common.add_argument("-o", "--out", type=Path, metavar="PATH", help="where to write (a file or a folder)")
    common.add_argument("--force", action="store_true", help="replace existing results")
    common.add_argument("--config", type=Path, metavar="FILE", help="YAML file whose keys are the long option names")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _words_from_config(path: Path, parser: argparse.ArgumentParser) -> list[str]:
    """Turn a YAML mapping into command-line words, so that a file and flags pass through the same checks."""
    from qdip_struct.base.documents import yaml_document

    content = yaml_document(path, mistake=UsageError)
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected a mapping of option names to values")
    actions = {option.lstrip("-"): action for action in parser._actions for option in action.option_strings}
    positionals = {action.dest: action for action in parser._actions if not action.option_strings}
    words: list[str] = []
    places: list[str] = []
    for key, value in content.items():
        values = [str(item) for item in (value if isinstance(value, list) else [value])]
        if key in positionals:
            places += values
            continue
        action = actions.get(str(key))
        if action is None or key in ("config", "help"):
            known = ", ".join(sorted({*actions, *positionals} - {"config", "help", "h"}))
            raise UsageError(f"{path}: unknown key '{key}'; known: {known}")
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise UsageError(f"{path}: '{key}' is true or false, not '{value}'")
            words += [f"--{key}"] if value else []
        elif action.nargs is None and isinstance(action, argparse._AppendAction):
            words += [f"--{key}={item}" for item in values]
        elif action.nargs is None:
            if len(values) != 1:
                raise UsageError(f"{path}: '{key}' takes one value, not {len(values)}")
            words.append(f"--{key}={values[0]}")
        else:
            words += [f"--{key}", *values]
    return words + places


def _parse(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    finder = _Parser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path)
    found, rest = finder.parse_known_args(words)
    if found.config is not None:
        words = _words_from_config(found.config, parser) + rest
    return parser.parse_args(words)


def _told_at_once(words: Sequence[str]) -> str | None:
    """What is answered without a command: overviews and the version."""
    if not words or words[0] in ("-h", "--help"):
        return _overview()
    if words[0] == "--version":
        return f"qdip {__version__}\n"
    if list(words[1:]) in (["-h"], ["--help"]) and _family(words[0]):
        return _family_overview(words[0])
    return None


def _complain(message: str) -> None:
    """Print an error in one line, whatever the names in it hold."""
    from qdip_struct.cli.console import note

    note(f"error: {message}".replace("\n", "\\n"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one ``qdip`` command and return its exit code."""
    from qdip_struct.cli.console import replace_unprintable

    words: list[Any] = list(sys.argv[1:] if argv is None else argv)
    replace_unprintable()
    debug = "--debug" in words
    try:
        if (text := _told_at_once(words)) is not None:
            print(text, end="", flush=True)
            return EXIT_DONE
        command, rest = _command_of(words)
        module = _module_of(command)
        args = _parse(_parser_of(command, module), rest)
        code: int = getattr(module, f"{_identifier(command)}_command")(args)
        sys.stdout.flush()
        return code
    except QdipError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # At its exit Python flushes stdout once more, and would complain of the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        if debug:
            traceback.print_exc()
        place = f"{error.filename}: " if error.filename is not None else "cannot write what was asked for: "
        with contextlib.suppress(OSError):
            _complain(f"{place}{error.strerror or error}")
        # At its exit Python flushes stdout once more, and would complain of the full disk.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if debug:
            raise
        _complain(f"internal fault, {type(error).__name__}: {error}; run again with --debug and report it")
        return EXIT_FAILED


if __name__ == "__main__":
    raise SystemExit(main())
