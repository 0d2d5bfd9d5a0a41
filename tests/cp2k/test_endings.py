"""What a run of each kind must end with to be done, on real small outputs; and lines that say what they seldom say."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units

from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.runs.collection import collect_one, find_runs, result_structure

DATA = Path(__file__).parents[1] / "data" / "cp2k_endings"
CASES = DATA / "cases"
ENDS = {
    "band_ar": ("BAND", "done"),
    "band_ar_max": ("BAND", "max_steps"),
    "bsse_h4": ("BSSE", "done"),
    "bsse_h4_failing": ("BSSE", "scf_unconverged"),
    "bsse_h4_killed": ("BSSE", "truncated"),
    "debug_h2": ("DEBUG", "done"),
    "energy_force_h2": ("ENERGY_FORCE", "done"),
    "linres_h2": ("LR", "done"),
    "md_ar": ("MD", "done"),
    "md_h2": ("MD", "done"),
    "md_h2_failing": ("MD", "scf_unconverged"),
    "md_h2_killed": ("MD", "truncated"),
    "none_ar": ("NONE", "done"),
    "pint_ar": ("PINT", "done"),
    "rtp_h2": ("RT_PROPAGATION", "done"),
    "tddfpt_h2": ("ENERGY", "done"),
    "tddfpt_h2_max": ("ENERGY", "incomplete"),
    "tmc_ar": ("TMC", "incomplete"),
    "vib_h2": ("VIBRATIONAL_ANALYSIS", "done"),
    "vib_h2_failing": ("VIBRATIONAL_ANALYSIS", "scf_unconverged"),
    "vib_h2_killed": ("VIBRATIONAL_ANALYSIS", "truncated"),
}
_HARTREE = ("sirius_gap", "sirius_nogap", "gapline", "freeenergy", "base", "uks_negative_gap")
CLOSING = {
    "bsse_h4": rb"BSSE-free interaction energy",
    "debug_h2": rb"DEBUG\|",
    "linres_h2": rb"ENDED LINRES CALCULATION",
    "md_ar": rb"MD\| Step number  +[56]\n",
    "md_h2": rb"MD\| Step number  +3\n",
    "pint_ar": rb"PINT step 2 of 2",
    "rtp_h2": rb"Real time propagation step:",
    "tddfpt_h2": rb"TDDFPT run converged",
    "vib_h2": rb"VIB\|Frequency",
    "energy_force_h2": rb"ENERGY\| Total FORCE_EVAL",
}
"""What such a run must have printed; without it, nothing tells that it did what it was for."""


@pytest.mark.parametrize("name", ENDS)
def test_every_kind_of_run_is_done_only_with_what_it_ends_with(name: str) -> None:
    run = read_run(DATA / name / "project.out")
    assert (run.run_type, run.status) == ENDS[name], run.reason
    assert run.reason or run.status == "done"


def test_every_folder_is_tried() -> None:
    assert {path.name for path in DATA.iterdir() if path.is_dir()} == {*ENDS, "cases", "vib_h2_2026"}


@pytest.mark.parametrize("name", CLOSING)
def test_without_its_closing_lines_a_run_is_not_done(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DATA / name, tmp_path / name))
    output = folder / "project.out"
    text, count = re.subn(CLOSING[name], b"#", output.read_bytes())
    assert count
    output.write_bytes(text)
    run = read_run(output)
    assert run.status == "incomplete"
    assert "CP2K came to its end, but" in run.reason


def test_steps_of_dynamics_that_were_asked_and_not_done(tmp_path: Path) -> None:
    text = (DATA / "md_h2" / "project.out").read_text()
    path = tmp_path / "md.out"
    path.write_text(re.sub(r"(Number of time steps +)3\n", r"\g<1>9\n", text))
    assert read_run(path).status == "incomplete"
    assert "3 of 9 steps" in read_run(path).reason
    # continued from step 100, the counter goes on and the number asked is that of this segment
    path.write_text(re.sub(r"(MD\| Step number  +)(\d)\n", r"\g<1>10\2\n", text))
    assert read_run(path).status == "done"


def test_failed_scfs_of_replicas_are_read_where_cp2k_wrote_them(tmp_path: Path) -> None:
    run = read_run(DATA / "vib_h2_failing" / "project.out")
    assert (run.scf_converged, run.n_scf_unconverged, run.cp2k_warnings_counted) == (False, 13, 13)
    assert any("SCF run NOT converged" in text and "13 times" in text for text in run.warnings)
    shutil.copy(DATA / "vib_h2_failing" / "project.out", tmp_path / "project.out")
    alone = read_run(tmp_path / "project.out")
    assert alone.status == "incomplete"
    assert "h2-r-*.out" in alone.reason


def test_replicas_of_an_earlier_run_are_not_taken_for_this_one(tmp_path: Path) -> None:
    for name in ("project.out", "h2-r-0.out"):
        shutil.copy(DATA / "vib_h2" / name, tmp_path)
    bad = (DATA / "vib_h2_failing" / "h2-r-0.out").read_bytes()
    (tmp_path / "h2-r-0.out").write_bytes(bad + (tmp_path / "h2-r-0.out").read_bytes())
    assert read_run(tmp_path / "project.out").status == "done"


def test_replicas_are_no_runs_of_their_own(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DATA / "vib_h2_failing", tmp_path / "vib"))
    assert find_runs(tmp_path) == [folder / "project.out"]
    assert collect_one(folder / "project.out").status == "scf_unconverged"
    shutil.copy(DATA / "vib_h2" / "h2-r-0.out", folder)
    assert collect_one(folder / "project.out").status == "incomplete"


@pytest.mark.parametrize(
    ("name", "hartree"),
    [("evunit", None), ("evunit_old", None), *((n, -1.16) for n in _HARTREE)],
)
def test_energies_in_every_unit_and_beside_other_lines(name: str, hartree: float | None) -> None:
    run = read_run(CASES / f"{name}.out")
    expected = -31.56520516 if hartree is None else hartree * ase_units.Hartree
    assert run.status == "done"
    assert run.energy_ev == pytest.approx(expected, rel=1e-15)
    assert run.last_printed_energy_ev == pytest.approx(expected, rel=1e-15)


def test_a_gap_is_that_of_all_kpoints_and_spins_or_none() -> None:
    assert read_run(CASES / "kpoints_low.out").gap_ev is None
    assert read_run(CASES / "uks_negative_gap.out").gap_ev == -0.058252
    for name in ("sirius_gap", "gapline", "freeenergy"):
        assert read_run(CASES / f"{name}.out").gap_ev == pytest.approx(0.1 * ase_units.Hartree, rel=1e-15)


def test_the_gradient_of_a_cell_is_no_force() -> None:
    without = read_run(CASES / "cellopt_without_forces.out")
    assert without.max_force_ev_per_angstrom is None
    assert without.criteria["max_gradient_ev_per_angstrom"].value is not None
    assert read_run(CASES / "cellopt_with_forces.out").max_force_ev_per_angstrom == 0


@pytest.mark.parametrize("name", ["two_ranks", "two_ranks_late"])
def test_two_processes_in_one_file_are_one_run_that_failed(name: str) -> None:
    run = read_run(CASES / f"{name}.out")
    assert (run.status, run.energy_ev, run.n_segments) == ("scf_unconverged", None, 1)


def test_warnings_that_cp2k_counted_and_that_stand_elsewhere() -> None:
    run = read_run(CASES / "warnings_elsewhere.out")
    assert run.cp2k_warnings_counted == 13
    assert run.warnings == ("CP2K counted 13 warnings in this run, of which 0 stand in its output",)


def test_forces_and_charges_to_every_printed_digit() -> None:
    run = read_run(DATA / "energy_force_h2" / "project.out")
    assert run.forces is not None
    printed = np.array([[0, 0, 0.02178393], [0, 0, -0.00431099]]) * ase_units.Hartree / ase_units.Bohr
    np.testing.assert_allclose(run.forces, printed, rtol=1e-14)
    np.testing.assert_array_equal(run.mulliken_charges, [-0.000194, 0.000194])
    np.testing.assert_array_equal(run.hirshfeld_charges, [0.084, 0.081])


@pytest.mark.parametrize(("name", "printed"), [("vib_h2", 4410.294603), ("vib_h2_2026", 4.4102946024e3)])
def test_frequencies_and_their_zero_point_energy(name: str, printed: float, tmp_path: Path) -> None:
    run = read_run(DATA / name / "project.out")
    assert run.frequencies_per_cm == (printed,)
    # h c / e = 1.2398419843e-4 eV cm (CODATA)
    assert run.zero_point_energy_ev == pytest.approx(0.5 * printed * 1.2398419843e-4, rel=1e-8)
    failing = read_run(DATA / "vib_h2_failing" / "project.out")
    assert (len(failing.frequencies_per_cm), failing.zero_point_energy_ev) == (1, None)
    path = tmp_path / "modes.out"
    text = (DATA / "vib_h2" / "project.out").read_text()
    path.write_text(re.sub(r"(VIB\|Frequency \(cm\^-1\)).*", r"\1  -120.500000   300.000000   500.250000", text))
    assert read_run(path).frequencies_per_cm == (-120.5, 300, 500.25)
    assert read_run(path).zero_point_energy_ev == pytest.approx(400.125 * 1.2398419843e-4, rel=1e-8)


def test_dynamics_are_those_of_the_energy_file(tmp_path: Path) -> None:
    """Mean and slope by numpy from the columns, the last cell by ASE from CP2K's own file."""
    folder = Path(shutil.copytree(DATA / "md_ar", tmp_path / "md_ar"))
    table = np.loadtxt(folder / "ar-1.ener")
    found = collect_one(folder / "project.out").dynamics
    assert found is not None
    assert (found.n_steps, found.time_fs) == (6, 3.0)
    assert found.last_temperature_kelvin == 100.077207135
    assert found.mean_temperature_kelvin == pytest.approx(table[:, 3].mean(), rel=1e-12)
    slope = np.polyfit(table[:, 1] / 1000, table[:, 5], 1)[0] * ase_units.Hartree / 4
    assert found.drift_ev_per_atom_per_ps == pytest.approx(slope, rel=1e-6)
    atoms = result_structure(folder / "project.out")
    np.testing.assert_array_equal(atoms.cell.array.ravel(), np.loadtxt(folder / "ar-1.cell")[-1, 2:11])


def test_pressure_and_gaps_of_both_spins() -> None:
    run = read_run(DATA / "energy_force_h2" / "project.out")
    text = (DATA / "energy_force_h2" / "project.out").read_text()
    third = re.search(r"STRESS\| 1/3 Trace +(\S+)", text)
    assert third is not None
    assert run.pressure_gpa == pytest.approx(float(third.group(1)), rel=1e-10)
    assert run.spin_gaps_ev == (13.056299, 13.056299)
    assert read_run(CASES / "uks_negative_gap.out").spin_gaps_ev == (2.5, -0.058252)
