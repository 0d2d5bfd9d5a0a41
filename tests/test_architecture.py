"""The direction of imports, the thin core, and what the wheel must carry."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import qdip_struct

PACKAGE = Path(qdip_struct.__file__).parent
FLOORS = {
    "errors": 0,
    "units": 0,
    "files": 0,
    "documents": 0,
    "resources": 0,
    "shapes": 0,
    "materials": 1,
    "matching": 2,
    "build": 3,
    "cp2k": 4,
    "analysis": 5,
    "campaign": 6,
    "report": 7,
    "cli": 8,
}
MODULES = sorted(PACKAGE.rglob("*.py"))


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
    for name, line in imported(ast.parse(module.read_text())):
        assert name != "relative", f"{module}:{line} uses a relative import"
        parts = name.split(".")
        if parts[0] != "qdip_struct" or len(parts) == 1 or parts[1] == "__version__":
            continue
        assert floor_of(tuple(parts[1:])) <= own, f"{module}:{line} imports {name}, which is above it"


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {}
    for module in MODULES:
        place = ".".join(("qdip_struct", *module.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        tree = ast.parse(module.read_text())
        top = ast.Module(body=[n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], type_ignores=[])
        graph[place] = {name for name, _ in imported(top) if name.startswith("qdip_struct")}
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
    calls = [n for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.Call)]
    assert not [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_belongs_in_it(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text())), module


def loaded_by(code: str) -> set[str]:
    listing = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()}


def test_help_imports_nothing_heavy() -> None:
    loaded = loaded_by("from qdip_struct.cli.main import main; main(['--help'])")
    assert not loaded & {"numpy", "ase", "pymatgen", "matplotlib", "scipy", "yaml", "torch", "aiida"}


def test_screen_imports_neither_ase_nor_pymatgen() -> None:
    words = ["screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3", "--json"]
    loaded = loaded_by(f"from qdip_struct.cli.main import main; main({words!r})")
    assert not loaded & {"ase", "pymatgen", "matplotlib", "torch", "aiida"}
