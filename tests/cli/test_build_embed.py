"""The commands about dots, as a user types them."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from qdip_struct.materials.structure_files import read_structure

EMBED = ("build", "embed", "--dot", "PbS", "--matrix", "CsPbI3", "--lattice", "6.325")


def test_the_example_of_the_contract(tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "dot.extxyz"
    code, content = qdip_json(*EMBED, "--diameter", "30", "--shape", "sphere", "--cells", "8,8,8", "-o", path)
    assert code == 0
    assert content["formal_charge"]["total"] == 0
    assert content["n_atoms"] == pytest.approx(2808, rel=0.15)
    assert content["min_distance_angstrom"] > 2.2
    sidecar = json.loads(path.with_suffix(".json").read_text())
    for key in (
        "n_atoms",
        "composition",
        "formal_charge",
        "electrons",
        "regions",
        "volume_fraction",
        "changes",
        "seed",
    ):
        assert sidecar[key] == content[key]
    assert sidecar["provenance"]["command"] == "build embed"
    assert sidecar["role"] == "embedded"
    atoms = read_structure(path)
    assert len(atoms) == content["n_atoms"]
    for name in ("region", "phase", "formal_charge", "molecule", "dot"):
        assert atoms.has(name)
    assert int(atoms.get_array("formal_charge").sum()) == 0


def test_same_command_same_bytes_and_no_overwriting(tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    one, two = tmp_path / "one.extxyz", tmp_path / "two.extxyz"
    for path in (one, two):
        assert qdip(*EMBED, "--diameter", "20", "--cells", "6,6,6", "-o", path)[0] == 0
    assert one.read_bytes() == two.read_bytes()
    assert qdip(*EMBED, "--diameter", "20", "--cells", "6,6,6", "-o", one)[0] == 0
    assert one.read_bytes() == two.read_bytes()
    code, out, err = qdip(*EMBED, "--diameter", "22", "--cells", "6,6,6", "-o", one)
    assert code == 2
    assert one.read_bytes() == two.read_bytes()
    assert out == ""
    assert "--force" in err


@pytest.mark.parametrize("name", ["dot.cif", "dot.vasp", "dot.xyz", "dot.inc"])
def test_other_formats(name: str, tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    assert qdip(*EMBED, "--diameter", "16", "--cells", "5,5,5", "-o", tmp_path / name)[0] == 0
    assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--diameter", "-3"), "above zero"),
        (("--diameter", "nan"), "above zero"),
        (("--diameter", "0"), "above zero"),
        (("--diameter", "70"), "make the dot smaller"),
        (("--cells", "8,8"), "three whole numbers"),
        (("--cells", "8.5,8,8"), "whole numbers"),
        (("--shape", "blob"), "unknown shape"),
        (("--rotate", "001"), "rotation"),
        (("--rotate", "(022)[11-1]||(2-24)[201]"), "does not lie in"),
        (("--array", "2,2"), "three whole numbers"),
        (("--array", "2,2,2", "--random", "3"), "one of"),
        (("--diameter", "20", "--atoms", "300"), "not both"),
        (("--shape", "wulff"), "surface energies"),
        (("--shape", "wulff", "--energies", "100=x"), "surface energy"),
        (("--shell", "CdZnS", "--shell-thickness", "-2"), "thick"),
        (("--colour", "blue"), "unrecognized"),
        (("--termination", "top"), "invalid choice"),
        (("--edges", "10,10,10"), "belongs to"),
        (("--energies", "100=3"), "belongs to"),
        (("--shape", "cuboid", "--edges", "10,10,10", "--diameter", "3"), "leave --diameter out"),
        (("--spacing", "5"), "random dots"),
        (("--seed", "-1"), "seed"),
        (("--seed", "1.5"), "seed"),
    ],
)
def test_nonsense_is_refused_in_one_line(words: tuple[str, ...], says: str, tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    code, out, err = qdip(*EMBED, *words, "-o", tmp_path / "x.extxyz")
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert says in err
    assert list(tmp_path.iterdir()) == []


def test_unknown_crystal_and_missing_file(tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    code, _, err = qdip("build", "embed", "--dot", "Foo", "--matrix", "CsPbI3", "-o", tmp_path / "x.extxyz")
    assert code == 2
    assert "Foo" in err
    code, _, err = qdip(
        "build", "embed", "--dot", tmp_path / "no.extxyz", "--matrix", "CsPbI3", "-o", tmp_path / "x.xyz"
    )
    assert code == 1
    assert "no such file" in err


def test_a_free_dot_goes_into_a_matrix(tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    free, whole = tmp_path / "free.extxyz", tmp_path / "whole.extxyz"
    code, dot = qdip_json(
        "build", "dot", "--material", "PbS", "--atoms", "200", "--surface", "metal-rich", "--ligand", "I", "-o", free
    )
    assert code == 0
    assert dot["formal_charge"]["total"] == 0
    assert dot["role"] == "dot"
    assert dot["electrons"] % 2 == 0
    code, content = qdip_json("build", "embed", "--dot", free, "--matrix", "CsPbI3", "--cells", "7,7,7", "-o", whole)
    assert code == 0
    assert content["formal_charge"]["total"] == 0
    assert content["regions"]["ligand"] > 0
    inside = read_structure(whole)
    assert np.count_nonzero(inside.get_array("dot") >= 0) == dot["n_atoms"]


@pytest.mark.parametrize("extra", [(), ("--overgrown", "4")])
def test_attach_and_bury(extra: tuple[str, ...], tmp_path: Path, qdip_json) -> None:  # type: ignore[no-untyped-def]
    code, content = qdip_json(
        "build", "attach", "--dot", "PbS", "--matrix", "CsPbBr3", "--cells", "5,5,2", "--shape", "cube",
        "--diameter", "17", *extra, "-o", tmp_path / "a.extxyz",
    )  # fmt: skip
    assert code == 0
    assert content["formal_charge"]["total"] == 0
    assert content["mode"] == ("buried" if extra else "attached")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("build", "attach", "--dot", "PbS"), "--matrix or by --slab"),
        (("build", "attach", "--dot", "PbS", "--matrix", "CsPbBr3", "--array", "2,2"), "--array is not used"),
        (
            ("build", "attach", "--dot", "PbS", "--matrix", "CsPbBr3", "--overgrown", "5", "--gap", "3"),
            "--gap is not used",
        ),
        (("build", "attach", "--dot", "PbS", "--matrix", "CsPbBr3", "--registry", "left"), "unknown registry"),
        (("build", "dot", "--material", "CsPbI3", "--shell", "CdS"), "is no shell on CsPbI3"),
        (("build", "dot", "--material", "PbS", "--ligand", "S"), "expected a halide"),
        (("build", "dot", "--material", "PbS", "--vacuum", "nan"), "vacuum"),
        (("build", "dot", "--material", "PbS", "--facets", "11=3"), "three indices"),
    ],
)
def test_other_nonsense(words: tuple[str, ...], says: str, tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    code, out, err = qdip(*words, "-o", tmp_path / "x.extxyz")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.cp2k
def test_cp2k_accepts_the_inputs(tmp_path: Path, qdip, cp2k) -> None:  # type: ignore[no-untyped-def]
    alone = {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    made = [tmp_path / name for name in ("coherent.extxyz", "rotated.extxyz", "shell.extxyz")]
    assert qdip(*EMBED, "--diameter", "30", "-o", made[0])[0] == 0
    assert qdip("build", "embed", "--dot", "PbS", "--matrix", "MAPbI3", "--cells", "5,5,4", "--diameter", "20",
                "--rotate", "111,30", "-o", made[1])[0] == 0  # fmt: skip
    assert qdip("build", "embed", "--dot", "CdSe", "--matrix", "MAPbBr3", "--cells", "7,7,7", "--diameter", "14",
                "--shell", "CdZnS", "--shell-thickness", "5", "-o", made[2])[0] == 0  # fmt: skip
    assert qdip("inputs", *made, "--preset", "ning2015", "--task", "energy", "-o", tmp_path / "runs")[0] == 0
    for path in made:
        folder = tmp_path / "runs" / path.stem
        done = subprocess.run(
            [str(cp2k.path), "--check", "run.inp"], cwd=folder, env={**os.environ, **alone}, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert "SUCCESS" in done.stdout, done.stdout[-500:]
