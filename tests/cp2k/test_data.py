"""Names and valence electrons against CP2K's own files, and readers against small files of known content."""

import textwrap
from functools import cache
from pathlib import Path

import pytest
from ase.data import atomic_numbers

from qdip_struct.base.documents import yaml_document
from qdip_struct.base.errors import UsageError
from qdip_struct.base.files import shipped
from qdip_struct.cp2k.inputs.kinds import (
    KindDefault,
    KindSet,
    data_file,
    families_of,
    get_kind_set,
    list_kind_sets,
    potential_valence,
    read_basis_sets,
    read_potentials,
)
from qdip_struct.cp2k.inputs.presets import list_functionals
from qdip_struct.cp2k.inputs.sections import named_by
from qdip_struct.cp2k.program import Program
from qdip_struct.materials.ions import VALENCE_ELECTRONS

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


HEAD = """# What CP2K 2023.1 holds of the sets of kinds.yaml, for machines where its data files are not installed:
# set: family of potentials: basis set: element: valence electrons. The potential is named by kinds.yaml.
# Made from BASIS_MOLOPT, BASIS_MOLOPT_UCL, BASIS_MOLOPT_UZH, GTH_POTENTIALS and POTENTIAL_UZH of that version by
# table_text() of tests/cp2k/test_data.py, which also holds it against them; not written by hand.
"""


def table_text() -> str:
    """The shipped table made anew from the installed files."""
    families = sorted({family for row in read_functionals().values() for family in row})
    lines = [HEAD.rstrip()]
    for kinds in list_kind_sets():
        lines.append(f"{kinds.name}:")
        for family in families:
            by_basis: dict[str, list[str]] = {}
            members = kinds.members(family)
            for element in sorted(members, key=lambda name: atomic_numbers[name]):
                item = members[element]
                (pattern,) = [
                    name for name in kinds.bases if name.format(family=family, n=item.n_valence) == item.basis
                ]
                word = f'"{element}"' if element in ("N", "No", "Y") else element
                by_basis.setdefault(pattern, []).append(f"{word}:_{item.n_valence}")
            if by_basis:
                lines.append(f"  {family}:")
            for pattern in (name for name in kinds.bases if name in by_basis):
                body = textwrap.wrap(f"{{{', '.join(by_basis[pattern])}}}", 112)
                lines += [f'    "{pattern}":', *(f"      {line.replace('_', ' ')}" for line in body)]
    return "\n".join(lines) + "\n"


def read_functionals() -> dict[str, list[str]]:
    content: dict[str, list[str]] = yaml_document(shipped("cp2k_templates", "kinds.yaml"))["functionals"]
    return content


@pytest.mark.cp2k
def test_shipped_table_is_what_the_installed_files_hold(cp2k: Program) -> None:
    if data_file("POTENTIAL_UZH") is None or data_file("BASIS_MOLOPT") is None:
        pytest.skip("CP2K's data files are not installed")
    for kinds in list_kind_sets():
        for family in ("PBE", "BLYP", "PADE", "PBE0", "SCAN"):
            files = kinds.members(family)
            assert {e: files.get(e) for e in kinds.tabulated(family)} == kinds.tabulated(family)
    if cp2k.version == "2023.1":
        assert shipped("cp2k_templates", "kind_table.yaml").read_text() == table_text()


@cache
def header_lines(name: str) -> dict[str, list[list[str]]]:
    """Lines of a data file that begin with an element and a name, read without the package."""
    path = data_file(name)
    assert path is not None
    found: dict[str, list[list[str]]] = {}
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if len(words) > 1 and words[0].isalpha() and not words[1][0].isdigit():
            found.setdefault(words[0].capitalize(), []).append(words[1:])
    return found


@pytest.mark.cp2k
def test_every_element_with_the_usual_basis_has_its_potential_of_the_same_valence(cp2k: Program) -> None:
    path = data_file("BASIS_MOLOPT")
    if path is None:
        pytest.skip("CP2K's data files are not installed")
    words = [line.partition("#")[0].split() for line in path.read_text().splitlines()]
    lines = [line for line in words if "DZVP-MOLOPT-SR-GTH" in line]
    assert len(lines) > 70
    members = get_kind_set("dzvp").members()
    for element, *names in lines:
        (said,) = [int(name.rpartition("-q")[2]) for name in names if "-q" in name]
        chosen = members[element]
        assert (chosen.basis, chosen.n_valence) == ("DZVP-MOLOPT-SR-GTH", said)
        potentials = [held for held in header_lines("GTH_POTENTIALS")[element] if chosen.potential in held]
        assert [("GTH-PBE" in held, f"GTH-PBE-q{said}" in held) for held in potentials] == [(True, True)], element


@pytest.mark.cp2k
@pytest.mark.parametrize("kinds", list_kind_sets(), ids=lambda item: item.name)
def test_names_stand_in_the_installed_files_for_every_family(kinds: KindSet, cp2k: Program) -> None:
    if data_file(kinds.potential_file) is None:
        pytest.skip("CP2K's data files are not installed")
    for family in ("PBE", "BLYP", "PADE", "PBE0", "SCAN"):
        for element, chosen in kinds.members(family).items():
            held = [names for name in kinds.basis_files for names in header_lines(name).get(element, [])]
            valences = [name.rpartition("-q")[2] for names in held if chosen.basis in names for name in names]
            assert str(chosen.n_valence) in valences, (element, chosen)
            (potential,) = [n for n in header_lines(kinds.potential_file)[element] if chosen.potential in n]
            assert chosen.potential.endswith(f"{family}-q{chosen.n_valence}"), potential


def test_elements_are_known_without_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdip_struct.cp2k.inputs.kinds.find_data_directory", lambda: None)
    kinds = get_kind_set("dzvp")
    # Group number, and 10 less where the potential keeps no d shell: by hand for the elements of common crystals.
    valence = {"Ag": 11, "Bi": 5, "Ti": 12, "Al": 3, "In": 13, "P": 5, "As": 5, "O": 6, "Sb": 5, "Cu": 11, "Si": 4}
    for element, n in valence.items():
        assert kinds.of(element) == KindDefault(element, "DZVP-MOLOPT-SR-GTH", f"GTH-PBE-q{n}", n)
    assert kinds.of("Ag", "BLYP").potential == "GTH-BLYP-q11"
    with pytest.raises(UsageError, match="are not installed here"):
        kinds.of("Fr")


def test_ions_have_the_electrons_of_their_usual_potential() -> None:
    members = get_kind_set("dzvp").members()
    shared = set(members) & set(VALENCE_ELECTRONS)
    assert {"Pb", "S", "Cs", "Br", "I", "Ag", "Bi", "O"} <= shared
    assert {e: VALENCE_ELECTRONS[e] for e in shared} == {e: members[e].n_valence for e in shared}


def test_set_without_an_element_names_one_that_has_it() -> None:
    with pytest.raises(
        UsageError, match=r"'tzvp' .* for Na; use --basis dzvp, dzvp-uzh, tzvp-uzh, or name them with --kinds"
    ):
        get_kind_set("tzvp").of("Na")
    with pytest.raises(UsageError, match="unknown basis 'qzvp'"):
        get_kind_set("qzvp")


@pytest.mark.cp2k
def test_refusal_names_the_sets_that_exist(cp2k: Program) -> None:
    if data_file("BASIS_MOLOPT_UCL") is None:
        pytest.skip("CP2K's data files are not installed")
    with pytest.raises(UsageError, match=r"BASIS_MOLOPT_UCL: .*DZVP-MOLOPT-SR-GTH"):
        get_kind_set("dzvp").of("Ce")


@pytest.mark.parametrize(
    ("functional", "families"),
    [
        ("PBE", ("PBE",)),
        ("blyp", ("BLYP",)),
        ("B3LYP+HF(0.2)", ("B3LYP", "BLYP")),
        ("PBE+XWPBE+HF(0.25)", ("PBE",)),
        ("PBE0+HF(0.25)", ("PBE0", "PBE")),
        ("LYP+BECKE88", ("BLYP",)),
        ("LYP+OPTX", ("OLYP",)),
        ("GGA_X_PBE+GGA_C_PBE", ("PBE",)),
        ("GGA_X_UNHEARD_OF", ()),
    ],
)
def test_functional_has_its_potentials(functional: str, families: tuple[str, ...]) -> None:
    assert families_of(functional) == families


def test_every_shipped_functional_has_potentials_for_the_elements_of_the_papers() -> None:
    for functional in list_functionals():
        family = families_of(named_by(functional))[0]
        assert {"Pb", "S", "Cs", "Br", "I"} <= set(get_kind_set("dzvp").members(family))


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
    assert potential_valence("Pb", "GTH-PBE", file="GTH_POTENTIALS") == 4
    assert potential_valence("Pb", "GTH-OWN", file="GTH_POTENTIALS") is None
