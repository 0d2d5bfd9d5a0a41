"""The direction of imports, the thin core, and what the wheel must carry."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import qdip_struct
from qdip_struct.base.options import declared

PACKAGE = Path(qdip_struct.__file__).parent
FLOORS = {
    "base": 0,
    "materials": 1,
    "matching": 2,
    "builders": 3,
    "cp2k": 4,
    "runs": 5,
    "analysis": 6,
    "mlip": 7,
    "campaign": 8,
    "report": 9,
    "papers": 10,
    "cli": 11,
}
"""Storey of each folder: an import points to the same one or to a lower one."""
MODULES = sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(module: Path) -> ast.Module:
    """Syntax tree of a module, read once for all tests."""
    return ast.parse(module.read_text())


def floor_of(parts: tuple[str, ...]) -> int:
    return FLOORS[parts[0]]


def imported(tree: ast.AST) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(("relative", node.lineno))
        elif isinstance(node, ast.ImportFrom) and node.module == "qdip_struct":
            found += [(f"qdip_struct.{alias.name}", node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.lineno))
        elif isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(module: Path) -> None:
    place = module.relative_to(PACKAGE).with_suffix("").parts
    if place == ("__init__",):
        return
    own = floor_of(place)
    for name, line in imported(tree_of(module)):
        assert name != "relative", f"{module}:{line} uses a relative import"
        parts = name.split(".")
        if parts[0] != "qdip_struct" or len(parts) == 1 or parts[1] == "__version__":
            continue
        assert floor_of(tuple(parts[1:])) <= own, f"{module}:{line} imports {name}, which is above it"
        if place[0] == parts[1] == "analysis" and len(parts) > 2:
            assert parts[2] == place[1], f"{module}:{line} imports {name}, which is another room of analysis"


def test_no_module_imports_itself_in_a_circle() -> None:
    """Not even inside a function; imports for the type checker alone may."""
    names = {
        ".".join(("qdip_struct", *module.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): module
        for module in MODULES
    }
    graph: dict[str, set[str]] = {}
    for place, module in names.items():
        nodes = list(ast.walk(tree_of(module)))
        guards = [node for node in nodes if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
        unused = {id(inner) for guard in guards for inner in ast.walk(guard)}
        found = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in unused]
        graph[place] = set()
        for node in found:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                target = inside if inside in names or isinstance(node, ast.Import) else node.module
                graph[place] |= {target} & set(names) if target else set()
    seen: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if seen.get(name):
            return
        for target in sorted(graph.get(name, ())):
            visit(target, (*path, name))
        seen[name] = 1

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(module: Path) -> None:
    if module.relative_to(PACKAGE).parts[0] == "cli":
        return
    calls = [n for n in ast.walk(tree_of(module)) if isinstance(n, ast.Call)]
    assert not [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_belongs_in_it(module: Path) -> None:
    assert ast.get_docstring(tree_of(module)), module


def entries_of(docstring: str | None, heading: str) -> set[str] | None:
    """Names in a section of a numpy-style docstring; ``None`` without the section."""
    found = re.search(rf"^{heading}\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", docstring or "", re.DOTALL | re.MULTILINE)
    if found is None:
        return None
    lines = [line for line in found[1].splitlines() if line and not line[0].isspace()]
    return {name.strip() for line in lines for name in line.partition(" : ")[0].split(",")}


def is_dataclass(node: ast.ClassDef) -> bool:
    makers = [maker.func if isinstance(maker, ast.Call) else maker for maker in node.decorator_list]
    return any(isinstance(maker, ast.Name) and maker.id == "dataclass" for maker in makers)


UNITS = (
    *("angstrom", "angstrom2", "angstrom3", "ev", "mev", "gpa", "kelvin", "degree", "rydberg", "s", "gb", "nm", "e"),
    *("m2", "cm3", "percent", "fraction", "fractions", "hours", "bytes", "pixels", "debye"),
)
"""Last words of a name that say how a number is counted; ``n_`` and ``is_`` say it at the start."""
UNTOLD_TYPES = {"Any", "Callable", "object", "dict", "Mapping", "Array", "ArrayLike", "Floats", "NDArray", "ndarray"}
"""Types that leave open what is inside: shape, keys, arguments."""


def says_all(name: str, annotation: ast.expr) -> bool:
    """Whether name and type of a field leave nothing open: no bare number, no array or mapping without its meaning."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    used = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(annotation)}
    counted = name.startswith(("n_", "is_", "has_")) or f"_{name}".endswith(tuple(f"_{unit}" for unit in UNITS))
    return not used & UNTOLD_TYPES and (counted or not used & {"int", "float", "complex"})


def told_by_options(module: Path, name: str) -> set[str]:
    """Fields of a request that say themselves what they are."""
    if "options import" not in module.read_text():
        return set()
    place = ".".join(("qdip_struct", *module.relative_to(PACKAGE).with_suffix("").parts))
    told = {item.name: declared(item) for item in fields(getattr(importlib.import_module(place), name))}
    return {field for field, words in told.items() if words is not None and words.help}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_record_documents_its_fields(module: Path) -> None:
    """All that name and type leave open, and nothing that is no field."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ClassDef) and is_dataclass(node) and not node.name.startswith("_"):
            own = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            told = entries_of(ast.get_docstring(node), "Attributes") or set()
            kinds = {item.target.id: item.annotation for item in own if isinstance(item.target, ast.Name)}
            names, options = set(kinds), told_by_options(module, node.name)
            clear = {name for name, kind in kinds.items() if name in options or says_all(name, kind)}
            assert told <= names, f"{module}:{node.lineno} {node.name} has no {sorted(told - names)}"
            untold = names - clear - told
            assert not untold, f"{module}:{node.lineno} Attributes of {node.name} lack {sorted(untold)}"


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        yield from (item for item in inside if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"))


def raised_in(function: ast.FunctionDef) -> Iterator[str]:
    """Classes of errors that the function's own body raises."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Raise):
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(error, ast.Name) and error.id[0].isupper():
                yield error.id
        waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_function_tells_what_it_raises(module: Path) -> None:
    """In a section Raises; a docstring without sections names the class in its sentence."""
    for function in public_functions(tree_of(module)):
        if module.parent.name == "cli" and function.name == f"{module.stem}_command":
            continue
        text = ast.get_docstring(function)
        assert text, f"{module}:{function.lineno} {function.name} has no docstring"
        told = entries_of(text, "Raises")
        told = set(re.findall(r":class:`(?:[\w.]*\.)?(\w+)`", text)) if told is None else told
        untold = set(raised_in(function)) - told
        assert not untold, f"{module}:{function.lineno} {function.name} raises {sorted(untold)}"


def names_of(node: ast.stmt) -> list[str]:
    """What a statement at the top of a module defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_a_public_name_means_one_thing() -> None:
    homes: dict[str, set[str]] = {}
    for module in MODULES:
        for name in {name for node in tree_of(module).body for name in names_of(node)}:
            if not name.startswith("_"):
                homes.setdefault(name, set()).add(str(module.relative_to(PACKAGE)))
    twice = {name: sorted(places) for name, places in homes.items() if len(places) > 1}
    assert not twice, twice


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_named_after_a_noun_and_names_what_it_imports(module: Path) -> None:
    assert not {"utils", "util", "helpers", "common", "misc"} & set(module.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names), f"{module}:{node.lineno} imports *"


LONG = 600
"""Lines from which a module says in its docstring why it is one noun and not two."""
MOST_MODULES = 200
"""Beside the ``__init__``. Before a module beside these, ask whether its noun has one already."""


def test_a_long_module_says_why() -> None:
    for module in MODULES:
        if len(module.read_text().splitlines()) > LONG:
            assert "Long because" in (ast.get_docstring(tree_of(module)) or ""), module


def test_no_folder_holds_more_modules_than_a_person_overlooks() -> None:
    for folder in {module.parent for module in MODULES} - {PACKAGE / "cli"}:
        held = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(held) <= 16, folder


def test_there_are_no_more_modules_than_nouns() -> None:
    assert sum(module.name != "__init__.py" for module in MODULES) <= MOST_MODULES


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_pages_for_contributors_name_what_is_there(page: str) -> None:
    root = PACKAGE.parent
    for word in re.findall(r"`([\w.]+/[\w./]*)`|\]\((\w[\w./]+)\)", (root / page).read_text()):
        path = word[0] or word[1]
        assert "NAME" in path or (root / path).exists() or (PACKAGE / path).exists(), f"{page} names {path}"


def loaded_by(code: str) -> set[str]:
    listing = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()}


def test_help_imports_nothing_heavy() -> None:
    loaded = loaded_by("from qdip_struct.cli.main import main; main(['--help'])")
    assert not loaded & {"numpy", "ase", "pymatgen", "matplotlib", "scipy", "yaml", "msgspec", "torch", "aiida"}


WITH_REQUESTS = ("build slab", "build interface", "build dot", "build embed", "build attach", "inputs", "converge",
                 "levels", "relax")  # fmt: skip


@pytest.mark.parametrize("command", WITH_REQUESTS)
def test_help_of_a_command_with_a_request_imports_nothing_heavy(command: str) -> None:
    loaded = loaded_by(
        f"from qdip_struct.cli.main import main\ntry: main({[*command.split(), '--help']!r})\nexcept SystemExit: pass"
    )
    assert "argparse" in loaded
    assert not loaded & {"numpy", "ase", "pymatgen", "matplotlib", "scipy", "yaml", "torch", "aiida"}


def test_screen_imports_neither_ase_nor_pymatgen() -> None:
    words = ["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--json"]
    loaded = loaded_by(f"from qdip_struct.cli.main import main; main({words!r})")
    assert not loaded & {"ase", "pymatgen", "matplotlib", "torch", "aiida"}
