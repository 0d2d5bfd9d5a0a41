"""Slabs: layers counted, faces described, formula units and dipoles from independent arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Occupation, conventional_cell
from qdip_struct.builders.atoms.store import structure_text
from qdip_struct.builders.slab.slab import build_slab
from qdip_struct.builders.slab.stoichiometry import ions_of
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_named


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layers=st.integers(1, 12), termination=st.sampled_from(["AX", "BX2"]), vacuum=st.floats(5, 60))
def test_perovskite_slabs_hold_what_their_layers_hold(layers, termination, vacuum):
    built = build_slab(get_crystal("CsPbBr3"), layers=layers, termination=termination, vacuum=vacuum)
    upper = (layers + 1) // 2
    ax, bx2 = (upper, layers - upper) if termination == "AX" else (layers - upper, upper)
    expected = {"Br": ax + 2 * bx2, "Cs": ax, "Pb": bx2}
    assert ions_of(built.slab) == {name: count for name, count in expected.items() if count}
    assert built.report["formal_charge"]["total"] == 0
    a = get_crystal("CsPbBr3").lengths[0]
    assert np.ptp(built.slab.positions[:, 2]) == pytest.approx((layers - 1) * a / 2, abs=1e-9)
    assert built.slab.cell.array[2] == pytest.approx([0, 0, (layers - 1) * a / 2 + vacuum])
    assert built.report["n_formula_units"] == bx2
    assert built.report["excess"] == ({} if ax == bx2 else {"Br": ax - bx2, "Cs": ax - bx2})
    assert built.report["symmetric"] == (layers % 2 == 1)
    assert built.report["dipolar"] is False


def test_both_terminations_and_the_reservoir_come_with_a_slab_that_is_not_stoichiometric():
    built = build_slab(get_crystal("CsPbBr3"), layers=5, termination="AX")
    assert list(built.cells()) == ["substrate", "substrate_bulk", "substrate_other", "reservoir"]
    other = built.others["substrate_other"]
    assert other.cell.array == pytest.approx(built.slab.cell.array)
    total = {name: n + ions_of(other)[name] for name, n in ions_of(built.slab).items()}
    assert total == {"Br": 15, "Cs": 5, "Pb": 5}
    assert list(build_slab(get_crystal("CsPbBr3"), layers=4).cells()) == ["substrate", "substrate_bulk"]
    for role, report in built.reports.items():
        assert report["role"] == role and report["group"] == built.report["group"]


def test_units_are_whole_periods_and_stoichiometric():
    built = build_slab(get_crystal("CsPbBr3"), units=3, faces="stoichiometric")
    assert built.report["n_formula_units"] == 3 and built.report["excess"] == {}


@pytest.mark.parametrize(("layers", "faces"), [(4, "symmetric"), (3, "stoichiometric")])
def test_faces_that_cannot_be_are_refused_with_a_remedy(layers, faces):
    with pytest.raises(UsageError, match="multiple of 2"):
        build_slab(get_crystal("CsPbBr3"), layers=layers, faces=faces)


def test_polar_planes_are_flagged_with_their_dipole():
    a = get_crystal("PbS").lengths[0]
    built = build_slab(get_crystal("PbS"), plane=(1, 1, 1), layers=4, termination="Pb")
    # Two Pb-S double layers: moment per area = 2 · q·d/A with q = 2, d = a/(2√3), A = √3/4 a².
    expected = 2 * 2 * (a / (2 * 3**0.5)) / (3**0.5 / 4 * a * a)
    assert built.report["polar"] and built.report["dipolar"]
    assert built.report["dipole_e_per_angstrom"] == pytest.approx(expected, abs=1e-6)
    assert built.report["face_top"] == "Pb" and built.report["face_bottom"] == "S"
    flat = build_slab(get_crystal("PbS"), plane=(1, 0, 0), layers=4)
    assert not flat.report["polar"] and not flat.report["dipolar"]


def test_the_bulk_reference_has_the_lateral_cell_and_composition():
    for name, plane in (("PbS", (1, 1, 0)), ("CsPbBr3", (1, 1, 1)), ("MAPbI3:tetragonal", (1, 1, 0))):
        built = build_slab(get_crystal(name), plane=plane, layers=4, repeat=(2, 1))
        assert built.bulk.cell.array[:2] == pytest.approx(built.slab.cell.array[:2], abs=1e-10)
        units = built.reports["substrate_bulk"]["n_formula_units"]
        crystal = get_crystal(name)
        volume = crystal.volume / crystal.n_formula_units
        assert built.bulk.cell.volume == pytest.approx(units * volume)


def test_molecules_stay_whole_in_every_slab():
    for layers in (1, 2, 3):
        for termination in ("AX", "BX2"):
            built = build_slab(
                get_crystal("MAPbI3:tetragonal"), plane=(1, 1, 0), layers=layers, termination=termination
            )
            ids = built.slab.get_array("molecule")
            counts = np.bincount(ids[ids >= 0]) if (ids >= 0).any() else np.array([8])
            assert set(counts) == {8}
            for number in set(ids[ids >= 0]):
                points = built.slab.positions[ids == number]
                assert np.linalg.norm(points - points.mean(axis=0), axis=1).max() < 2.2


def test_own_structures_are_cut_like_shipped_ones():
    crystal = get_crystal("CsPbBr3")
    own = conventional_cell(crystal)
    ours, theirs = build_slab(crystal, layers=5, termination="AX"), build_slab(own, layers=5, termination="AX")
    assert theirs.slab.positions == pytest.approx(ours.slab.positions, abs=1e-9)
    assert (theirs.slab.numbers == ours.slab.numbers).all()


def test_the_second_run_gives_the_same_bytes():
    def text():
        alloy = crystal_named("MAPbI2.5Br0.5")
        built = build_slab(alloy, layers=3, repeat=(2, 2), occupation=Occupation(orientation="random", seed=7))
        return structure_text(built.slab, format="extxyz")

    assert text() == text()


@pytest.mark.parametrize(
    ("options", "word"),
    [({"layers": 0}, "monolayers"), ({"layers": -3}, "monolayers"), ({"layers": 10**6}, "monolayers"),
     ({"vacuum": 0.0}, "vacuum"), ({"vacuum": float("nan")}, "vacuum"), ({"vacuum": -5}, "vacuum"),
     ({"termination": "PbO"}, "it has: AX, BX2"), ({"repeat": (0, 1)}, "repeat"), ({"faces": "both"}, "faces"),
     ({"layers": 3, "units": 2}, "not both"), ({"occupation": Occupation(a_site="Pb")}, "a_site")],
)  # fmt: skip
def test_nonsense_is_refused(options, word):
    with pytest.raises(UsageError, match=word):
        build_slab(get_crystal("CsPbBr3"), **options)
