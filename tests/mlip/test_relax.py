"""Pre-relaxation: an interrupted run ends where the undisturbed one does, and never claims what it did not reach."""

import json
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from ase.build import bulk, fcc100
from ase.calculators.emt import EMT

from qdip_struct.analysis.strain.bonds import find_bonds
from qdip_struct.base.errors import DataError, ToolError, UsageError
from qdip_struct.materials.structure_files import read_structure
from qdip_struct.mlip.models import load_model
from qdip_struct.mlip.relax import relax
from qdip_struct.mlip.relax_request import RelaxRequest

SETTINGS = RelaxRequest(model="emt", fmax=0.02, rattle=0.08, seed=3, max_steps=400)


class InterruptError(Exception):
    """Stands for a signal in the middle of a run."""


def copper():
    return bulk("Cu", cubic=True).repeat(2)


def test_reaches_fmax_and_keeps_labels_and_start():
    start = copper()
    start.set_array("region", np.array(["dot"] * len(start)))
    before = start.positions.copy()
    done = relax(start, calculator=EMT(), request=SETTINGS)
    assert done.converged
    assert done.max_force_ev_per_angstrom <= 0.02
    assert (done.atoms.arrays["region"] == "dot").all()
    assert np.array_equal(start.positions, before)
    assert done.report()["converged"] is True
    json.dumps(done.report())


def test_too_few_steps_is_not_converged():
    short = RelaxRequest(model="emt", fmax=0.02, rattle=0.08, seed=3, max_steps=3)
    done = relax(copper(), calculator=EMT(), request=short)
    assert not done.converged
    assert done.n_steps == 3
    assert done.max_force_ev_per_angstrom > 0.02


@pytest.mark.parametrize("cell", ["fixed", "normal", "free"])
@pytest.mark.parametrize("stops", [[1], [5, 6, 20], [0, 1, 2, 3, 4]])
def test_interrupted_runs_go_on_to_the_same_structure(tmp_path, stops, cell):
    settings = RelaxRequest(model="emt", fmax=0.02, rattle=0.08, seed=3, max_steps=400, cell=cell)
    whole = relax(copper(), calculator=EMT(), request=settings)
    checkpoint = tmp_path / "state.npz"
    for stop in stops:

        def kill(step, force, energy, stop=stop):
            if step > stop:
                raise InterruptError

        with pytest.raises(InterruptError):
            relax(copper(), calculator=EMT(), request=settings, checkpoint=checkpoint, save_every_s=0.0, progress=kill)
    done = relax(copper(), calculator=EMT(), request=settings, checkpoint=checkpoint)
    assert done.n_steps == whole.n_steps
    assert done.atoms.positions == pytest.approx(whole.atoms.positions, abs=1e-9)
    assert done.atoms.cell.array == pytest.approx(whole.atoms.cell.array, abs=1e-9)


def test_a_run_killed_by_the_system_goes_on_to_the_same_structure(tmp_path):
    """SIGKILL, which no program sees coming, several times in one relaxation."""
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from ase.build import bulk
        from ase.calculators.emt import EMT
        from ase.io import write
        from qdip_struct.mlip.relax import relax
        from qdip_struct.mlip.relax_request import RelaxRequest

        slow = len(sys.argv) > 3
        settings = RelaxRequest(model="emt", fmax=0.002, rattle=0.1, seed=3, max_steps=400)
        done = relax(
            bulk("Cu", cubic=True).repeat(2), calculator=EMT(), request=settings, checkpoint=Path(sys.argv[1]),
            save_every_s=0.0, progress=lambda *_: time.sleep(0.05) if slow else None,
        )
        done.atoms.info["steps"] = done.n_steps
        write(sys.argv[2], done.atoms)
        """
    )
    checkpoint, result = tmp_path / "state.npz", tmp_path / "end.extxyz"
    command = [sys.executable, "-c", script, str(checkpoint), str(result)]
    seen = b""
    for _ in range(2):
        process = subprocess.Popen([*command, "slow"])
        while not (checkpoint.exists() and checkpoint.read_bytes() != seen) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not result.exists()
        seen = checkpoint.read_bytes()
    assert subprocess.run(command, check=False).returncode == 0
    whole = relax(
        copper(), calculator=EMT(), request=RelaxRequest(model="emt", fmax=0.002, rattle=0.1, seed=3, max_steps=400)
    )
    end = read_structure(result)
    assert end.info["steps"] == whole.n_steps > 10
    assert end.positions == pytest.approx(whole.atoms.positions, abs=1e-7)


def test_a_stricter_criterion_goes_on_and_other_choices_do_not(tmp_path):
    checkpoint = tmp_path / "state.npz"
    first = relax(copper(), calculator=EMT(), request=SETTINGS, checkpoint=checkpoint)
    stricter = RelaxRequest(model="emt", fmax=0.001, rattle=0.08, seed=3, max_steps=400)
    second = relax(copper(), calculator=EMT(), request=stricter, checkpoint=checkpoint)
    assert second.n_steps > first.n_steps
    assert second.max_force_ev_per_angstrom <= 0.001
    frozen = np.arange(32) < 4
    others = [
        (RelaxRequest(model="emt", rattle=0.08, seed=4), None),
        (RelaxRequest(model="emt", rattle=0.07, seed=3), None),
        (RelaxRequest(model="other", rattle=0.08, seed=3), None),
        (RelaxRequest(model="emt", rattle=0.08, seed=3, cell="free"), None),
        (SETTINGS, frozen),
    ]
    for settings, still in others:
        with pytest.raises(DataError, match="another start"):
            relax(copper(), calculator=EMT(), request=settings, frozen=still, checkpoint=checkpoint)
    with pytest.raises(DataError, match="another start"):
        relax(copper(), calculator=EMT(), request=SETTINGS, weights_sha256="0", checkpoint=checkpoint)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    checkpoint = tmp_path / "state.npz"
    relax(copper(), calculator=EMT(), request=SETTINGS, checkpoint=checkpoint)
    with np.load(checkpoint) as content:
        parts = dict(content)
    whole = checkpoint.read_bytes()
    for damage in (b"", b"not an archive", whole[:200]):
        checkpoint.write_bytes(damage)
        with pytest.raises(DataError, match="damaged"):
            relax(copper(), calculator=EMT(), request=SETTINGS, checkpoint=checkpoint)
    for change in ({"coordinates": parts["coordinates"] * np.nan}, {"velocities": np.zeros(5)}, {"dt": np.zeros(2)}):
        with checkpoint.open("wb") as stream:
            np.savez(stream, **{**parts, **change})
        with pytest.raises(DataError, match="damaged"):
            relax(copper(), calculator=EMT(), request=SETTINGS, checkpoint=checkpoint)


def test_a_model_that_returns_nonsense_is_stopped():
    class Broken(EMT):
        def get_forces(self, atoms=None):
            return np.full((len(atoms), 3), np.nan)

    with pytest.raises(ToolError, match="not a number"):
        relax(copper(), calculator=Broken(), request=SETTINGS)


def equilibrium(*, lateral=None):
    """EMT's own lattice constant of copper in Å from the lowest energy of a fine scan; tetragonal when a is given."""
    lengths = np.linspace(3.45, 3.75, 61)
    energies = []
    for c in lengths:
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell([lateral or c, lateral or c, c], scale_atoms=True)
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    near = slice(int(np.argmin(energies)) - 3, int(np.argmin(energies)) + 4)
    a, b, _ = np.polyfit(lengths[near], energies[near], 2)
    return -b / (2 * a)


def test_a_free_cell_ends_at_the_lattice_constant_of_the_model():
    start = bulk("Cu", cubic=True, a=3.75)
    settings = RelaxRequest(model="emt", fmax=0.01, rattle=0.0, cell="free", smax=0.02)
    done = relax(start, calculator=EMT(), request=settings)
    assert done.converged
    assert done.max_stress_gpa <= 0.02
    assert done.atoms.cell.lengths() == pytest.approx([equilibrium()] * 3, abs=2e-3)
    assert done.atoms.cell.angles() == pytest.approx([90] * 3, abs=1e-6)


def test_a_cell_free_along_the_normal_keeps_its_lateral_vectors():
    start = bulk("Cu", cubic=True, a=3.65)
    done = relax(start, calculator=EMT(), request=RelaxRequest(model="emt", fmax=0.01, rattle=0.0, cell="normal"))
    assert done.converged
    assert np.array_equal(done.atoms.cell.array[:2], start.cell.array[:2])
    assert done.atoms.cell.array[2] == pytest.approx([0, 0, equilibrium(lateral=3.65)], abs=3e-3)
    # Biaxial tension makes it shorter than the cubic crystal.
    assert done.atoms.cell.lengths()[2] < equilibrium()


def test_the_stress_counts_where_the_cell_is_free():
    """At its sites a strained crystal has no forces; only the stress says that it is not done."""
    strained = bulk("Cu", cubic=True, a=3.75)
    one = {"max_steps": 1, "rattle": 0.0}
    assert relax(strained, calculator=EMT(), request=RelaxRequest(model="emt", **one)).converged
    assert not relax(strained, calculator=EMT(), request=RelaxRequest(model="emt", cell="free", **one)).converged


def test_frozen_atoms_stay_and_the_others_move():
    slab = fcc100("Cu", (2, 2, 4), vacuum=6.0)
    frozen = slab.positions[:, 2] < slab.positions[:, 2].mean()
    done = relax(slab, calculator=EMT(), request=SETTINGS, frozen=frozen)
    assert done.converged
    assert done.n_frozen == 8
    assert np.array_equal(done.atoms.positions[frozen], slab.positions[frozen])
    assert (np.linalg.norm(done.atoms.positions - slab.positions, axis=1)[~frozen] > 1e-4).all()
    assert not done.atoms.constraints
    with pytest.raises(UsageError, match="need --cell fixed"):
        relax(copper(), calculator=EMT(), request=RelaxRequest(model="emt", cell="free"), frozen=np.arange(32) < 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fmax": float("nan")}, "fmax"),
        ({"rattle": -0.1}, "rattle"),
        ({"seed": -1}, "seed"),
        ({"max_steps": 0}, "max-steps"),
        ({"cell": "loose"}, "unknown cell"),
        ({"smax": 0.0}, "smax"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        relax(copper(), RelaxRequest(model="emt", **wrong), calculator=EMT())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "package", "lattice"), [("chgnet", "chgnet", 6.016), ("sevennet", "sevenn", 6.0105)])
def test_models_relax_a_rattled_crystal(name, package, lattice):
    pytest.importorskip(package, reason=f"{package} is not installed")
    start = bulk("PbS", "rocksalt", a=lattice, cubic=True)
    calculator = load_model(name, stress=True).calculator
    done = relax(start, calculator=calculator, request=RelaxRequest(model=name, seed=1))
    assert done.converged
    lengths = find_bonds(done.atoms).lengths
    assert len(lengths) == 24
    assert lengths.mean() == pytest.approx(lattice / 2, abs=0.02)
