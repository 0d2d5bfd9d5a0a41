"""Pre-relaxation: an interrupted run ends where the undisturbed one does, and never claims what it did not reach."""

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from qdip_struct.analysis.bonds import find_bonds
from qdip_struct.campaign.models import MODELS, load_model
from qdip_struct.campaign.relax import RelaxSettings, only_dots, relax, with_dot_lattice
from qdip_struct.errors import DataError, ToolError, UsageError

SETTINGS = RelaxSettings("emt", fmax_ev_per_angstrom=0.02, rattle_angstrom=0.08, seed=3, max_steps=400)


class InterruptError(Exception):
    """Stands for a signal in the middle of a run."""


def copper():
    return bulk("Cu", cubic=True).repeat(2)


def test_reaches_fmax_and_keeps_labels_and_start():
    start = copper()
    start.set_array("region", np.array(["dot"] * len(start)))
    before = start.positions.copy()
    done = relax(start, calculator=EMT(), settings=SETTINGS)
    assert done.converged
    assert done.max_force_ev_per_angstrom <= 0.02
    assert (done.atoms.arrays["region"] == "dot").all()
    assert np.array_equal(start.positions, before)
    assert done.report()["converged"] is True
    json.dumps(done.report())


def test_too_few_steps_is_not_converged():
    short = RelaxSettings("emt", fmax_ev_per_angstrom=0.02, rattle_angstrom=0.08, seed=3, max_steps=3)
    done = relax(copper(), calculator=EMT(), settings=short)
    assert not done.converged
    assert done.n_steps == 3
    assert done.max_force_ev_per_angstrom > 0.02


@pytest.mark.parametrize("stops", [[1], [5, 6, 20], [0, 1, 2, 3, 4]])
def test_killed_runs_go_on_to_the_same_structure(tmp_path, monkeypatch, stops):
    monkeypatch.setattr("qdip_struct.campaign.relax._SAVE_EVERY_SECONDS", -1.0)
    whole = relax(copper(), calculator=EMT(), settings=SETTINGS)
    checkpoint = tmp_path / "state.npz"
    for stop in stops:

        def kill(step, force, energy, stop=stop):
            if step > stop:
                raise InterruptError

        with pytest.raises(InterruptError):
            relax(copper(), calculator=EMT(), settings=SETTINGS, checkpoint=checkpoint, progress=kill)
    done = relax(copper(), calculator=EMT(), settings=SETTINGS, checkpoint=checkpoint)
    assert done.n_steps == whole.n_steps
    assert done.atoms.positions == pytest.approx(whole.atoms.positions, abs=1e-9)


def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path):
    checkpoint = tmp_path / "state.npz"
    relax(copper(), calculator=EMT(), settings=SETTINGS, checkpoint=checkpoint)
    other = RelaxSettings("emt", rattle_angstrom=0.08, seed=4)
    with pytest.raises(DataError, match="another start"):
        relax(copper(), calculator=EMT(), settings=other, checkpoint=checkpoint)
    for damage in (b"", b"not an archive", checkpoint.read_bytes()[:200]):
        checkpoint.write_bytes(damage)
        with pytest.raises(DataError, match="damaged"):
            relax(copper(), calculator=EMT(), settings=SETTINGS, checkpoint=checkpoint)


def test_a_model_that_returns_nonsense_is_stopped():
    class Broken(EMT):
        def get_forces(self, atoms=None):
            return np.full((len(atoms), 3), np.nan)

    with pytest.raises(ToolError, match="not a number"):
        relax(copper(), calculator=Broken(), settings=SETTINGS)


def test_dots_are_scaled_about_their_own_centres():
    atoms = copper()
    atoms.set_array("dot", np.array([0] * 8 + [1] * 8 + [-1] * 16))
    scaled = with_dot_lattice(atoms, own=5.9, built=6.4)
    for number in (0, 1):
        own = atoms.arrays["dot"] == number
        assert scaled.positions[own].mean(axis=0) == pytest.approx(atoms.positions[own].mean(axis=0))
        assert np.ptp(scaled.positions[own], axis=0) == pytest.approx(np.ptp(atoms.positions[own], axis=0) * 5.9 / 6.4)
    assert np.array_equal(scaled.positions[16:], atoms.positions[16:])
    assert len(only_dots(atoms)) == 16
    for function in (only_dots, lambda a: with_dot_lattice(a, own=5.9, built=6.4)):
        with pytest.raises(UsageError, match="array 'dot'"):
            function(copper())


def test_models_are_known_by_name():
    assert "chgnet" in MODELS
    with pytest.raises(UsageError, match="unknown model"):
        load_model("nothing")
    with pytest.raises(UsageError, match="threads"):
        load_model("chgnet", threads=0)


@pytest.mark.slow
def test_chgnet_relaxes_a_rattled_crystal():
    pytest.importorskip("chgnet", reason="CHGNet is not installed")
    start = bulk("PbS", "rocksalt", a=6.016, cubic=True)
    done = relax(start, calculator=load_model("chgnet"), settings=RelaxSettings("chgnet", seed=1))
    assert done.converged
    lengths = find_bonds(done.atoms).lengths
    assert len(lengths) == 24
    assert lengths.mean() == pytest.approx(6.016 / 2, abs=0.02)
