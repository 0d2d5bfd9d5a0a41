"""Compare what two checkouts do: every command line of command_lines.yaml, its exit code, its words, its files.

    python tests/revisions/compare.py BASE_CHECKOUT [NEW_CHECKOUT]
    python tests/revisions/compare.py BASE_CHECKOUT --record base.json.gz
    python tests/revisions/compare.py base.json.gz [NEW_CHECKOUT]

NEW_CHECKOUT is the checkout of this script when it is not given. Run it with a Python that has the dependencies of the
package; a checkout need not be installed. One group of command lines is one scratch folder in which its lines run one
after the other; groups run side by side, two processes at once. A record is good for the machine that made it: versions
of CP2K, numpy and the rest show in what is compared.

Exit code 0: no difference; 1: some; 2: wrong usage.
"""

import argparse
import base64
import difflib
import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LINES_FILE = Path(__file__).with_name("command_lines.yaml")
PROCESSES = 2
TIME_LIMIT_S = 300
NICE = shutil.which("nice") or "nice"
DIFF_LINES = 20
DIFF_WIDTH = 160
LARGEST_KEPT = 4_000_000
"""Bytes of a file up to which its content is kept for a diff; larger ones are compared by their hash."""
FORMAT = 1
UNCOMPARED = ".qdip_report"
"""Folder in which `qdip report` remembers what it computed, under names made of a hash of the package's source."""
STEPS = ("copy", "write", "program", "cut", "replace", "remove")

NORMALISED = (
    # The traceback that --debug shows names modules and lines of the source, which a reorganisation moves.
    (re.compile(r'(?m)^(  File ".*", line \d+, in .*\n(?:    .*\n)*)+'), "  <frames>\n"),
    (re.compile(r"(?m)^qdip_struct\.[\w.]+\.(\w+: )"), r"\1"),
    # Seconds that a run took: the view of `qdip run`, its table (last column) and its JSON.
    (re.compile(r"\bafter \d+ s\b"), "after <n> s"),
    (re.compile(r'"seconds": [\d.]+'), '"seconds": <n>'),
    (re.compile(r"(?m)^(\S+/\S+ +\S+ +(?:done|failed|again|waiting|stopped)\b.*?) +\d+$"), r"\1 <n>"),
    # The name of a Slurm job holds a hash of the absolute path of the campaign.
    (re.compile(r"\bqdip-[0-9a-f]{10}-"), "qdip-<hash>-"),
)
"""What may differ between two runs of the same code, and what stands in its place; the paths come on top."""


class WrongUseError(Exception):
    """Something in the call or in the list of command lines is wrong."""


@dataclass(frozen=True)
class Line:
    """One command line.

    Attributes
    ----------
    text
        Words after ``qdip``, as typed in a shell; ``NAME=value`` before them sets a variable.
    code
        Exit code it should end with.
    slow
        Left out with ``--fast``.
    """

    text: str
    code: int
    slow: bool


@dataclass
class Group:
    """Command lines, and what is laid out between them, in one scratch folder."""

    name: str
    steps: list[Line | dict[str, Any]]

    @property
    def lines(self) -> list[Line]:
        return [step for step in self.steps if isinstance(step, Line)]


@dataclass
class Outcome:
    """What one command line did.

    Attributes
    ----------
    line
        The words.
    code
        Exit code, or a sentence when it did not end by itself.
    out, err
        Digests of what it printed.
    files
        Digest of every file it wrote or changed; ``gone`` for one it took away.
    seconds
        Wall time; not compared.
    """

    line: str
    code: int | str
    out: str
    err: str
    files: dict[str, str]
    seconds: float


@dataclass
class Outcomes:
    """What all command lines did with one checkout, and the contents that the digests stand for."""

    groups: dict[str, list[Outcome]] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)

    @property
    def n_lines(self) -> int:
        return sum(map(len, self.groups.values()))

    def n_files(self, names: Sequence[str]) -> int:
        """Files written in these groups, every writing of a file counted."""
        return sum(len(outcome.files) for name in names for outcome in self.groups.get(name, []))


def read_lines(path: Path, *, only: Sequence[str], fast: bool) -> list[Group]:
    """The groups of the list that are asked for."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    unknown = [name for name in only if name not in content]
    if unknown:
        raise WrongUseError(f"no group {', '.join(unknown)}; there are {', '.join(content)}")
    groups = []
    for name, items in content.items():
        if only and name not in only:
            continue
        steps = [_step(name, item) for item in items]
        kept = [step for step in steps if not (fast and isinstance(step, Line) and step.slow)]
        if any(isinstance(step, Line) for step in kept):
            groups.append(Group(name, kept))
    return groups


def _step(group: str, item: Any) -> Line | dict[str, Any]:
    if isinstance(item, dict) and len(item) == 1 and next(iter(item)) in STEPS:
        return item
    if not isinstance(item, str):
        raise WrongUseError(f"group {group}: neither a command line nor one of {', '.join(STEPS)}: {item}")
    text, _, marks = item.partition(" => ")
    words = marks.split()
    slow = "slow" in words
    codes = [word for word in words if word != "slow"]
    if len(codes) > 1 or not all(code.isdigit() for code in codes):
        raise WrongUseError(f"group {group}: after '=>' stand an exit code and perhaps 'slow': {item}")
    return Line(" ".join(text.split()), int(codes[0]) if codes else 0, slow)


class Side:
    """One checkout, with scratch folders of its own."""

    def __init__(self, checkout: Path, *, place: Path, shared: Path) -> None:
        self.place = place
        self.checkout = checkout.resolve()
        self.outcomes = Outcomes()
        self.troubles: list[str] = []
        place.mkdir()
        # Under a name of the same length on both sides, so that columns that hold a path are equally wide.
        self.link = place / "checkout"
        self.link.symlink_to(self.checkout)
        self.module, self.function = _entry(self.checkout)
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(self.link),
            "PYTHONHASHSEED": "0",
            "PYTHONPYCACHEPREFIX": str(place / "bytecode"),
            "PYTHONUTF8": "1",
            "HOME": str(place / "home"),
            "TMPDIR": str(place / "tmp"),
            "XDG_CACHE_HOME": str(place / "cache"),
            "MPLCONFIGDIR": str(shared / "matplotlib"),
            "MPLBACKEND": "Agg",
            "COLUMNS": "100",
            "LINES": "40",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "TZ": "UTC",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        for name in ("home", "tmp"):
            (place / name).mkdir()
        self._check()

    def _check(self) -> None:
        """Refuse to go on when another copy of the package would be imported; make matplotlib's list of fonts."""
        code = "import qdip_struct; print(qdip_struct.__file__); import matplotlib.font_manager"
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], env=self.environment, capture_output=True, text=True, check=False
        )
        found = done.stdout.partition("\n")[0]
        if done.returncode or not Path(found).resolve().is_relative_to(self.checkout):
            raise WrongUseError(
                f"the package of {self.checkout} is not what is imported: {found or done.stderr.strip()}"
            )

    def run_group(self, group: Group) -> None:
        """Run the lines of a group, one after the other, in a fresh folder."""
        folder = self.place / group.name
        folder.mkdir()
        self.outcomes.groups[group.name] = outcomes = []
        before: dict[str, tuple[str, str]] = {}
        for step in group.steps:
            if not isinstance(step, Line):
                try:
                    self._lay_out(step, folder)
                except OSError as error:
                    self.troubles.append(f"{group.name}: {self.checkout}: {step}: {error}")
                    break
                before = self._states(folder, before)
                continue
            outcome = self._run(step, folder)
            after = self._states(folder, before)
            outcome.files = {name: state[1] for name, state in after.items() if before.get(name) != state}
            outcome.files |= {name: "gone" for name in before.keys() - after.keys()}
            outcome.files = dict(sorted(outcome.files.items()))
            before = after
            outcomes.append(outcome)
        shutil.rmtree(folder)

    def _lay_out(self, step: Mapping[str, Any], folder: Path) -> None:
        """Carry out a step that is no command line."""
        ((kind, what),) = step.items()
        if kind == "copy":
            source, _, target = (word.strip() for word in str(what).partition("->"))
            there = self.checkout / source
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            if there.is_dir():
                shutil.copytree(there, folder / target)
            else:
                shutil.copy2(there, folder / target)
        elif kind in ("write", "program"):
            for name, text in what.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(str(text), encoding="utf-8")
                if kind == "program":
                    (folder / name).chmod(0o755)
        elif kind == "cut":
            for name, n_bytes in what.items():
                (folder / name).write_bytes((folder / name).read_bytes()[:n_bytes])
        elif kind == "replace":
            for name, (old, new) in what.items():
                text = (folder / name).read_text(encoding="utf-8")
                if old not in text:
                    raise OSError(f"{name} holds no '{old}'")
                (folder / name).write_text(text.replace(old, new), encoding="utf-8")
        else:
            for name in [what] if isinstance(what, str) else what:
                path = folder / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _run(self, line: Line, folder: Path) -> Outcome:
        words = shlex.split(line.text)
        environment = {**self.environment, "PATH": f"{folder / 'bin'}:{self.environment['PATH']}", "PWD": str(folder)}
        while words and re.match(r"[A-Z_]+[0-9A-Z_]*=", words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value.replace("{here}", str(folder))
        words = [found for word in words for found in _expanded(word, folder)]
        start = f"import sys; from {self.module} import {self.function} as start; sys.exit(start())"
        command = [NICE, sys.executable, "-P", "-c", start, *words]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        code: int | str
        try:
            out, err = process.communicate(timeout=TIME_LIMIT_S)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            code = f"not ended after {TIME_LIMIT_S} s"
        seconds = time.monotonic() - began
        return Outcome(line.text, code, self._keep(out), self._keep(err), {}, round(seconds, 2))

    def _states(self, folder: Path, before: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Stamp and digest of everything below a folder; what has kept its stamp is not read again."""
        states: dict[str, tuple[str, str]] = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if UNCOMPARED in path.relative_to(folder).parts[:-1]:
                continue
            if path.is_symlink():
                target = self._normalised(str(path.readlink()))
                states[name] = (target, f"link to {target}")
            elif path.is_dir():
                states[name] = ("", "folder")
            else:
                about = path.stat()
                stamp = f"{about.st_size} {about.st_mtime_ns} {about.st_ino} {about.st_mode:o}"
                known = before.get(name)
                if known is not None and known[0] == stamp:
                    states[name] = known
                else:
                    mark = " executable" if about.st_mode & 0o100 else ""
                    states[name] = (stamp, self._keep(path.read_bytes()) + mark)
        return states

    def _keep(self, content: bytes) -> str:
        """Digest of a content, normalised when it is text; the content itself is kept beside the outcomes."""
        try:
            kept = self._normalised(content.decode("utf-8"))
            content = kept.encode("utf-8")
        except UnicodeDecodeError:
            kept = "base64 " + base64.b64encode(content).decode("ascii")
        digest = hashlib.sha256(content).hexdigest()[:20]
        large = len(kept) > LARGEST_KEPT
        self.outcomes.contents[digest] = f"{len(content)} bytes, too many to be kept" if large else kept
        return digest

    def _normalised(self, text: str) -> str:
        names = {sys.prefix: "<PYTHON>", str(self.link): "<CHECKOUT>", str(self.checkout): "<CHECKOUT>"}
        names |= {str(self.place): "<SCRATCH>", str(self.place.resolve()): "<SCRATCH>"}
        for path in sorted(names, key=len, reverse=True):
            text = text.replace(path, names[path])
        for pattern, replacement in NORMALISED:
            text = pattern.sub(replacement, text)
        return text


def _entry(checkout: Path) -> tuple[str, str]:
    """Module and function of the command ``qdip``, as the project file of a checkout names them."""
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        module, _, function = project["scripts"]["qdip"].partition(":")
    except (OSError, KeyError) as error:
        raise WrongUseError(f"{checkout} is no checkout of the package: {error}") from error
    return module, function


def _expanded(word: str, folder: Path) -> list[str]:
    """The files that a word with ``*`` stands for, as a shell gives them; any other word as it is."""
    found = sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else []
    return found or [word]


def run_all(sides: Sequence[Side], groups: Sequence[Group]) -> None:
    """Run every group with every checkout, two at a time, the longest first."""
    ordered = sorted(groups, key=lambda group: len(group.lines), reverse=True)
    with ThreadPoolExecutor(PROCESSES) as pool:
        futures: list[Future[None]] = [pool.submit(side.run_group, group) for group in ordered for side in sides]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def save(outcomes: Outcomes, path: Path) -> None:
    """Store outcomes as compressed JSON."""
    groups = {name: [vars(outcome) for outcome in items] for name, items in sorted(outcomes.groups.items())}
    text = json.dumps({"format": FORMAT, "groups": groups, "contents": outcomes.contents}, sort_keys=True)
    path.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def load(path: Path) -> Outcomes:
    """Read stored outcomes."""
    try:
        document = json.loads(gzip.decompress(path.read_bytes()))
        if document["format"] != FORMAT:
            raise WrongUseError(f"{path} has format {document['format']}, not {FORMAT}: record it anew")
        groups = {name: [Outcome(**item) for item in items] for name, items in document["groups"].items()}
        return Outcomes(groups, document["contents"])
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise WrongUseError(f"{path} is no record of outcomes: {error}") from error


def _keys(texts: Sequence[str]) -> list[tuple[str, int]]:
    """The same command line may stand several times in a group: each is known by its text and its turn."""
    return [(text, texts[:index].count(text)) for index, text in enumerate(texts)]


def _numbered(outcomes: Sequence[Outcome]) -> dict[tuple[str, int], Outcome]:
    return dict(zip(_keys([outcome.line for outcome in outcomes]), outcomes, strict=True))


def unexpected(outcomes: Outcomes, groups: Sequence[Group]) -> Iterator[str]:
    """Lines that do not end with the exit code that the list gives them."""
    for group in groups:
        found = _numbered(outcomes.groups.get(group.name, []))
        for line, key in zip(group.lines, _keys([line.text for line in group.lines]), strict=True):
            outcome = found.get(key)
            if outcome is not None and outcome.code != line.code:
                words = outcomes.contents[outcome.err].strip().splitlines()[-3:]
                told = "".join(f"\n    {word[:DIFF_WIDTH]}" for word in words)
                yield f"{group.name}: qdip {line.text}: exit code {outcome.code}, not {line.code}{told}"


def differences(base: Outcomes, new: Outcomes, groups: Sequence[Group]) -> Iterator[str]:
    """Every difference, the line that names it and a short diff."""
    for group in groups:
        before, after = (_numbered(side.groups.get(group.name, [])) for side in (base, new))
        for line, key in zip(group.lines, _keys([line.text for line in group.lines]), strict=True):
            one, two = before.get(key), after.get(key)
            head = f"{group.name}: qdip {line.text}"
            if one is None or two is None:
                yield f"{head}: not run with {'base' if one is None else 'new'}"
                continue
            if one.code != two.code:
                yield f"{head}: exit code {one.code} became {two.code}"
            for what, mine, other in (("stdout", one.out, two.out), ("stderr", one.err, two.err)):
                if mine != other:
                    yield f"{head}: {what} differs\n{_diff(base.contents[mine], new.contents[other])}"
            for name in sorted(one.files.keys() | two.files.keys()):
                mine, other = one.files.get(name, "not written"), two.files.get(name, "not written")
                if mine != other:
                    yield f"{head}: {name} {_change(mine, other, base.contents, new.contents)}"


def _change(mine: str, other: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What became of a file, in words and a diff."""
    contents = [kept.get(state.removesuffix(" executable")) for kept, state in ((old, mine), (new, other))]
    words = [state if text is None else "a file" for text, state in zip(contents, (mine, other), strict=True)]
    if contents[0] is None or contents[1] is None:
        return f"was: {words[0]}; is: {words[1]}"
    if contents[0] == contents[1]:
        return "differs in its permission to be executed"
    return f"differs\n{_diff(contents[0], contents[1])}"


def _diff(old: str, new: str) -> str:
    """A short unified diff; sizes and the first place that differs for what is no text."""
    if old.startswith("base64 ") or new.startswith("base64 "):
        place = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        return (
            f"    no text: about {len(old) * 3 // 4} and {len(new) * 3 // 4} bytes, alike up to byte {place * 3 // 4}"
        )
    rows = difflib.unified_diff(_rows(old), _rows(new), "base", "new", n=1, lineterm="")
    shown = [row for _, row in zip(range(DIFF_LINES + 1), rows, strict=False)]
    if len(shown) > DIFF_LINES:
        shown[-1] = "..."
    return "\n".join(f"    {row}" for row in shown)


def _rows(text: str) -> list[str]:
    """Lines, long ones broken."""
    lines = text.split("\n")
    return [line[i : i + DIFF_WIDTH] for line in lines for i in range(0, max(len(line), 1), DIFF_WIDTH)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, metavar="BASE_CHECKOUT", help="a checkout, or a record of one")
    parser.add_argument("new", type=Path, nargs="?", metavar="NEW_CHECKOUT", help="default: that of this script")
    parser.add_argument("--only", action="append", default=[], metavar="GROUP", help="only this group; repeatable")
    parser.add_argument("--fast", action="store_true", help="leave out the lines marked slow")
    parser.add_argument("--record", type=Path, metavar="FILE", help="store the outcomes of base (.json.gz)")
    parser.add_argument("--times", type=int, default=0, metavar="N", help="also list the N slowest command lines")
    return parser.parse_args()


def main() -> int:
    """Run, compare, tell."""
    args = _arguments()
    groups = read_lines(LINES_FILE, only=args.only, fast=args.fast)
    base = load(args.base) if args.base.is_file() else None
    if base is not None and args.record is not None:
        raise WrongUseError("--record needs a checkout as BASE_CHECKOUT")
    new = args.new
    if new is None and args.record is None:
        new = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory(prefix="revisions-") as name:
        place = Path(name)
        sides = []
        if base is None:
            sides.append(Side(args.base, place=place / "1", shared=place))
        if new is not None:
            sides.append(Side(new, place=place / "2", shared=place))
        run_all(sides, groups)
    outcomes = base if base is not None else sides[0].outcomes
    latest = sides[-1].outcomes if sides else outcomes
    if args.record is not None:
        save(outcomes, args.record)
    spent = sorted(((o.seconds, o.line) for items in latest.groups.values() for o in items), reverse=True)
    for seconds, line in spent[: args.times]:
        print(f"{seconds:7.1f} s  {line}")
    names = [group.name for group in groups]
    found = [*(trouble for side in sides for trouble in side.troubles), *unexpected(outcomes, groups)]
    if new is not None:
        found += differences(outcomes, latest, groups)
    for text in found:
        print(text)
    n_lines = sum(len(group.lines) for group in groups)
    print(f"{n_lines} command lines, {latest.n_files(names)} files: {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WrongUseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
