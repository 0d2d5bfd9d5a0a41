"""Formation energies against end members and the convex hull."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_energies import known_run

from qdip_struct.analysis.energies.comparability import EnergyRun
from qdip_struct.analysis.energies.formation import formation_energies, site_shares, units_by_sites
from qdip_struct.base.errors import MismatchError


def cell(composition: dict[str, int], energy: float, name: str = "") -> EnergyRun:
    path = name or "".join(f"{e}{n}" for e, n in composition.items())
    return known_run("substrate_bulk_free", energy, composition, path=path)


def halide(n_bromine: int, energy_per_unit: float, *, cells: int = 1, of: int = 3) -> EnergyRun:
    units = cells * of // 3
    counts = {"Cs": units, "Pb": units, "Br": n_bromine * cells, "I": (of - n_bromine) * cells}
    return cell({e: n for e, n in counts.items() if n}, energy_per_unit * units)


def test_regular_solution_is_recovered() -> None:
    """E(x) = (1−x)E_0 + xE_1 + Ωx(1−x): the formation energy is Ωx(1−x)."""
    omega, ends = -0.12, (-300.0, -310.0)
    fractions = [k / 6 for k in range(7)]
    runs = [halide(k, (1 - x) * ends[0] + x * ends[1] + omega * x * (1 - x), of=6) for k, x in enumerate(fractions)]
    found = formation_energies(runs)
    assert len(found) == 5
    for item in found:
        x = item.shares["CsPbBr3"]
        assert item.value == pytest.approx(1000 * omega * x * (1 - x), abs=1e-6)
        assert item.above_hull == pytest.approx(0.0, abs=1e-6)


def test_phase_separation_stands_above_the_hull() -> None:
    runs = [halide(0, -300.0), halide(3, -310.0), halide(1, -303.30), halide(2, -306.70)]
    found = {item.formula: item for item in formation_energies(runs)}
    assert found["CsPbBrI2"].value == pytest.approx(1000 * (-303.30 + 300 + 10 / 3), abs=1e-6)
    assert found["CsPbBrI2"].above_hull > 0
    assert found["CsPbBr2I"].above_hull == pytest.approx(0.0, abs=1e-6)


def test_size_of_the_cell_does_not_matter() -> None:
    small = formation_energies([halide(0, -300.0), halide(3, -310.0), halide(1, -303.4)])
    large = formation_energies([halide(0, -300.0, cells=8), halide(3, -310.0, cells=4), halide(1, -303.4, cells=2)])
    assert large[0].value == pytest.approx(small[0].value, abs=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.floats(-0.2, 0.2), min_size=5, max_size=5))
def test_hull_is_never_above_a_composition_and_touched_by_the_lowest(excess: list[float]) -> None:
    runs = [halide(0, -300.0, of=6), halide(6, -310.0, of=6)]
    runs += [halide(k, -300.0 - 10 * k / 6 + e, of=6) for k, e in enumerate(excess, start=1)]
    found = formation_energies(runs)
    assert all(item.above_hull >= 0 for item in found)
    assert [item.above_hull for item in found] == sorted(item.above_hull for item in found)
    lowest = min(found, key=lambda item: item.value)
    if lowest.value < 0:
        assert lowest.above_hull == pytest.approx(0.0, abs=1e-5)


def test_two_sites_mixed_at_once_have_four_end_members() -> None:
    corners = {(a, x): cell({a: 2, "Pb": 2, x: 6}, 2 * e) for a, x, e in (
        ("Cs", "Br", -310.0), ("Cs", "I", -300.0), ("Rb", "Br", -312.0), ("Rb", "I", -301.0))}  # fmt: skip
    mixed = cell({"Cs": 1, "Rb": 1, "Pb": 2, "Br": 3, "I": 3}, 2 * -305.9)
    (found,) = formation_energies([*corners.values(), mixed])
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert len(found.shares) == 2
    ways = [(-310.0 - 301.0) / 2, (-300.0 - 312.0) / 2]
    assert found.value / 1000 == pytest.approx(-305.9 - ways[0], abs=1e-6) or found.value / 1000 == pytest.approx(
        -305.9 - ways[1], abs=1e-6
    )
    assert found.above_hull / 1000 == pytest.approx(-305.9 - min(ways), abs=1e-6)


def test_components_of_another_lattice_are_no_end_members() -> None:
    assert (
        formation_energies([cell({"Cs": 1, "Br": 1}, -80.0), cell({"Pb": 1, "Br": 2}, -220.0), halide(3, -300.2)]) == []
    )


def test_molecules_and_rock_salt_count_by_sites() -> None:
    perovskite = {"C": 4, "N": 4, "H": 24, "Pb": 4, "I": 12}
    assert units_by_sites(perovskite) == pytest.approx(4.0)
    assert site_shares(perovskite) == site_shares({"Cs": 1, "Pb": 1, "Br": 3})
    assert units_by_sites({"Pb": 4, "S": 3, "Se": 1}) == pytest.approx(4.0)
    assert site_shares({"Xe": 2}) is None
    found = formation_energies(
        [cell({"Pb": 4, "S": 4}, -400.0), cell({"Pb": 4, "Se": 4}, -380.0), cell({"Pb": 4, "S": 2, "Se": 2}, -389.9)]
    )
    assert found[0].value == pytest.approx(1000 * 0.1 / 4, abs=1e-6)


def test_unfinished_runs_never_enter_and_others_are_refused() -> None:
    ends = [halide(0, -300.0), halide(3, -310.0)]
    assert formation_energies([*ends, replace(halide(1, -303.4), status="walltime")]) == []
    poor = replace(halide(3, -310.0), settings={"functional": "PBE", "kpoints": (4, 4, 2)})
    with pytest.raises(MismatchError, match="k-point density"):
        formation_energies([ends[0], poor, halide(1, -303.4)])
    coarse = replace(halide(1, -303.4), settings={"functional": "PBE", "kpoints": (2, 2, 2)})
    with pytest.raises(MismatchError, match="k-point density"):
        formation_energies([*ends, coarse])
    other = replace(halide(1, -303.4), settings={"functional": "PBESOL", "kpoints": (4, 4, 4)})
    assert formation_energies([*ends, other]) == []
    assert len(formation_energies([*ends, other, halide(2, -306.0)])) == 1
