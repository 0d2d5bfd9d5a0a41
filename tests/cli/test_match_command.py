"""``qdip match`` and ``qdip planes``: published cells, files, refusals."""

import pytest

from qdip_struct.materials.datasets import get_crystal


def test_the_cells_of_lead_sulfide_on_cesium_lead_iodide(qdip_json):
    code, document = qdip_json(
        "match", "PbS", "100", "CsPbI3", "100", "--film-lattice", "5.936", "--substrate-lattice", "6.289"
    )
    assert code == 0
    first = document["matches"][0]
    assert first["film_area_angstrom2"] == pytest.approx(158.56, abs=0.01)
    assert first["area_angstrom2"] == pytest.approx(158.21, abs=0.01)
    assert first["strain_principal"] == pytest.approx([-0.0011, -0.0011], abs=1e-4)
    assert first["film_matrix"] == [[3, 0], [0, 3]] and first["substrate_matrix"] == [[2, 0], [0, 2]]
    assert document["film"]["source"] == "given: 5.936 Å"
    areas = [m["area_angstrom2"] for m in document["matches"]]
    assert areas == sorted(areas) and max(areas) <= 400.0


def test_the_tetragonal_phase_is_named_in_the_parent_cube(qdip_json):
    _, document = qdip_json("match", "PbS", "100", "MAPbI3:tetragonal", "110", "--substrate-lattice", "8.85,12.64")
    first = document["matches"][0]
    assert first["strain_principal"] == pytest.approx([0.0038, -0.0061], abs=1e-4)
    assert document["substrate"]["pseudocubic_plane"] == [0, 1, 0]
    lengths = [sum(x * x for x in row) for row in first["substrate_uvw_pseudocubic"]]
    assert lengths == pytest.approx([4.0, 4.0])
    assert document["substrate"]["lengths_angstrom"] == [8.85, 8.85, 12.64]


def test_swapping_with_symmetric_limits(qdip_json):
    _, there = qdip_json("match", "PbS", "100", "CsPbBr3", "100", "--symmetric")
    _, back = qdip_json("match", "CsPbBr3", "100", "PbS", "100", "--symmetric")
    assert len(there["matches"]) == len(back["matches"])
    one = sorted((round(m["area_angstrom2"], 4), round(m["film_area_angstrom2"], 4)) for m in there["matches"])
    other = sorted((round(m["film_area_angstrom2"], 4), round(m["area_angstrom2"], 4)) for m in back["matches"])
    assert one == other


def test_orientations(qdip, qdip_json):
    words = ("match", "PbS", "100", "CsPbI3", "100", "--orientations")
    _, document = qdip_json(*words)
    assert all(len(m["orientations"]) >= 1 for m in document["matches"])
    assert document["matches"][0]["orientations"][0]["twist_degree"] == pytest.approx(0.0, abs=1e-6)
    _, out, _ = qdip(*words)
    assert "twists" in out


def test_pareto_and_no_match(qdip, qdip_json):
    _, document = qdip_json("match", "PbS", "100", "CsPbI3", "100", "--max-area", "1600", "--pareto")
    strains = [m["strain_max"] for m in document["matches"]]
    assert strains == sorted(strains, reverse=True)
    code, out, _ = qdip("match", "PbS", "100", "CsPbI3", "100", "--max-area", "50", "--max-strain", "0.001")
    assert code == 0 and "no match" in out


def test_temperature_brings_both_lattices_together(qdip, qdip_json):
    _, _, err = qdip("match", "PbS", "100", "CsPbI3", "100")
    assert "warning: CsPbI3:cubic at 298 K is extrapolated" in err and "above 600 K" in err
    for words in ((), ("--temperature", "298")):
        _, document = qdip_json("match", "PbS", "100", "CsPbI3", "100", *words)
        assert document["substrate"]["lengths_angstrom"][0] == pytest.approx(6.289 * (1 - 40e-6 * 336))
        assert document["substrate"]["temperature_kelvin"] == document["film"]["temperature_kelvin"] == 298
        assert "brought to 298 K" in document["substrate"]["source"]
    _, document = qdip_json("match", "PbS", "100", "CsPbI3", "100", "--temperature", "634")
    assert document["substrate"]["lengths_angstrom"][0] == 6.289
    assert document["film"]["lengths_angstrom"][0] == pytest.approx(5.936 * (1 + 20.3e-6 * 336))


def test_a_structure_file_gives_the_same_cells(qdip_json, tmp_path):
    ase_build = pytest.importorskip("ase.build")
    path = tmp_path / "galena.cif"
    ase_build.bulk("PbS", "rocksalt", a=5.936, cubic=True).write(path)
    _, reference = qdip_json("match", "PbS", "100", "CsPbBr3", "100")
    _, document = qdip_json("match", path, "100", "CsPbBr3", "100")
    assert [m["area_angstrom2"] for m in document["matches"]] == [m["area_angstrom2"] for m in reference["matches"]]
    primitive = tmp_path / "primitive.vasp"
    ase_build.bulk("PbS", "rocksalt", a=5.936).write(primitive)
    _, document = qdip_json("match", primitive, "011", "CsPbBr3", "100")
    assert [m["strain_max"] for m in document["matches"]] == pytest.approx(
        [m["strain_max"] for m in reference["matches"]], abs=1e-6
    )


@pytest.mark.parametrize(
    "words, code",
    [
        (("PbS", "100", "CsPbI3"), 2),
        (("PbS", "10", "CsPbI3", "100"), 2),
        (("Foo", "100", "CsPbI3", "100"), 2),
        (("PbS", "100", "CsPbI3", "100", "--substrate-lattice", "6,7"), 2),
        (("PbS", "100", "CsPbI3", "100", "--film-lattice", "x"), 2),
        (("PbS", "100", "CsPbI3", "100", "--film-lattice", "inf"), 2),
        (("PbS", "100", "CsPbI3", "100", "--max-area", "-5"), 2),
        (("PbS", "100", "CsPbI3", "100", "--max-strain", "nan"), 2),
        (("PbS", "100", "CsPbI3", "100", "--max-area", "1e6"), 2),
        (("nofile.cif", "100", "PbS", "100"), 1),
    ],
)
def test_nonsense_is_refused_in_one_line(qdip, words, code):
    found, out, err = qdip("match", *words)
    assert found == code and out == ""
    assert err.splitlines()[-1].startswith("error: ") and "Traceback" not in err


def test_a_file_of_another_kind(qdip, tmp_path):
    path = tmp_path / "notes.cif"
    path.write_text("not a structure\n")
    code, _, err = qdip("match", path, "100", "PbS", "100")
    assert code == 1 and "as a structure" in err
    text = tmp_path / "README.md"
    text.write_text("# hello\n")
    assert qdip("match", text, "100", "PbS", "100")[0] == 1


def test_planes_answer_the_fringe_on_the_dot(qdip, qdip_json):
    code, out, _ = qdip("planes", "PbS", "MAPbBr3", "--spacing", "4.2")
    assert code == 0 and "none of this crystal" in out and "can be (110)" in out
    _, document = qdip_json("planes", "PbS", "MAPbBr3", "--spacing", "4.2")
    assert [c["reflections"][0]["allowed"] for c in document["crystals"]] == [False, True]


def test_planes_angles_and_zones(qdip, qdip_json):
    _, document = qdip_json("planes", "MAPbI3", "--plane", "224", "--plane", "(-2 2 4)")
    assert document["crystals"][0]["angles"][0]["angle_degree"] == pytest.approx(60.34, abs=0.01)
    code, _, err = qdip("planes", "MAPbI3", "--plane", "2-24", "--zone", "201")
    assert code == 2 and "[2 0 -1]" in err
    assert qdip("planes", "MAPbI3", "--plane", "2-24", "--zone", "[2 0 -1]")[0] == 0
    assert qdip("planes", "PbS", "--spacing", "0")[0] == 2


def test_powder_lines(qdip_json, qdip):
    _, document = qdip_json("planes", "PbS", "--powder")
    strongest = max(document["crystals"][0]["powder"], key=lambda line: line["intensity"])
    assert strongest["spacing_angstrom"] == pytest.approx(5.936 / 2, abs=1e-3)
    assert strongest["two_theta_degree"] == pytest.approx(30.1, abs=0.1)
    assert qdip("planes", "PbS", "--powder", "--wavelength", "-1")[0] == 2


def test_planes_list_every_reflection(qdip_json):
    _, document = qdip_json("planes", "PbS", "--d-min", "2.0")
    allowed = {tuple(r["plane"]) for r in document["crystals"][0]["reflections"] if r["allowed"]}
    assert allowed == {(1, 1, 1), (2, 0, 0), (2, 2, 0)}
    assert document["crystals"][0]["lengths_angstrom"] == list(get_crystal("PbS").lengths)
