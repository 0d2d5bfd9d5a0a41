"""The wordings of CP2K 2.5 … 2026: short texts in each version's manner, and runs that only other versions can make."""

from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units

from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.run import Run

HEADER = """\
 DBCSR| Multiplication driver                                               XSMM

  **** **** ******  **  PROGRAM STARTED AT               2020-01-01 23:59:58.500
 ***** ** ***  *** **   PROGRAM STARTED ON                                  node
 **    ****   ******    PROGRAM STARTED BY                                  user
 ***** **    ** ** **   PROGRAM PROCESS ID                                     7
  **** **  *******  **  PROGRAM STARTED IN                             /data/run

 CP2K| version string:                                   CP2K version {version}
 GLOBAL| Project name                                                     sample
 GLOBAL| Run type                                                   {run_type:>12}
"""
FOOTER = """
  **** **** ******  **  PROGRAM ENDED AT                 2020-01-02 00:00:01.750
 ***** ** ***  *** **   PROGRAM RAN ON                                      node
"""
SCF = " SCF WAVEFUNCTION OPTIMIZATION\n\n     1 OT DIIS     0.80E-01    0.1     0.00000001        -7.36 -7.36E+00\n\n"
GOOD = "  *** SCF run converged in     1 steps ***\n\n"
OLD_BAD = "  *** SCF run NOT converged ***\n\n"
NEW_BAD = " *** WARNING in qs_scf.F:602 :: SCF run NOT converged ***\n\n"
ENERGY = {
    "2.5": " ENERGY| Total FORCE_EVAL ( QS ) energy (a.u.):     {:24.15f}\n",
    "8.1": " ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:     {:24.15f}\n",
    "2025.1": " ENERGY| Total FORCE_EVAL ( QS ) energy [hartree]   {:24.15f}\n",
}
OLD_FORCES = """
 ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X              Y              Z
      1      1      Pb          0.00100000     0.00000000    -0.00200000
      2      2      S          -0.00100000     0.00000000     0.00200000
 SUM OF ATOMIC FORCES           0.00000000     0.00000000     0.00000000     0.00000000
"""
NEW_FORCES = """
 FORCES| Atomic forces [{unit}]
 FORCES|   Atom     x               y               z               |f|
 FORCES|      1  1.00000000E-03  0.00000000E+00 -2.00000000E-03  2.23606798E-03
 FORCES|      2 -1.00000000E-03  0.00000000E+00  2.00000000E-03  2.23606798E-03
 FORCES|    Sum  0.00000000E+00  0.00000000E+00  0.00000000E+00  0.00000000E+00
"""
FORCES = np.array([[1e-3, 0, -2e-3], [-1e-3, 0, 2e-3]])
OLD_STRESS = """
 STRESS TENSOR [GPa]

            X               Y               Z
  X       1.00000000      0.50000000      0.00000000
  Y       0.50000000      2.00000000      0.00000000
  Z       0.00000000      0.00000000      3.00000000
"""
NEW_STRESS = """
 STRESS| Analytical stress tensor [{unit}]
 STRESS|                        x                   y                   z
 STRESS|      x        {0:.11E}   {1:.11E}   0.00000000000E+00
 STRESS|      y        {1:.11E}   {2:.11E}   0.00000000000E+00
 STRESS|      z        0.00000000000E+00   0.00000000000E+00   {3:.11E}
 STRESS| 1/3 Trace                                             2.00000000000E+00
"""
STRESS = np.array([[1, 0.5, 0], [0.5, 2, 0], [0, 0, 3]])
OLD_STEP = """
 --------  Informations at step = {0:5d} ------------
  Optimization Method        =                 BFGS
  Convergence check :
  Max. gradient              =         0.0003036619
 ---------------------------------------------------
"""
NEW_STEP = """
 OPT| **************************************************************************
 OPT| Step number                                                   {0:10d}
 OPT| Maximum gradient                                              0.0003036619
 OPT| Convergence limit for maximum gradient                        0.0004500000
 OPT| Maximum gradient is converged                                          YES
"""
COMPLETED = " ***                    GEOMETRY OPTIMIZATION COMPLETED                      ***\n"
EXHAUSTED = " *** MAXIMUM NUMBER OF OPTIMIZATION STEPS REACHED ***\n"
BOX = """
 *******************************************************************************
 *   ___                                                                       *
 *  /   \\                                                                      *
 * [ABORT]                                                                     *
 *  \\___/     SCF run NOT converged. To continue the calculation regardless,   *
 *    |             please set the keyword IGNORE_CONVERGENCE_FAILURE.         *
 *  O/|                                                                        *
 * /| |                                                                        *
 * / \\                                                            qs_scf.F:702 *
 *******************************************************************************
"""


def read(tmp_path: Path, *parts: str, version: str = "8.1", run_type: str = "ENERGY", end: bool = True) -> Run:
    path = tmp_path / "sample.out"
    head = HEADER.format(version=version, run_type=run_type)
    path.write_text(head + "".join(parts) + (FOOTER if end else ""))
    return read_run(path)


@pytest.mark.parametrize("version", ENERGY)
@pytest.mark.parametrize("forces", [OLD_FORCES, NEW_FORCES.format(unit="hartree/bohr")])
def test_energy_and_forces_in_every_wording(version: str, forces: str, tmp_path: Path) -> None:
    run = read(tmp_path, SCF, GOOD, ENERGY[version].format(-78.123456789012345), forces, version=version)
    assert (run.status, run.cp2k_version, run.project) == ("done", version, "sample")
    assert run.energy_ev == -78.123456789012345 * ase_units.Hartree
    np.testing.assert_allclose(run.forces, FORCES * ase_units.Hartree / ase_units.Bohr, rtol=1e-14)
    assert run.wall_time_s == 3.25


def test_forces_in_another_unit_and_in_an_unknown_one(tmp_path: Path) -> None:
    energy = ENERGY["2025.1"].format(-1.5)
    np.testing.assert_allclose(
        read(tmp_path, SCF, GOOD, energy, NEW_FORCES.format(unit="eV/angstrom")).forces, FORCES, rtol=1e-14
    )
    assert read(tmp_path, SCF, GOOD, energy, NEW_FORCES.format(unit="furlong")).forces is None


@pytest.mark.parametrize(
    ("block", "unit"),
    [(OLD_STRESS, 1.0)]
    + [
        (NEW_STRESS.format(1 / f, 0.5 / f, 2 / f, 3 / f, unit=unit), 1.0)
        for unit, f in (("GPa", 1.0), ("bar", 1e-4), ("kbar", 0.1))
    ],
)
def test_stress_in_every_wording_and_unit(block: str, unit: float, tmp_path: Path) -> None:
    run = read(tmp_path, SCF, GOOD, ENERGY["8.1"].format(-1.0), block)
    np.testing.assert_allclose(run.stress_gpa, STRESS * unit, rtol=1e-12)


@pytest.mark.parametrize("bad", [OLD_BAD, NEW_BAD, "  Leaving inner SCF loop after reaching    25 steps.\n"])
@pytest.mark.parametrize("version", ENERGY)
def test_a_failed_scf_in_every_wording(bad: str, version: str, tmp_path: Path) -> None:
    run = read(tmp_path, SCF, bad, ENERGY[version].format(-7.0), version=version)
    assert run.status == "scf_unconverged"
    assert run.energy_ev is None
    assert run.last_printed_energy_ev == -7.0 * ase_units.Hartree


def test_the_outer_loop_has_the_last_word(tmp_path: Path) -> None:
    inner = "  Leaving inner SCF loop after reaching    25 steps.\n"
    good = "  outer SCF loop converged in   2 iterations or   50 steps\n"
    bad = "  outer SCF loop FAILED to converge after    2 iterations or   50 steps\n"
    energy = ENERGY["8.1"].format(-7.0)
    assert read(tmp_path, SCF, inner, good, energy).energy_ev == -7.0 * ase_units.Hartree
    assert read(tmp_path, SCF, GOOD, bad, energy).energy_ev is None


def test_an_scf_that_says_nothing_is_not_converged(tmp_path: Path) -> None:
    assert read(tmp_path, SCF, ENERGY["8.1"].format(-7.0)).energy_ev is None


def test_since_2024_a_failed_scf_aborts(tmp_path: Path) -> None:
    run = read(
        tmp_path, SCF, "  Leaving inner SCF loop after reaching    50 steps.\n", BOX, version="2025.1", end=False
    )
    assert run.status == "aborted"
    assert run.reason == (
        "SCF run NOT converged. To continue the calculation regardless, "
        "please set the keyword IGNORE_CONVERGENCE_FAILURE. (qs_scf.F:702)"
    )
    assert run.scf_converged is False
    assert run.energy_ev is None


@pytest.mark.parametrize("step", [OLD_STEP, NEW_STEP])
def test_optimisation_steps_in_both_wordings(step: str, tmp_path: Path) -> None:
    parts = []
    for index in range(3):
        parts += [SCF, GOOD, ENERGY["8.1"].format(-7.0 - index), step.format(index)]
    run = read(tmp_path, *parts, COMPLETED, SCF, GOOD, ENERGY["8.1"].format(-9.5), run_type="GEO_OPT")
    assert (run.status, run.geo_converged, run.n_geo_steps) == ("done", True, 2)
    assert [s.index for s in run.steps] == [0, 1, 2, None]
    assert run.energy_ev == -9.5 * ase_units.Hartree
    assert run.max_force_ev_per_angstrom == pytest.approx(0.0003036619 * ase_units.Hartree / ase_units.Bohr)
    assert run.max_force_measure == "component"
    assert run.criteria["max_gradient_ev_per_angstrom"].value == run.max_force_ev_per_angstrom


def test_an_inner_optimisation_that_completed_does_not_finish_the_outer_one(tmp_path: Path) -> None:
    energy = ENERGY["8.1"].format(-7.0)
    run = read(tmp_path, SCF, GOOD, energy, COMPLETED, SCF, GOOD, energy, EXHAUSTED, run_type="CELL_OPT")
    assert (run.status, run.geo_converged) == ("max_steps", False)
    run = read(tmp_path, SCF, GOOD, energy, EXHAUSTED, SCF, GOOD, energy, COMPLETED, run_type="CELL_OPT")
    assert (run.status, run.geo_converged) == ("done", True)


def test_an_optimisation_without_its_last_word_is_not_done(tmp_path: Path) -> None:
    run = read(tmp_path, SCF, GOOD, ENERGY["8.1"].format(-7.0), run_type="GEO_OPT")
    assert (run.status, run.geo_converged) == ("max_steps", False)


def test_a_completed_optimisation_whose_last_scf_failed_is_not_done(tmp_path: Path) -> None:
    run = read(
        tmp_path, SCF, GOOD, ENERGY["8.1"].format(-7.0), COMPLETED, SCF, NEW_BAD, ENERGY["8.1"].format(-6.0),
        run_type="GEO_OPT",
    )  # fmt: skip
    assert run.status == "scf_unconverged"
    assert run.geo_converged is False
    assert run.energy_ev == -7.0 * ase_units.Hartree


@pytest.mark.parametrize("flag", ["MD", "GEO", "BAND"])
def test_walltime_between_steps(flag: str, tmp_path: Path) -> None:
    stop = f"\n *** {flag} run terminated - exceeded requested execution time:    3600.000 seconds.\n"
    run = read(tmp_path, SCF, GOOD, ENERGY["8.1"].format(-7.0), stop, run_type="MD")
    assert run.status == "walltime"
    assert "3600.000 seconds" in run.reason
    assert run.energy_ev == -7.0 * ase_units.Hartree


def test_an_exit_file_stops_a_run_before_its_end(tmp_path: Path) -> None:
    stop = "\n *** SCF run terminated by external request ***\n\n"
    run = read(tmp_path, SCF, stop, ENERGY["8.1"].format(-7.0))
    assert (run.status, run.energy_ev) == ("walltime", None)
    assert "external request" in run.reason


def test_force_fields_have_no_scf_and_mixed_ones_need_every_part(tmp_path: Path) -> None:
    def energy(method: str, value: float) -> str:
        return ENERGY["2.5"].format(value).replace("( QS )", f"( {method} )")

    assert read(tmp_path, energy("FIST", 0.25)).energy_ev == 0.25 * ase_units.Hartree
    assert read(tmp_path, energy("FIST", 0.25)).scf_converged is None
    good = [SCF, GOOD, energy("QS", -1.0), SCF, GOOD, energy("QS", -2.0), energy("MIXED", -1.5)]
    assert read(tmp_path, *good).energy_ev == -1.5 * ase_units.Hartree
    bad = [SCF, OLD_BAD, energy("QS", -1.0), SCF, GOOD, energy("QS", -2.0), energy("MIXED", -1.5)]
    assert read(tmp_path, *bad).energy_ev is None
    assert read(tmp_path, *bad).status == "scf_unconverged"


def test_an_energy_in_an_unknown_unit_is_no_energy(tmp_path: Path) -> None:
    line = ENERGY["8.1"].format(-7.0).replace("[a.u.]", "[furlong]")
    run = read(tmp_path, SCF, GOOD, line)
    assert (run.energy_ev, run.status) == (None, "incomplete")


def test_a_fragment_without_header_or_end_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "fragment.out"
    path.write_text(SCF + GOOD + ENERGY["8.1"].format(-7.0))
    run = read_run(path)
    assert (run.status, run.energy_ev, run.cp2k_version) == ("truncated", -7.0 * ase_units.Hartree, None)
    path.write_text(ENERGY["8.1"].format(-7.0))
    run = read_run(path)
    assert (run.status, run.energy_ev) == ("truncated", None)
    assert run.last_printed_energy_ev == -7.0 * ase_units.Hartree


def test_old_error_messages(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        " *** 16:22:10 ERRORL2 in cp_fm_cholesky:cp_fm_cholesky_decompose processor 0 ***\n",
        " *** err=-300 condition FAILED at line 120 ***\n\n",
        " ===== Routine Calling Stack =====\n\n 1 CP2K\n",
        " CP2K| Abnormal program termination, stopped by process number 0\n",
        version="2.5",
        end=False,
    )
    assert run.status == "aborted"
    assert "cp_fm_cholesky_decompose" in run.reason


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2024-01-01T00:00:00 DUE TO TIME LIMIT ***", "truncated"),
        ("=>> PBS: job killed: walltime 3612 exceeded limit 3600", "truncated"),
        ("forrtl: severe (38): error during write, unit 6", "aborted"),
        ("Fortran runtime error: No space left on device", "aborted"),
        ("Program received signal SIGSEGV: Segmentation fault - invalid memory reference.", "aborted"),
    ],
)
def test_words_of_the_system_become_the_reason(line: str, status: str, tmp_path: Path) -> None:
    run = read(tmp_path, SCF, line + "\n", end=False)
    assert run.status == status
    assert run.reason.startswith(line.split("***")[0].strip()[:30])


@pytest.mark.parametrize(
    ("lines", "gap"),
    [
        (" HOMO - LUMO gap [eV] :    4.080010\n", 4.080010),
        (" MO| Band gap:            0.751438 a.u.         20.447681 eV\n", 20.447681),
        ("  HOMO-LUMO gap:   0.100000 =   2.721139 eV\n", 2.721139),
        ("  HOMO-LUMO gap in evGW0 iteration  2 (eV)                               17.8127\n", None),
    ],
)
def test_gaps_in_every_wording(lines: str, gap: float | None, tmp_path: Path) -> None:
    assert read(tmp_path, SCF, GOOD, lines, ENERGY["8.1"].format(-7.0)).gap_ev == gap
    assert read(tmp_path, SCF, OLD_BAD, lines, ENERGY["8.1"].format(-7.0)).gap_ev is None


def test_the_gap_of_two_spin_channels_is_the_smaller_one(tmp_path: Path) -> None:
    spin = " DFT| Spin unrestricted (spin-polarized) Kohn-Sham calculation               UKS\n"
    gaps = " HOMO - LUMO gap [eV] :    0.295853\n HOMO - LUMO gap [eV] :    3.998977\n"
    assert read(tmp_path, spin, SCF, GOOD, gaps, ENERGY["8.1"].format(-7.0)).gap_ev == 0.295853


def test_old_cells_with_three_decimals(tmp_path: Path) -> None:
    cell = "".join(
        f" CELL| Vector {axis} [angstrom]:  {row}    |{axis}| =      12.414\n"
        for axis, row in zip("abc", ("12.414 0.000 0.000", "0.000 12.414 0.000", "0.000 0.000 12.414"), strict=True)
    )
    run = read(tmp_path, cell, SCF, GOOD, ENERGY["2.5"].format(-7.0), version="2.6.2")
    np.testing.assert_allclose(run.cell, 12.414 * np.eye(3))


BOX_OF_ARGON = """
 CELL| Vector a [angstrom]:       9.500     0.000     0.000   |a| =     9.500000
 CELL| Vector b [angstrom]:       0.000    10.000     0.000   |b| =    10.000000
 CELL| Vector c [angstrom]:       0.000     0.000    10.500   |c| =    10.500000
"""
OLD_ENSEMBLE = " MD| Ensemble Type                                                     {:>9}\n"
NEW_ENSEMBLE = " MD_PAR| Ensemble type                                             {:>9}\n"
OLD_LENGTHS = " CELL LNTHS[bohr]             =    0.1785262E+02   0.1879223E+02   0.1973185E+02\n"
NEW_LENGTHS = """
 MD| Cell lengths [bohr]          1.78526220E+01  1.87922337E+01  1.97318454E+01
 MD| Cell lengths [ang]           9.44720068E+00  9.94442177E+00  1.04416429E+01
 MD| Average cell lengths [ang]   9.46014428E+00  9.95804661E+00  1.04559489E+01
"""
WORDINGS = [(OLD_ENSEMBLE, OLD_LENGTHS, "2.6.2"), (NEW_ENSEMBLE, NEW_LENGTHS, "2023.1")]


@pytest.mark.parametrize(("ensemble", "lengths", "version"), WORDINGS)
def test_a_box_that_breathes_is_the_last_printed_one(ensemble: str, lengths: str, version: str, tmp_path: Path) -> None:
    energy = ENERGY["8.1"].format(-7.0)
    head = (BOX_OF_ARGON, ensemble.format("NPT_I"), energy)
    run = read(tmp_path, *head, lengths, energy, lengths, version=version, run_type="MD")
    np.testing.assert_allclose(run.cell, np.diag([9.44720068, 9.94442177, 10.4416429]), rtol=1e-6)


@pytest.mark.parametrize("flexible", ["NPT_F", "NPE_F"])
@pytest.mark.parametrize(("ensemble", "lengths", "version"), WORDINGS)
def test_a_box_whose_angles_change_is_not_known_from_its_lengths(
    ensemble: str, lengths: str, version: str, flexible: str, tmp_path: Path
) -> None:
    """Real NPT_F runs keep printing three lengths; a cell made of them would have the angles of the start."""
    energy = ENERGY["8.1"].format(-7.0)
    head = (BOX_OF_ARGON, ensemble.format(flexible), energy)
    run = read(tmp_path, *head, lengths, energy, lengths, version=version, run_type="MD")
    assert run.cell is None


def test_dispersion_is_named_with_its_damping(tmp_path: Path) -> None:
    lines = (
        " vdW POTENTIAL|                                                   Pair Potential\n"
        " vdW POTENTIAL|          DFT-D3 (Version 3.1)\n"
        " vdW POTENTIAL|          Potential Form: S. Grimme et al, JCP 132: 154104 (2010)\n"
        " vdW POTENTIAL|          BJ Damping: S. Grimme et al, JCC 32: 1456 (2011)\n"
        " vdW POTENTIAL|          a1 Damping Factor:                               0.4289\n"
    )
    found = read(tmp_path, lines, SCF, GOOD, ENERGY["8.1"].format(-7.0))
    assert found.settings.dispersion == "DFT-D3 (Version 3.1), BJ Damping"


def test_functionals_with_exact_exchange_and_from_libxc(tmp_path: Path) -> None:
    hybrid = (
        " FUNCTIONAL| PBE:\n FUNCTIONAL| J.P.Perdew, K.Burke\n  HFX_INFO| FRACTION:                  0.2500000000\n"
    )
    assert read(tmp_path, hybrid, SCF, GOOD, ENERGY["8.1"].format(-7.0)).settings.functional == "PBE+HF(0.25)"
    libxc = (
        " FUNCTIONAL| GGA_X_PBE_SOL:\n FUNCTIONAL| Optional external parameters:\n"
        " FUNCTIONAL| {scale=1.000}\n FUNCTIONAL| GGA_C_PBE_SOL:\n"
    )
    found = read(tmp_path, libxc, SCF, GOOD, ENERGY["8.1"].format(-7.0)).settings
    assert found.functional == "GGA_X_PBE_SOL+GGA_C_PBE_SOL"


def test_spin_and_smearing(tmp_path: Path) -> None:
    lines = (
        " DFT| Spin restricted open Kohn-Sham calculation                            ROKS\n"
        "                        Smear method:                                FERMI_DIRAC\n"
        "                        Electronic temperature [K]:                        500.0\n"
    )
    found = read(tmp_path, lines, SCF, GOOD, ENERGY["8.1"].format(-7.0)).settings
    assert (found.spin, found.smearing) == ("ROKS", "FERMI_DIRAC 500.0 K")
