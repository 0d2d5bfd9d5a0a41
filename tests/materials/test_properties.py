"""Property records: sources, user files, refusals."""

import pytest

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.elasticity import find_property, known_moduli, lattice_at, list_properties


@pytest.mark.parametrize("entry", list_properties(), ids=lambda p: f"{p.material}-{p.quantity}")
def test_every_record_has_a_source_and_numbers(entry):
    assert entry.source and entry.values and entry.origin == "properties.yaml"
    if entry.quantity == "thermal_expansion":
        assert 1e-6 < entry.values["alpha_per_kelvin"] < 1e-4
    if entry.quantity == "elastic":
        assert known_moduli(entry.material).bulk > 0


def test_a_user_file_comes_first(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "properties:\n"
        "  - {material: PbS, quantity: thermal_expansion, alpha_per_kelvin: 1.0e-5, source: notebook}\n"
        "  - {material: CdS, quantity: elastic, bulk_gpa: 62.0, poisson_ratio: 0.34, source: notebook}\n"
    )
    assert find_property("PbS", "thermal_expansion", files=(path,)).origin == "own.yaml"
    value, _ = lattice_at(get_crystal("PbS"), temperature=398.0, files=(path,))
    assert value == pytest.approx(5.936 * 1.001)
    moduli = known_moduli("CdS", files=(path,))
    assert moduli.poisson == pytest.approx(0.34) and moduli.assumption == ""
    assert known_moduli("CdS") is None


@pytest.mark.parametrize(
    "text, words",
    [
        ("properties: [{quantity: elastic, source: x, bulk_gpa: 1}]", "'material' is missing"),
        ("properties: [{material: PbS, quantity: elastic, source: x}]", "no value given"),
        ("properties: [{material: PbS, quantity: elastic, source: x, bulk_gpa: soft}]", "expected a number"),
        ("properties: [7]", "is not a mapping"),
    ],
)
def test_bad_files(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        list_properties(files=(path,))


def test_unstable_constants_in_a_user_file_are_refused(tmp_path):
    path = tmp_path / "soft.yaml"
    path.write_text(
        "properties: [{material: PbS, quantity: elastic, c11_gpa: 10, c12_gpa: 20, c44_gpa: 5, source: x}]\n"
    )
    with pytest.raises(UsageError, match="stable"):
        known_moduli("PbS", files=(path,))


def test_high_temperature_cells_come_to_room_temperature():
    value, spread = lattice_at(get_crystal("CsPbI3:cubic"), temperature=298.0)
    assert value == pytest.approx(6.289 * (1 - 40e-6 * 336))
    assert value == pytest.approx(6.205, abs=1e-3)
    assert spread > get_crystal("CsPbI3:cubic").uncertainty_angstrom
    assert lattice_at(get_crystal("CsPbI3:cubic"), temperature=634.0)[0] == 6.289
    assert lattice_at(get_crystal("CsPbI3:cubic"), temperature=None)[0] == 6.289


def test_temperature_is_refused_where_it_has_no_meaning():
    with pytest.raises(UsageError, match="has no temperature"):
        lattice_at(get_crystal("PbS", dataset="pbe_cp2k"), temperature=298.0)
    with pytest.raises(UsageError, match="no thermal expansion"):
        lattice_at(get_crystal("CsPbCl3"), temperature=600.0)
    for bad in (-1.0, float("nan"), 1e6):
        with pytest.raises(UsageError, match="0 to 2000 K"):
            lattice_at(get_crystal("PbS"), temperature=bad)


def test_every_property_has_a_source():
    assert find_property("PbS", "elastic").source
    assert find_property("PbS", "nothing") is None
