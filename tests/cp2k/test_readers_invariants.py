"""What a reader must not get wrong by a unit, a column or a line: small texts whose numbers are known beforehand."""

from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units

from qdip_struct.base.errors import DataError
from qdip_struct.cp2k.outputs.blocks import read_charges, read_stress
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.trajectory import read_cells, read_frames

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
STRESS = """\
 STRESS| Analytical stress tensor [{unit}]
 STRESS|                        x                   y                   z
 STRESS|      x        {value:.11E}   0.00000000000E+00   0.00000000000E+00
 STRESS|      y        0.00000000000E+00   {value:.11E}   0.00000000000E+00
 STRESS|      z        0.00000000000E+00   0.00000000000E+00   {value:.11E}
"""


@pytest.mark.parametrize(
    ("unit", "ase_unit"),
    [("GPa", ase_units.GPa), ("bar", ase_units.bar), ("kbar", 1e3 * ase_units.bar), ("Mbar", 1e6 * ase_units.bar),
     ("Pa", ase_units.Pascal), ("atm", 101325 * ase_units.Pascal)],
)  # fmt: skip
def test_one_unit_of_stress_is_what_it_is_elsewhere(unit: str, ase_unit: float, tmp_path: Path) -> None:
    path = tmp_path / "stress"
    path.write_text(STRESS.format(unit=unit, value=1.0))
    with path.open("rb") as stream:
        found = read_stress(stream, offset=0)
    assert found is not None
    np.testing.assert_allclose(found, np.eye(3) * ase_unit / ase_units.GPa, rtol=1e-9)


@pytest.mark.parametrize(
    ("head", "rows", "charges", "moments"),
    [
        ("Atomic population (alpha,beta) Net charge  Spin moment", "1.6 1.1 -0.25 0.5", -0.25, 0.5),
        ("Ref Charge     Population       Spin moment  Net charge", "5.0 1.6 1.1 0.5 -0.25", -0.25, 0.5),
        ("Atomic population  Net charge", "2.7 -0.25", -0.25, None),
        ("Ref Charge    Population                    Net charge", "5.0 5.25 -0.25", -0.25, None),
    ],
)
def test_charges_and_moments_come_from_their_own_columns(
    head: str, rows: str, charges: float, moments: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "charges"
    lines = [f" #  Atom  Element  Kind  {head}", *(f" {n} S 1  {rows}" for n in (1, 2)), " # Total", ""]
    path.write_text("\n".join(lines))
    with path.open("rb") as stream:
        found, spins = read_charges(stream, offset=0, n_atoms=2)
    assert found is not None
    assert found.tolist() == [charges] * 2
    assert (spins is None) if moments is None else (spins is not None and spins.tolist() == [moments] * 2)


def test_molecular_dynamics_counts_its_steps_from_the_start() -> None:
    assert read_run(RUNS / "md").steps.counter.tolist() == [0, 1, 2, 3]


def test_a_fault_in_a_later_frame_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "run-pos-1.xyz"
    lines = (RUNS / "md" / "run-pos-1.xyz").read_text().splitlines(keepends=True)
    for frame in range(1, 4):
        broken = list(lines)
        broken[4 * frame] = "many\n"
        path.write_text("".join(broken))
        with pytest.raises(DataError, match=f"line {4 * frame + 1}:"):
            list(read_frames(path))


def test_cells_are_row_vectors_by_step(tmp_path: Path) -> None:
    path = tmp_path / "run-1.cell"
    numbers = np.arange(1.0, 10.0)
    text = "#   Step   Time [fs]       Ax [Angstrom] ...\n"
    text += "".join(f" {n} {0.5 * n} " + " ".join(f"{x + n:.10f}" for x in numbers) + " 125.0\n" for n in (0, 7))
    path.write_text(text)
    found = read_cells(path)
    assert sorted(found) == [0, 7]
    np.testing.assert_allclose(found[7], (numbers + 7).reshape(3, 3))
