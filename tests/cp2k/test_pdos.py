"""Projected densities of states: real files of CP2K, the Fermi level of the header, damaged files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units
from scipy.integrate import trapezoid

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.outputs.pdos import broadened, read_pdos

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
ALPHA = [RUNS / "uks_pdos" / f"uks_br_vacancy_ot2-ALPHA_k{kind}-1.pdos" for kind in (1, 2, 3)]
BETA = [RUNS / "uks_pdos" / f"uks_br_vacancy_ot2-BETA_k{kind}-1.pdos" for kind in (1, 2, 3)]


def test_a_real_file_is_read_to_the_last_digit() -> None:
    dos = read_pdos(ALPHA[0])
    first = ALPHA[0].read_text().splitlines()[2].split()
    assert (dos.group, dos.spin, dos.step, dos.channels) == ("Cs", "ALPHA", 0, ("s", "p", "d"))
    assert dos.energies_ev[0] == float(first[1]) * ase_units.Hartree
    np.testing.assert_array_equal(dos.weights[0], [float(word) for word in first[3:]])


def test_the_fermi_level_is_that_of_the_header() -> None:
    for path in (*ALPHA, *BETA):
        printed = float(path.read_text().split("E(Fermi) =")[1].split()[0])
        assert read_pdos(path).fermi_ev == printed * ase_units.Hartree


def test_spin_channels_count_their_electrons() -> None:
    assert read_pdos(ALPHA[0]).occupations.sum() == 14
    assert read_pdos(BETA[0]).occupations.sum() == 13
    assert read_pdos(BETA[0]).spin == "BETA"
    assert read_pdos(RUNS / "cubes" / "run-k1-1.pdos").spin is None


def test_the_kinds_share_each_level() -> None:
    total = sum(read_pdos(path).total for path in ALPHA)
    np.testing.assert_allclose(total, 1.0, atol=2e-6)


def test_components_and_lists_and_later_blocks(tmp_path: Path) -> None:
    path = tmp_path / "run-list2-1.pdos"
    block = (
        "# Projected DOS for list   2 of     12 atoms, at iteration step i = {step}, E(Fermi) = {fermi} a.u.\n"
        "#     MO Eigenvalue [a.u.]      Occupation          s         py         pz         px\n"
        "       1         -0.5            2.0        0.1        0.2        0.3        0.4\n"
    )
    path.write_text(block.format(step=0, fermi=-0.1) + block.format(step=7, fermi=-0.2))
    dos = read_pdos(path)
    assert (dos.group, dos.n_atoms, dos.step, dos.spin) == ("list 2", 12, 7, None)
    assert dos.fermi_ev == -0.2 * ase_units.Hartree
    assert dos.channels == ("s", "py", "pz", "px")
    assert dos.total == pytest.approx([1.0])


def test_broadening_keeps_the_weight_and_centres_on_the_level() -> None:
    dos = read_pdos(ALPHA[1])
    grid = np.linspace(dos.energies_ev.min() - 5, dos.energies_ev.max() + 5, 20001)
    density = broadened(dos, energies_ev=grid, sigma_ev=0.2)
    assert trapezoid(density, grid) == pytest.approx(dos.total.sum(), rel=1e-9)
    parts = sum(broadened(dos, energies_ev=grid, sigma_ev=0.2, channel=name) for name in dos.channels)
    np.testing.assert_allclose(parts, density, atol=1e-12)
    single = read_pdos(RUNS / "cubes" / "run-k1-1.pdos")
    near = np.linspace(single.energies_ev[0] - 1, single.energies_ev[0] + 1, 2001)
    assert near[broadened(single, energies_ev=near, sigma_ev=0.1).argmax()] == pytest.approx(single.energies_ev[0])


def test_bad_widths_and_channels_are_refused() -> None:
    dos = read_pdos(ALPHA[0])
    for width in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="greater than 0"):
            broadened(dos, energies_ev=np.zeros(1), sigma_ev=width)
    with pytest.raises(UsageError, match="holds s, p, d"):
        broadened(dos, energies_ev=np.zeros(1), sigma_ev=0.1, channel="f")


def test_damaged_files_are_refused_in_one_line(tmp_path: Path, refused: Callable[..., None]) -> None:
    text = ALPHA[0].read_text()
    path = tmp_path / "run-ALPHA_k1-1.pdos"
    starred = text.replace("0.99298607", "*********")
    refused(read_pdos, path, ("", "nonsense\n", text[:-30], starred, text.split("\n")[0] + "\n"))
