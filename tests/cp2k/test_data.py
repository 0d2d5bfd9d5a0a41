"""Names and valence electrons against CP2K's own files, and readers against small files of known content."""

from pathlib import Path

import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.kinds import (
    data_file,
    get_kind_set,
    list_kind_sets,
    potential_valence,
    read_basis_sets,
    read_potentials,
)
from qdip_struct.cp2k.program import Program

POTENTIALS = """# comment
Pb GTH-PBE-q4 GTH-PBE
    2    2
     0.61750000    1     4.67238428
#
S GTH-PBE-q6 GTH-PBE
    2    4
     0.42000000    1    -5.98626038
"""
BASIS = """H  DZVP-TEST DZVP-TEST-q1 # alias
 1
 2 0 1 3 2 1
   11.47  0.02 -0.08  0.01
    3.70  0.12 -0.37  0.11
    1.28  0.33 -0.84  0.37
Li TZV-TEST
 2
 1 0 0 1 1
   0.5 1.0
 2 1 1 1 2
   0.3 1.0 1.0
"""


def test_reads_names_electrons_and_shells(tmp_path: Path) -> None:
    (tmp_path / "pot").write_text(POTENTIALS)
    (tmp_path / "basis").write_text(BASIS)
    potentials = read_potentials(tmp_path / "pot")
    assert [p.n_valence for p in (*potentials["Pb"], *potentials["S"])] == [4, 6]
    assert potentials["Pb"][0].names == ("GTH-PBE-q4", "GTH-PBE")
    basis = read_basis_sets(tmp_path / "basis")
    assert basis["H"][0].names == ("DZVP-TEST", "DZVP-TEST-q1")
    assert (basis["H"][0].shells, basis["H"][0].n_functions) == ((2, 1), 5)
    assert (basis["Li"][0].shells, basis["Li"][0].n_functions) == ((1, 2), 7)


@pytest.mark.cp2k
@pytest.mark.parametrize("name", [item.name for item in list_kind_sets()])
def test_names_and_electrons_agree_with_the_installed_files(name: str, cp2k: Program) -> None:
    kinds = get_kind_set(name)
    files = [data_file(file) for file in kinds.basis_files]
    potential_file = data_file(kinds.potential_file)
    if potential_file is None or None in files:
        pytest.skip("CP2K's data files are not installed")
    potentials = read_potentials(potential_file)
    for element, default in kinds.elements.items():
        found = [
            b for file in files if file for b in read_basis_sets(file).get(element, ()) if default.basis in b.names
        ]
        assert len(found) == 1, (element, default.basis)
        valence = [p.n_valence for p in potentials[element] if default.potential in p.names]
        assert valence == [default.n_valence], element


def test_set_without_an_element_names_one_that_has_it() -> None:
    with pytest.raises(UsageError, match="for Na in 'tzvp'; use --basis dzvp or"):
        get_kind_set("tzvp").of("Na")
    with pytest.raises(UsageError, match="unknown basis 'qzvp'"):
        get_kind_set("qzvp")


@pytest.mark.cp2k
def test_every_installed_file_can_be_read(cp2k: Program) -> None:
    place = data_file("GTH_POTENTIALS")
    if place is None:
        pytest.skip("CP2K's data files are not installed")
    names = [p for p in place.parent.iterdir() if p.is_file() and "BASIS" in p.name]
    assert sum(len(read_basis_sets(p)) for p in names) > 500
    assert {"Pb", "S", "Cs", "Br", "I"} <= set(read_potentials(place.parent / "POTENTIAL_UZH"))


def test_valence_without_files_comes_from_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdip_struct.cp2k.inputs.kinds.find_data_directory", lambda: None)
    assert potential_valence("Pb", "GTH-PBE-q14", file="GTH_POTENTIALS") == 14
    assert potential_valence("Pb", "GTH-PBE", file="GTH_POTENTIALS") is None
