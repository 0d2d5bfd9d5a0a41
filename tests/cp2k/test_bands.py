"""Band structures: a real file, its edges, what is cut or foreign; the section that asks CP2K for them."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from qdip_struct.analysis.electrons.levels import band_edges
from qdip_struct.base.cp2k_input import find_section, parse_input
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.cp2k.inputs.schema import shipped_schema
from qdip_struct.cp2k.inputs.sections import fill_prints, path_pieces
from qdip_struct.cp2k.outputs.pdos import read_bands

BULKS = Path(str(shipped("workflows"))) / "band_alignment" / "reference"
HEAD = "# Set 1: 2 special points, 2 k-points, 2 bands\n#  Special point 1  0.00000000  0.00000000  0.00000000  G\n"

LANGUAGE = shipped_schema("2023.1")


def point(number, spin, k, levels):
    rows = [f"       {i}  {e:.8f}  {f:.8f}" for i, (e, f) in enumerate(levels, start=1)]
    place = "     ".join(f"{x:.8f}" for x in k)
    return (
        "\n".join([f"#  Point {number}      Spin {spin}:     {place}       0.5", "#   Band    Energy [eV]", *rows])
        + "\n"
    )


def write(path, *points, head=HEAD):
    path.write_text(head + "".join(points))
    return path


def test_a_real_file_against_a_plain_reading_of_its_columns():
    path = BULKS / "substrate_bulk" / "run-bands.bs"
    rows = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    occupied = max(float(row[1]) for row in rows if float(row[2]) > 1)
    empty = min(float(row[1]) for row in rows if float(row[2]) < 1)
    bands = read_bands(path)
    edges = band_edges(bands)
    assert bands.energies_ev.size == len(rows)
    assert (edges.valence.energy_ev, edges.conduction.energy_ev) == (occupied, empty)
    assert edges.gap_ev == pytest.approx(edges.direct_gap_ev)
    assert edges.valence.name == edges.conduction.name == "R"
    assert (bands.occupations.sum(axis=1) == 34).all()


def test_lead_salt_and_perovskite_have_their_edges_in_the_corner():
    """Both gaps are at (½ ½ ½) of the cubic cell: L of rock salt folds there. PBE without spin-orbit coupling."""
    for name, low, high in (("film_bulk", 0.3, 0.6), ("substrate_bulk", 1.6, 2.0)):
        edges = band_edges(read_bands(BULKS / name / "run-bands.bs"))
        assert edges.valence.kpoint == edges.conduction.kpoint == (0.5, 0.5, 0.5)
        assert low < edges.gap_ev < high


def test_spins_and_indirect_gaps(tmp_path):
    gamma, corner = (0, 0, 0), (0.5, 0, 0)
    path = write(
        tmp_path / "run-bands.bs",
        point(1, 1, gamma, [(-1.0, 1), (2.0, 0)]),
        point(1, 2, gamma, [(-0.5, 1), (1.5, 0)]),
        point(2, 1, corner, [(-2.0, 1), (0.5, 0)]),
        point(2, 2, corner, [(-3.0, 1), (4.0, 0)]),
    )
    edges = band_edges(read_bands(path))
    assert (edges.valence.energy_ev, edges.valence.name) == (-0.5, "G")
    assert (edges.conduction.energy_ev, edges.conduction.name) == (0.5, None)
    assert edges.gap_ev == pytest.approx(1.0)
    assert edges.direct_gap_ev == pytest.approx(2.0)
    assert edges.n_kpoints == 2


def test_overlapping_bands_have_a_negative_gap(tmp_path):
    path = write(
        tmp_path / "x.bs", point(1, 1, (0, 0, 0), [(1.0, 2), (3.0, 0)]), point(2, 1, (0.5, 0, 0), [(-1.0, 2), (0.5, 0)])
    )
    assert band_edges(read_bands(path)).gap_ev == pytest.approx(-0.5)


def test_no_empty_band_is_no_gap(tmp_path):
    path = write(tmp_path / "x.bs", point(1, 1, (0, 0, 0), [(-1.0, 2), (0.0, 2)]))
    with pytest.raises(DataError, match="no empty bands"):
        band_edges(read_bands(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "SET: 1 TOTAL POINTS: 49\n", "no band structure"),
        (lambda text: "", "no band structure"),
        (lambda text: text[: len(text) - 40], "damaged|same bands"),
        (lambda text: text.replace("2.00000000\n", "*********\n", 1), "damaged"),
        (lambda text: text.replace("       2 ", "       5 ", 1), "damaged"),
        (lambda text: text[: text.index("#  Point 1")], "same bands"),
        (lambda text: text.replace("-20.0672", "nan", 1), "damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, message):
    path = tmp_path / "run-bands.bs"
    path.write_text(change((BULKS / "substrate_bulk" / "run-bands.bs").read_text()))
    with pytest.raises(DataError, match=message):
        read_bands(path)


def test_of_several_steps_the_last_counts(tmp_path):
    text = (BULKS / "substrate_bulk" / "run-bands.bs").read_text()
    path = tmp_path / "run-bands.bs"
    path.write_text(text.replace("1.11", "9.99") + text)
    assert (
        band_edges(read_bands(path)).gap_ev == band_edges(read_bands(BULKS / "substrate_bulk" / "run-bands.bs")).gap_ev
    )


def test_the_input_holds_the_lines_of_the_zone():
    tree = parse_input("&GLOBAL\n  PROJECT salt\n&END\n&FORCE_EVAL\n  &DFT\n  &END\n&END\n")
    decisions, _ = fill_prints(
        tree, ["bands"], atoms=bulk("PbS", "rocksalt", a=5.9), kpoints=True, language=shipped_schema("2023.1")
    )
    section = find_section(tree, "FORCE_EVAL/DFT/PRINT/BAND_STRUCTURE")
    assert section is not None
    assert section.keywords("FILE_NAME")[0].value == "salt-bands.bs"
    words = [
        keyword.value.split() for part in section.sections("KPOINT_SET") for keyword in part.keywords("SPECIAL_POINT")
    ]
    corner = {name: np.array(place, dtype=float) for name, *place in words}["L"]
    assert corner.tolist() == [0.5, 0.5, 0.5]
    assert "high-symmetry" in decisions[0].reason
    with pytest.raises(UsageError, match="k-points"):
        fill_prints(
            tree, ["bands"], atoms=bulk("PbS", "rocksalt", a=5.9), kpoints=False, language=shipped_schema("2023.1")
        )


def test_pieces_of_a_path():
    assert path_pieces("GXM1,RA") == [["G", "X", "M1"], ["R", "A"]]
