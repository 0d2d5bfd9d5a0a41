"""``qdip relax`` as a user meets it: what the files say, what goes on, what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import sha256
from qdip_struct.builders.atoms.store import sidecar_of, write_structure
from qdip_struct.cli.main import main
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.mlip import models


class Springs(Calculator):
    """Each atom on a spring (1 eV/Å²) to its place at the first call, moved up by 0.1 Å: the end is known."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if not hasattr(self, "anchors"):
            self.anchors = atoms.positions + np.array([0.0, 0.0, 0.1])
        away = atoms.positions - self.anchors
        self.results = {"energy": 0.5 * float((away**2).sum()), "forces": -away}


@pytest.fixture
def springs(monkeypatch):
    """The springs in the place of a model, with every call of the loader."""
    calls = []

    def load(name, **options):
        calls.append((name, options))
        model = models.find_model(name)
        return models.LoadedModel(Springs(), model, "springs 1", "springs.pth", "f00d", frozenset(range(1, 90)))

    monkeypatch.setattr(models, "load_model", load)
    return calls


@pytest.fixture(scope="module")
def slab(tmp_path_factory):
    """A slab of PbS on CsPbBr3 with its sidecar, as the builder writes them."""
    folder = tmp_path_factory.mktemp("slabs")
    assert main([
        "build", "interface", "--film", "PbS", "--film-layers", "3", "--substrate", "CsPbBr3", "--substrate-layers",
        "3", "--termination", "BX2", "--registry", "continuation", "--dataset", "pbe_cp2k", "-o", str(folder),
    ]) == 0  # fmt: skip
    return folder / "interface.extxyz"


def test_the_result_says_what_it_is_and_keeps_what_the_start_was(slab, springs, tmp_path, capsys):
    out = tmp_path / "pre" / "interface.extxyz"
    capsys.readouterr()
    assert main(["relax", str(slab), "--rattle", "0.02", "--seed", "5", "--json", "-o", str(out)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["energies_comparable_across_starts"] is False
    start, end = read_structure(slab), read_structure(out)
    before, after = json.loads(sidecar_of(slab).read_text()), json.loads(sidecar_of(out).read_text())
    for name in ("region", "phase", "formal_charge", "molecule"):
        assert np.array_equal(start.arrays[name], end.arrays[name])
    assert set(end.arrays) == set(start.arrays)
    assert end.info == start.info
    changed = {"structure", "structure_sha256", "provenance", "min_distance_angstrom", "cell_angstrom"}
    for key in set(before) - changed:
        assert after[key] == before[key]
    assert after["cell_angstrom"] == start.cell.array.tolist()
    assert after["structure_sha256"] == sha256(out.read_bytes())
    assert after["provenance"]["start"] == before["provenance"]
    said = after["relaxation"]
    assert said.items() <= document.items()
    assert said["model"] == "chgnet"
    assert said["model_version"] == "springs 1"
    assert said["weights_sha256"] == "f00d"
    assert (said["rattle_angstrom"], said["seed"], said["fmax_ev_per_angstrom"]) == (0.02, 5, 0.03)
    assert said["converged"] and said["max_force_ev_per_angstrom"] <= 0.03 and said["n_steps"] > 0
    assert said["start_file_sha256"] == sha256(slab.read_bytes())
    assert said["dot_start"] is None


def test_cp2k_inputs_of_a_relaxed_slab_get_its_role_and_group(slab, springs, tmp_path):
    names = ("film", "substrate", "interface")
    files = []
    for name in names:
        out = tmp_path / "pre" / f"{name}.extxyz"
        assert main(["relax", str(slab.with_name(f"{name}.extxyz")), "--rattle", "0", "-o", str(out)]) == 0
        files.append(str(out))
    assert main(["inputs", *files, "--preset", "quick", "--task", "geo_opt", "-o", str(tmp_path / "runs")]) == 0
    records = [json.loads((tmp_path / "runs" / name / "run.json").read_text()) for name in names]
    assert [record["role"] for record in records] == list(names)
    assert len({record["group"] for record in records}) == 1
    assert records[0]["group"] == json.loads(sidecar_of(slab).read_text())["group"]
    assert records[2]["structure"]["relaxation"]["model"] == "chgnet"


def test_frozen_regions_and_layers_stay(slab, springs, tmp_path):
    start = read_structure(slab)
    substrate = start.arrays["region"] == "substrate"
    out = tmp_path / "frozen.extxyz"
    assert main(["relax", str(slab), "--freeze", "substrate", "-o", str(out)]) == 0
    end = read_structure(out)
    assert np.array_equal(end.positions[substrate], start.positions[substrate])
    assert (end.positions[~substrate, 2] - start.positions[~substrate, 2]).mean() == pytest.approx(0.1, abs=0.03)
    assert json.loads(sidecar_of(out).read_text())["relaxation"]["n_frozen"] == substrate.sum()
    lowest = start.positions[:, 2] < start.positions[:, 2].min() + 0.5
    assert main(["relax", str(slab), "--fixed-layers", "1", "--force", "-o", str(out)]) == 0
    moved = np.linalg.norm(read_structure(out).positions - start.positions, axis=1) > 0
    assert np.array_equal(moved, ~lowest)


def test_too_few_steps_are_said_and_gone_on_from(slab, springs, tmp_path, capsys):
    out = tmp_path / "r.extxyz"
    command = ["relax", str(slab), "-o", str(out)]
    assert main([*command, "--max-steps", "2"]) == 3
    captured = capsys.readouterr()
    assert "did NOT reach" in captured.out
    assert "not finished" in captured.err
    assert json.loads(sidecar_of(out).read_text())["relaxation"]["converged"] is False
    assert out.with_name("r.extxyz.checkpoint.npz").exists()
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    captured = capsys.readouterr()
    assert "going on from" in captured.err
    assert "rank none" in captured.out
    assert not out.with_name("r.extxyz.checkpoint.npz").exists()


def test_the_start_of_a_dot_is_named(springs, tmp_path, capsys):
    box = tmp_path / "box.extxyz"
    atoms = Atoms("PbSCsI", positions=[(0, 0, 0), (3, 0, 0), (3, 3, 0), (0, 3, 3)], cell=[6, 6, 6], pbc=True)
    atoms.set_array("dot", np.array([0, 0, -1, -1]))
    report = {"lattice_angstrom": {"dot": 6.4, "matrix": 6.4}, "role": "embedded"}
    write_structure(box, atoms, provenance={}, report=report)
    cases = [
        ([], "coherent", [6.4, 6.4]),
        (["--dot-lattice", "6.0,6.4"], "own lattice", [6.0, 6.4]),
    ]
    for words, kind, lengths in cases:
        out = tmp_path / f"{kind[:3]}.extxyz"
        assert main(["relax", str(box), *words, "-o", str(out)]) == 0
        said = json.loads(sidecar_of(out).read_text())["relaxation"]
        assert (said["dot_start"], said["dot_start_lattice_angstrom"]) == (kind, lengths)
        assert f"dot {kind} ({lengths[0]:g} Å in {lengths[1]:g} Å)" in capsys.readouterr().out
    sidecar_of(box).unlink()
    out = tmp_path / "alone.extxyz"
    assert main(["relax", str(box), "--part", "dot", "-o", str(out)]) == 0
    said = json.loads(sidecar_of(out).read_text())
    assert said["relaxation"]["dot_start"] == "as built"
    assert said["relaxation"]["part"] == "dot"
    assert "role" not in said
    assert len(read_structure(out)) == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--model", "m3gnet"], 2, "unknown model 'm3gnet'; known: chgnet, sevennet, sevennet-l3i5, mace"),
        (["--model", "mace"], 2, "needs --weights FILE"),
        (["--model", "mace", "--weights", "none.model"], 1, "no such weights file"),
        (["--weights", "none.model"], 2, "comes with its weights"),
        (["--cell", "loose"], 2, "invalid choice"),
        (["--cell", "free"], 2, "close the vacuum"),
        (["--cell", "normal"], 2, "close the vacuum"),
        (["--smax", "nan"], 2, "smax must be"),
        (["--freeze", "dot"], 2, "no region 'dot'"),
        (["--freeze", "film,substrate"], 2, "nothing to relax"),
        (["--fixed-layers", "-1"], 2, "--fixed-layers"),
        (["--fixed-layers", "99"], 2, "--fixed-layers is between"),
        (["--seed", "-2"], 2, "seed must not"),
    ],
)
def test_mistakes_are_named_before_a_model_is_loaded(slab, springs, tmp_path, capsys, words, code, message):
    assert main(["relax", str(slab), *words, "-o", str(tmp_path / "r.extxyz")]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not springs
    assert not (tmp_path / "r.extxyz").exists()


def test_bulk_references_relax_along_their_normal_only(slab, springs, tmp_path, capsys):
    bulk = slab.with_name("substrate_bulk.extxyz")
    assert main(["relax", str(bulk), "--cell", "free", "-o", str(tmp_path / "r.extxyz")]) == 2
    assert "use --cell normal" in capsys.readouterr().err
    frozen = ["--cell", "normal", "--fixed-layers", "1"]
    assert main(["relax", str(bulk), *frozen, "-o", str(tmp_path / "r.extxyz")]) == 2
    assert "frozen atoms need --cell fixed" in capsys.readouterr().err
    assert not springs


def test_an_element_the_model_does_not_know_is_refused(slab, monkeypatch, tmp_path, capsys):
    known = models.LoadedModel(SimpleNamespace(), models.MODELS["chgnet"], "", None, None, frozenset({82}))
    monkeypatch.setattr(models, "load_model", lambda name, **_: known)
    assert main(["relax", str(slab), "-o", str(tmp_path / "r.extxyz")]) == 1
    assert "does not know S, Br, Cs" in capsys.readouterr().err
    with pytest.raises(UsageError):
        models.find_model("")
