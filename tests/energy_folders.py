"""Run folders for tests of energies: real CP2K outputs of the shipped reference, copied and edited as text."""

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qdip_struct.base.files import shipped

REFERENCE = Path(str(shipped("workflows", "interface_energy"))) / "reference" / "runs"
HARTREE = 27.211386024367243
"""eV, as the package has it from ase.units (CODATA 2014)."""

Edit = tuple[str, str]


def copy_reference(target: Path, *, roles: Sequence[str] = ()) -> Path:
    """The shipped runs of PbS(100)//CsPbBr3(100), or some of them, as a folder that may be edited."""
    for folder in sorted(REFERENCE.iterdir()):
        if not roles or folder.name in roles:
            shutil.copytree(folder, target / folder.name)
    return target


def edit(path: Path, *edits: Edit) -> None:
    """Replace text in a file; each must be there."""
    text = path.read_text()
    for old, new in edits:
        assert old in text, (path, old)
        text = text.replace(old, new)
    path.write_text(text)


def edit_record(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change run.json in place."""
    record = json.loads((folder / "run.json").read_text())
    change(record)
    (folder / "run.json").write_text(json.dumps(record, indent=1))


def energy_hartree(folder: Path) -> float:
    """The energy that the output prints, by a plain search in its text."""
    found = re.findall(r"ENERGY\| Total FORCE_EVAL.*?(-?\d+\.\d+)\s*$", (folder / "run.out").read_text(), re.M)
    return float(found[-1])


def set_energy(folder: Path, hartree: float) -> None:
    """Print another energy in both places where CP2K does."""
    text = (folder / "run.out").read_text()
    text = re.sub(r"(ENERGY\| Total FORCE_EVAL.*?)-?\d+\.\d+(\s*)$", rf"\g<1>{hartree:.12f}\2", text, flags=re.M)
    text = re.sub(r"(^ *Total energy: +)-?\d+\.\d+", rf"\g<1>{hartree:.12f}", text, flags=re.M)
    (folder / "run.out").write_text(text)


def set_atoms(folder: Path, n_atoms: int) -> None:
    """Print another number of atoms."""
    path = folder / "run.out"
    path.write_text(re.sub(r"(- Atoms: +)\d+", rf"\g<1>{n_atoms}", path.read_text()))


def set_cell(folder: Path, lengths: Sequence[float]) -> None:
    """Print another orthorhombic cell, Å."""
    text = (folder / "run.out").read_text()
    for axis, (name, length) in enumerate(zip("abc", lengths, strict=True)):
        vector = "".join(f"{length if k == axis else 0.0:10.3f}" for k in range(3))
        text = re.sub(rf"(Vector {name} \[angstrom).*", rf"\g<1>{vector}   |{name}| = {length:12.6f}", text)
    (folder / "run.out").write_text(text)


def set_mesh(folder: Path, mesh: Sequence[int]) -> None:
    """Print another Monkhorst-Pack mesh, and ask for it."""
    out, inp = folder / "run.out", folder / "run.inp"
    line = "".join(f"{n:5d}" for n in mesh)
    out.write_text(re.sub(r"(BRILLOUIN\| K-Point grid ).*", rf"\g<1>{line}", out.read_text()))
    words = " ".join(map(str, mesh))
    inp.write_text(re.sub(r"SCHEME MONKHORST-PACK .*", f"SCHEME MONKHORST-PACK {words}", inp.read_text()))


def as_run(
    target: Path,
    *,
    like: str,
    atoms: Any,
    report: Mapping[str, Any],
    hartree: float,
    mesh: Sequence[int] = (4, 4, 1),
    role: str | None = None,
    group: str | None = None,
) -> Path:
    """A run folder of a built structure whose output is a real one with this structure's atoms, cell and energy."""
    from qdip_struct.builders.atoms.store import structure_text

    shutil.copytree(REFERENCE / like, target)
    (target / "structure.extxyz").write_text(structure_text(atoms, format="extxyz"))
    symbols = atoms.get_chemical_symbols()

    def change(record: dict[str, Any]) -> None:
        record["role"] = role or report["role"]
        record["group"] = group or report["group"]
        record["n_atoms"] = len(atoms)
        record["composition"] = {s: symbols.count(s) for s in sorted(set(symbols))}
        record["cell_angstrom"] = atoms.cell[:].tolist()
        record["structure"] = json.loads(json.dumps(dict(report), default=list))

    edit_record(target, change)
    set_energy(target, hartree)
    set_atoms(target, len(atoms))
    set_cell(target, atoms.cell.lengths())
    set_mesh(target, mesh)
    return target
