"""Forces that do not sum to zero are seen, fixed atoms are not mistaken for noise, coarse cutoffs are foretold."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from qdip_struct.base.cp2k_input import parse_input
from qdip_struct.base.units import EV_PER_ANGSTROM_PER_ATOMIC_FORCE
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.grid_noise import (
    FORETOLD_EV_PER_ANGSTROM,
    LIMIT_EV_PER_ANGSTROM,
    lone_ion_noise,
    needed_cutoff,
    net_force,
    noise_doubt,
    noise_per_atom,
)
from qdip_struct.cp2k.inputs.kinds import get_kind_set
from qdip_struct.cp2k.inputs.preflight import Finding, check_input
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.cp2k.outputs.output import read_run

REFERENCE = Path(__file__).parents[2] / "workflows"


def printed_sum(output: Path) -> float:
    """The last resultant that CP2K itself prints, eV/Å."""
    found = re.findall(r"SUM OF ATOMIC FORCES(?: +\S+){3} +(\S+)", output.read_text())
    return float(found[-1]) * EV_PER_ANGSTROM_PER_ATOMIC_FORCE


def test_forces_of_a_closed_system_have_no_resultant() -> None:
    forces = np.random.default_rng(5).normal(size=(40, 3))
    assert net_force(forces - forces.mean(axis=0)) == pytest.approx(0.0, abs=1e-12)


def test_a_push_on_every_atom_is_found_whole() -> None:
    forces = np.random.default_rng(6).normal(size=(25, 3))
    forces -= forces.mean(axis=0)
    push = np.array([0.3, -0.4, 1.2])
    assert net_force(forces + push) == pytest.approx(25 * 1.3)
    assert noise_per_atom(net_force(forces + push), n_atoms=25) == pytest.approx(5 * 1.3)


def test_fixed_atoms_take_their_direction_out_of_the_sum() -> None:
    forces = np.random.default_rng(7).normal(size=(9, 3))
    forces[:3, 2] = 0.0
    assert net_force(forces) == pytest.approx(float(np.linalg.norm(forces[:, :2].sum(axis=0))))
    forces[4] = 0.0
    assert net_force(forces) == 0.0


def test_the_limit_is_per_atom() -> None:
    below, above = 0.99 * LIMIT_EV_PER_ANGSTROM, 1.01 * LIMIT_EV_PER_ANGSTROM
    assert noise_doubt(below * 10, n_atoms=100, cutoff_rydberg=300) is None
    text = noise_doubt(above * 10, n_atoms=100, cutoff_rydberg=300)
    assert text is not None
    assert "CUTOFF 300 Ry" in text
    unknown = noise_doubt(above * 10, n_atoms=100, cutoff_rydberg=None)
    assert unknown is not None
    assert "CUTOFF" not in unknown.partition("raise")[0]


def test_the_resultant_is_the_one_cp2k_prints() -> None:
    """Of all finished runs without atoms at rest by symmetry: soft potentials stay below the limit."""
    noise = {}
    for output in sorted(REFERENCE.glob("*/reference/**/run.out")):
        run = read_run(output)
        if run.forces is None or (run.forces == 0.0).any():
            continue
        assert run.net_force_ev_per_angstrom == pytest.approx(printed_sum(output), abs=1e-5)
        noise[output] = noise_per_atom(run.net_force_ev_per_angstrom, n_atoms=len(run.forces))
    assert len(noise) >= 5
    assert all(value < LIMIT_EV_PER_ANGSTROM for output, value in noise.items() if "NaI" not in output.parts)


def test_a_measured_table_is_positive_and_covers_the_elements_of_the_papers() -> None:
    table = lone_ion_noise()
    for pairs in table.values():
        cutoffs = [cutoff for cutoff, _ in pairs]
        assert cutoffs == sorted(set(cutoffs))
        assert min(cutoffs) <= 300 <= max(cutoffs)
        assert all(force >= 0 for _, force in pairs)
    kinds = get_kind_set("dzvp")
    for element in ("H", "C", "N", "Na", "S", "Zn", "Se", "Br", "Cd", "I", "Cs", "Pb"):
        assert (element, kinds.of(element).potential) in table


SMOOTH = ("FORCE_EVAL/DFT/XC/XC_GRID/XC_SMOOTH_RHO=NN10", "FORCE_EVAL/DFT/XC/XC_GRID/XC_DERIV=NN10_SMOOTH")


def grid_findings(atoms: Atoms, *, cutoff: float, settings: tuple[str, ...] = ()) -> list[Finding]:
    asked = (f"FORCE_EVAL/DFT/MGRID/CUTOFF={cutoff:g}", *settings)
    deck = make_deck(atoms, InputsRequest(preset="quick", set=asked))
    return [item for item in check_input(parse_input(deck.text), schema=None) if "is coarse for" in item.message]


def test_a_hard_element_is_warned_of_below_its_cutoff_and_a_soft_one_is_not() -> None:
    sulfide = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    needed = needed_cutoff("Zn", "GTH-PBE-q12")
    assert needed is not None
    (found,) = grid_findings(sulfide, cutoff=needed - 1)
    assert (found.level, "Zn (GTH-PBE-q12)" in found.message) == ("warning", True)
    assert found.line is not None
    assert found.remedy.startswith(f"use {needed:g} Ry in all runs")
    assert grid_findings(sulfide, cutoff=needed) == []
    assert grid_findings(bulk("PbS", "rocksalt", a=5.94, cubic=True), cutoff=300) == []


def test_sodium_needs_a_smoothed_density() -> None:
    salt = bulk("NaI", "rocksalt", a=6.47, cubic=True)
    for cutoff in (250, 500, 1200):
        (found,) = grid_findings(salt, cutoff=cutoff)
        said = re.search(r"at (\d+) Ry the grid alone pushes a lone ion with (\S+) eV/Å", found.message)
        assert said is not None
        assert float(said[2]) > FORETOLD_EV_PER_ANGSTROM
        assert dict(lone_ion_noise()["Na", "GTH-PBE-q9"])[float(said[1])] == pytest.approx(float(said[2]), rel=0.1)
    assert "XC_SMOOTH_RHO NN10" in found.remedy
    (at_a_measured_one,) = grid_findings(salt, cutoff=300)
    assert "at 300 Ry the grid alone" in at_a_measured_one.message
    smoothed = needed_cutoff("Na", "GTH-PBE-q9", smoothed=True)
    assert smoothed is not None
    assert grid_findings(salt, cutoff=smoothed, settings=SMOOTH) == []
    assert len(grid_findings(salt, cutoff=200, settings=SMOOTH)) == 1


def test_what_was_not_measured_is_not_judged() -> None:
    assert needed_cutoff("Na", "GTH-PBE-q1") is None
    salt = bulk("NaI", "rocksalt", a=6.47, cubic=True)
    assert grid_findings(salt, cutoff=200, settings=("FORCE_EVAL/DFT/XC/XC_GRID/XC_SMOOTH_RHO=NN4",)) == []
