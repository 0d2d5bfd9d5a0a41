"""Levels: real projections against numbers read by hand, planted dots and traps, invariance, files of two runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units
from scipy.integrate import trapezoid

from qdip_struct.analysis.electrons.levels import (
    channels_of,
    density_of_states,
    gap_of,
    highest_occupied,
    lowest_empty,
    states_in_gap,
)
from qdip_struct.base.errors import MismatchError, UsageError
from qdip_struct.cp2k.outputs.pdos import ProjectedDos, read_pdos

REAL = Path(__file__).parents[1] / "data" / "cp2k_runs" / "uks_pdos"
NAMES = {"list 1": "dot", "list 2": "interface", "list 3": "matrix"}
ENERGIES = np.array([-4.0, -3.0, -1.0, 0.0, 0.4, 1.5, 2.0])
OCCUPATIONS = np.array([2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0])
MATCHED = np.array(
    [[0, 0, 1], [0.1, 0.1, 0.8], [0.8, 0.2, 0], [0.9, 0.1, 0], [0.85, 0.15, 0], [0.2, 0.1, 0.7], [0, 0, 1]], dtype=float
)
ROTATED = MATCHED.copy()
ROTATED[3], ROTATED[4], ROTATED[5] = [0.1, 0.9, 0], [0.2, 0.8, 0], [0.7, 0.2, 0.1]


def parts(weights, *, energies=ENERGIES, occupations=OCCUPATIONS, spin=None, fermi=0.0):
    return [
        ProjectedDos(
            Path(f"run-list{i + 1}-1.pdos"),
            f"list {i + 1}",
            5,
            spin,
            0,
            fermi,
            energies,
            occupations,
            ("s",),
            column[:, None],
        )
        for i, column in enumerate(weights.T)
    ]


def test_a_matched_dot_keeps_both_edges_in_the_core():
    channels = channels_of(parts(MATCHED), names=NAMES)
    homo, lumo = highest_occupied(channels), lowest_empty(channels)
    assert (homo.energy_ev, homo.home, homo.weights["dot"]) == (0.0, "dot", 0.9)
    assert (lumo.energy_ev, lumo.home) == (0.4, "dot")
    assert gap_of(channels) == pytest.approx(0.4)
    assert states_in_gap(channels, host="dot").states == ()


def test_a_rotated_dot_has_its_edges_on_the_interface_inside_the_gap():
    channels = channels_of(parts(ROTATED), names=NAMES)
    assert highest_occupied(channels).home == "interface"
    assert lowest_empty(channels).home == "interface"
    found = states_in_gap(channels, host="dot")
    assert (found.host_homo_ev, found.host_lumo_ev) == (-1.0, 1.5)
    assert [(state.energy_ev, state.occupation) for state in found.states] == [(0.0, 2.0), (0.4, 0.0)]
    assert all(state.weights["interface"] >= 0.8 for state in found.states)


def test_the_rule_follows_its_share():
    found = states_in_gap(channels_of(parts(MATCHED), names=NAMES), host="dot", share=0.86)
    assert found.reason is not None
    assert found.states == ()
    for bad in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(UsageError, match="share"):
            states_in_gap(channels_of(parts(MATCHED)), host="list 1", share=bad)
    with pytest.raises(UsageError, match="no group 'shell'"):
        states_in_gap(channels_of(parts(MATCHED)), host="shell")


@pytest.mark.parametrize("shift", [-7.3, 0.5, 12.0])
def test_a_shift_of_all_energies_changes_no_answer(shift):
    one = channels_of(parts(ROTATED), names=NAMES)
    other = channels_of(parts(ROTATED, energies=ENERGIES + shift, fermi=shift), names=NAMES)
    assert gap_of(one) == pytest.approx(gap_of(other))
    assert highest_occupied(one).weights == highest_occupied(other).weights
    assert len(states_in_gap(other, host="dot").states) == 2


def test_the_order_of_levels_and_files_does_not_matter():
    order = np.array([4, 0, 6, 2, 3, 5, 1])
    mixed = parts(ROTATED[order], energies=ENERGIES[order], occupations=OCCUPATIONS[order])[::-1]
    one, other = (channels_of(files, names=NAMES) for files in (parts(ROTATED), mixed))
    assert one[0].groups == other[0].groups == ("dot", "interface", "matrix")
    np.testing.assert_array_equal(one[0].weights, other[0].weights)
    assert states_in_gap(one, host="dot") == states_in_gap(other, host="dot")


def test_degenerate_edges_are_averaged():
    energies = ENERGIES.copy()
    energies[2] = -0.004
    homo = highest_occupied(channels_of(parts(MATCHED, energies=energies), names=NAMES))
    assert homo.n_levels == 2
    assert homo.weights["dot"] == pytest.approx(0.85)


def test_without_empty_levels_there_is_no_gap():
    channels = channels_of(parts(MATCHED[:4], energies=ENERGIES[:4], occupations=OCCUPATIONS[:4]), names=NAMES)
    assert lowest_empty(channels) is None
    assert gap_of(channels) is None
    assert "empty" in states_in_gap(channels, host="dot").reason


def test_a_real_spin_polarised_run_against_its_own_text():
    files = sorted(REAL.glob("*.pdos"))
    channels = channels_of([read_pdos(path) for path in files])
    rows = {}
    for spin in ("ALPHA", "BETA"):
        text = next(path for path in files if f"{spin}_k1" in path.name).read_text().splitlines()[2:]
        rows[spin] = [tuple(map(float, line.split()[1:3])) for line in text]
    occupied = [e for spin in rows.values() for e, f in spin if f == 1]
    empty = [e for spin in rows.values() for e, f in spin if f == 0]
    assert {channel.spin for channel in channels} == {"ALPHA", "BETA"}
    assert [channel.occupations.sum() for channel in channels] == [14, 13]
    assert set(channels[0].groups) == {"Cs", "Br", "Pb"}
    homo = highest_occupied(channels)
    assert homo.energy_ev == pytest.approx(max(occupied) * ase_units.Hartree)
    assert (homo.spin, homo.home) == ("ALPHA", "Pb")
    assert homo.energy_ev == pytest.approx(channels[0].fermi_ev)
    assert sum(homo.weights.values()) == pytest.approx(1.0, abs=1e-5)
    assert (gap_of(channels) is None) == (not empty)
    if empty:
        assert gap_of(channels) == pytest.approx((min(empty) - max(occupied)) * ase_units.Hartree)


def test_lists_come_before_kinds_and_late_steps_before_early_ones():
    kind = replace(parts(MATCHED)[0], group="Pb")
    early = [replace(part, fermi_ev=-9.0) for part in parts(MATCHED)]
    late = [replace(part, step=3) for part in parts(MATCHED)]
    found = channels_of([kind, *late, *early], names=NAMES)
    assert found[0].groups == ("dot", "interface", "matrix")
    assert found[0].fermi_ev == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energies_ev": ENERGIES + 0.01}, "level energies"),
        ({"occupations": OCCUPATIONS[::-1]}, "occupations"),
        ({"fermi_ev": 0.1}, "Fermi"),
        ({"step": 4}, "steps"),
        ({"energies_ev": ENERGIES[:5]}, "levels"),
    ],
)
def test_files_of_different_runs_are_refused_by_name(change, message):
    one, two, three = parts(MATCHED)
    with pytest.raises(MismatchError, match=message) as caught:
        channels_of([one, replace(two, **change), three])
    assert "list2" in str(caught.value)


def test_nothing_is_refused():
    with pytest.raises(UsageError):
        channels_of([])


def test_broadened_regions_add_up_to_the_number_of_levels():
    grid = np.linspace(-8, 6, 4001)
    found = density_of_states(channels_of(parts(MATCHED), names=NAMES), energies_ev=grid, sigma_ev=0.2)
    assert set(found) == {("", "dot"), ("", "interface"), ("", "matrix")}
    assert trapezoid(sum(found.values()), grid) == pytest.approx(7.0, rel=1e-6)
    assert trapezoid(found["", "dot"], grid) == pytest.approx(MATCHED[:, 0].sum(), rel=1e-6)
