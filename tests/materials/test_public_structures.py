"""Public structures that are not ours: read to the formula, atoms and density that their files state, or refused.

``tests/data/crystals/public_structures.yaml`` holds facts of files in public repositories (Crystallography Open
Database, American Mineralogist database, ICSD, test files of other programs): cell, setting, sites, occupancies, and
what the file states of itself. The files are not copied: each is written anew here from its facts, in the dialects of
the databases and programs that such files come from, and what is read is held against the stated formula, Z and
density. The facts were taken with gemmi 0.7.5 (https://gemmi.readthedocs.io), which shares no code with the reader
here; where a file states no Z, the number of atoms is gemmi's. What is refused was looked through by hand.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spglib
import yaml
from ase.data import atomic_masses, atomic_numbers
from ase.spacegroup import Spacegroup

from qdip_struct.base.errors import DataError
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.ions import oxidation_states
from qdip_struct.materials.structure_files import crystal_of

RECORDS: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "crystals" / "public_structures.yaml").read_text()
)
KEYS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
AXES = ("fract_x", "fract_y", "fract_z")
GRAM_PER_CM3 = 1.66053906660


def operations(hall: int, *, shift_first: bool = False) -> list[str]:
    """Operations of a setting as words: ``x+1/2, -y, z``, or ``1/2+x,-y,z``."""
    table = spglib.get_symmetry_from_database(hall)
    words = []
    for turn, shift in zip(table["rotations"], table["translations"], strict=True):
        parts = []
        for row, part in zip(turn, shift, strict=True):
            linear = "".join(f"{'-' if n < 0 else '+'}{axis}" for n, axis in zip(row, "xyz", strict=True) if n)
            twelfths = round(float(part) * 12) % 12
            share = {0: "", 2: "1/6", 3: "1/4", 4: "1/3", 6: "1/2", 8: "2/3", 9: "3/4", 10: "5/6"}[twelfths]
            parts.append(f"{share}{linear}" if shift_first and share else linear.lstrip("+") + (share and f"+{share}"))
        words.append(("," if shift_first else ", ").join(parts))
    return words


def loop(names: list[str], rows: list[list[str]]) -> str:
    return "\n".join(["loop_", *names, *("  ".join(row) for row in rows)]) + "\n"


def element(label: str, kind: str) -> str:
    """The element of a site: by its type symbol without charge, else by its label."""
    word = (label if kind == "-" else kind).rstrip("+-0123456789.")
    return next(name for name in (word[:2].title(), word[:1].upper()) if name in atomic_numbers)


class Facts:
    """One record and the pieces that dialects are made of."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.rows = [row.split() for row in record["sites"]]

    def cell(self, *, digits: str = "") -> str:
        return "".join(f"_cell_{key} {value}{digits}\n" for key, value in zip(KEYS, self.record["cell"], strict=True))

    def stated(self) -> str:
        """Formula, Z and density, as far as they are stated."""
        lines = [f"_chemical_formula_sum '{self.record['formula']}'"]
        for key, name in (("z", "_cell_formula_units_Z"), ("density", "_exptl_crystal_density_diffrn")):
            lines += [f"{name} {self.record[key]:g}"] if key in self.record else []
        return "\n".join(lines) + "\n"

    def group(self, name: str = "_symmetry_space_group_name_H-M") -> str:
        return f"{name} '{self.record['symbol']}'\n"

    def sites(self) -> str:
        """Labels and coordinates, with type symbols and occupancies where the file has any."""
        names, rows = ["_atom_site_label"], [[row[0]] for row in self.rows]
        if any(row[1] != "-" for row in self.rows):
            names.append("_atom_site_type_symbol")
            rows = [[*row, facts[1]] for row, facts in zip(rows, self.rows, strict=True)]
        if any(row[2] != "1" for row in self.rows):
            names.append("_atom_site_occupancy")
            rows = [[*row, facts[2]] for row, facts in zip(rows, self.rows, strict=True)]
        names += [f"_atom_site_{axis}" for axis in AXES]
        return loop(names, [[*row, *facts[3:]] for row, facts in zip(rows, self.rows, strict=True)])


def amcsd(facts: Facts) -> str:
    """Of the mineralogical database: every block 'global', and at times a second formula that is empty."""
    listed = [[f"'{word}'"] for word in operations(facts.record["hall"], shift_first=True)]
    return (
        "data_global\n_chemical_name_mineral 'Unnamed'\n_publ_section_title\n;\n Of the unit cell: data_ and loop_\n;\n"
        + facts.stated() + "_chemical_formula_sum ''\n" + facts.cell() + facts.group()
        + loop(["_space_group_symop_operation_xyz"], listed) + facts.sites()
    )  # fmt: skip


def cod(facts: Facts) -> str:
    hall = spglib.get_spacegroup_type(facts.record["hall"]).hall_symbol
    return (
        "#-----\n#$Date: 2016-02-13 $\n#-----\ndata_9000000\nloop_\n_publ_author_name\n'Müller, A.'\n\"O'Neill, B.\"\n"
        + facts.stated() + f"_symmetry_space_group_name_Hall '{hall}'\n".replace("'' ", "' ") + facts.group()
        + facts.cell(digits="(2)") + "_cod_database_code 9000000\n"
        + loop(["_symmetry_equiv_pos_as_xyz"], [[word.replace(" ", "")] for word in operations(facts.record["hall"])])
        + facts.sites()
    )  # fmt: skip


def icsd(facts: Facts) -> str:
    """With type symbols that carry charges, Wyckoff letters and hydrogen counts."""
    words = [[str(n), f"'{word}'"] for n, word in enumerate(operations(facts.record["hall"]), 1)]
    charged = [element(row[0], row[1]) + "0+" if row[1] == "-" else row[1] for row in facts.rows]
    names = [
        "label",
        "type_symbol",
        "symmetry_multiplicity",
        "Wyckoff_symbol",
        *AXES,
        "occupancy",
        "attached_hydrogens",
    ]
    rows = [[row[0], kind, "1", "a", *row[3:], row[2], "0"] for row, kind in zip(facts.rows, charged, strict=True)]
    return (
        "data_12345-ICSD\n_database_code_ICSD 12345\n" + facts.stated() + facts.cell(digits="(10)") + facts.group()
        + loop(["_symmetry_equiv_pos_site_id", "_symmetry_equiv_pos_as_xyz"], words)
        + loop(["_atom_type_symbol", "_atom_type_oxidation_number"], [[kind, "0"] for kind in sorted(set(charged))])
        + loop([f"_atom_site_{name}" for name in names], rows) + "#End of data_12345-ICSD\n"
    )  # fmt: skip


def vesta(facts: Facts) -> str:
    names = ["label", "occupancy", *AXES, "adp_type", "U_iso_or_equiv", "type_symbol"]
    rows = [
        [row[0], f"{float(row[2]):.1f}" if row[2] == "1" else row[2], *row[3:], "Uiso", "?", element(row[0], row[1])]
        for row in facts.rows
    ]
    return (
        "#=====\n# CRYSTAL DATA\n#-----\ndata_VESTA_phase_1\n\n_chemical_name_common ''\n" + facts.stated()
        + facts.cell() + facts.group("_space_group_name_H-M_alt")
        + loop(["_space_group_symop_operation_xyz"], [[f"   '{word}'"] for word in operations(facts.record["hall"])])
        + loop([f"   _atom_site_{name}" for name in names], rows)
    )  # fmt: skip


def shelx(facts: Facts) -> str:
    """With the refinement's own file in a text field, and a block of question marks before, in lines of Windows."""
    form = loop(["_atom_site_label", *(f"_atom_site_{axis}" for axis in AXES)], [["?", "?", "?", "?"]])
    inner = ";\ndata_inner\nloop_\n_atom_site_label\n_atom_site_fract_x\nC1 0.5\n_cell_length_a 1.0\n# 'REM\n;\n"
    words = [[f"'{word}'"] for word in operations(facts.record["hall"])]
    text = (
        "data_form\n" + form + "data_shelx\n" + facts.stated() + facts.cell() + facts.group("_space_group_name_H-M_alt")
        + "_shelx_res_file\n" + inner + loop(["_space_group_symop_operation_xyz"], words) + facts.sites()
    )  # fmt: skip
    return text.replace("\n", "\r\n")


def upper(facts: Facts) -> str:
    """Names of data in capitals, as CIF 1.1 allows."""
    return "\n".join(
        line.upper() if line.startswith(("_", "loop_", "data_")) and " " not in line.strip() else line
        for line in cod(facts).splitlines()
    )


def ddlm(facts: Facts) -> str:
    """Names of the second dictionary, with a dot behind the category."""
    text = amcsd(facts).replace("_symmetry_space_group_name_H-M", "_space_group.name_H-M_alt")
    return text.replace("_atom_site_", "_atom_site.").replace("_cell_", "_cell.").replace("symop_op", "symop.op")


def hall(facts: Facts) -> str:
    """The Hall symbol alone."""
    symbol = spglib.get_spacegroup_type(facts.record["hall"]).hall_symbol
    return "data_x\n" + facts.stated() + facts.cell() + f'_space_group_name_Hall "{symbol}"\n' + facts.sites()


def names(facts: Facts) -> str:
    """The Hermann-Mauguin symbol alone."""
    return "data_x\n" + facts.stated() + facts.cell() + facts.group() + facts.sites()


DIALECTS: dict[str, Callable[[Facts], str]] = {
    made.__name__: made for made in (amcsd, cod, icsd, vesta, shelx, upper, ddlm, hall, names)
}


def amounts_of(formula: str) -> Counter[str]:
    """Amounts in a formula such as ``O3 Pb Ti0.35 Zr0.65``; brackets of minerals are left out."""
    found: Counter[str] = Counter()
    for word in formula.replace("(", "").replace(")", "").split():
        name = word.rstrip("0123456789.")
        found[name] += float(word.removeprefix(name) or 1)  # type: ignore[assignment]
    return found


def held(found: Any) -> tuple[Counter[str], float]:
    """Amounts in the cell and its volume, Å³."""
    if not isinstance(found, Crystal):
        return Counter(found.get_chemical_symbols()), float(found.cell.volume)
    amounts: Counter[str] = Counter()
    for site in found.sites:
        amounts.update(found.occupancies.get(site.label) or {site.species: 1})  # type: ignore[arg-type]
    a, b, c, alpha, beta, gamma = (*found.lengths, *np.cos(np.radians(found.angles)))
    return amounts, a * b * c * float(np.sqrt(1 - alpha**2 - beta**2 - gamma**2 + 2 * alpha * beta * gamma))


def check(record: Mapping[str, Any], text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="")
    if "refused" in record:
        with pytest.raises(DataError, match=record["refused"]):
            crystal_of(str(path))
        return
    found = crystal_of(str(path))
    amounts, volume = held(found)
    stated = amounts_of(record["formula"])
    count = sum(amounts.values()) / sum(stated.values())
    assert set(amounts) == set(stated)
    assert {name: value / count for name, value in amounts.items()} == pytest.approx(dict(stated), abs=0.03)
    if "atoms" in record:
        assert sum(amounts.values()) == pytest.approx(record["atoms"], rel=0.01)
    if "density" in record:
        mass = sum(atomic_masses[atomic_numbers[name]] * value for name, value in amounts.items())
        assert mass / volume * GRAM_PER_CM3 == pytest.approx(record["density"], rel=0.03)
    if not isinstance(found, Crystal):
        symmetry = spglib.get_symmetry(
            (found.cell.array, found.get_scaled_positions(), found.numbers), symprec=0.05, angle_tolerance=2.0
        )
        listed = len(spglib.get_symmetry_from_database(record["hall"])["rotations"])
        assert symmetry is not None and len(symmetry["rotations"]) % listed == 0


def name_of(record: Mapping[str, Any]) -> str:
    return str(record["source"]).rsplit("/", 1)[1].removesuffix(".cif")


def test_there_are_sixty_and_many_kinds() -> None:
    read = [record for record in RECORDS if "refused" not in record]
    assert len(read) >= 60 and len({record["sha256"] for record in RECORDS}) == len(RECORDS)
    assert len({record["hall"] for record in RECORDS}) >= 45
    assert {record["dialect"] for record in RECORDS} == set(DIALECTS)


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
def test_a_public_structure_in_the_dialect_of_its_source(record: dict[str, Any], tmp_path: Path) -> None:
    check(record, DIALECTS[record["dialect"]](Facts(record)), tmp_path / "x.cif")


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "names"])
@pytest.mark.parametrize("record", RECORDS[::6], ids=name_of)
def test_every_dialect_gives_the_same(record: dict[str, Any], dialect: str, tmp_path: Path) -> None:
    check(record, DIALECTS[dialect](Facts(record)), tmp_path / "x.cif")


def test_a_symbol_alone_gives_the_same(tmp_path: Path) -> None:
    """Also those of before 1992, and of non-standard axes; of two origins the formula decides here."""
    for record in RECORDS:
        if "refused" not in record:
            check(record, names(Facts(record)), tmp_path / "x.cif")


@pytest.mark.parametrize("number", [39, 41, 64, 67, 68, 200, 203, 205, 221, 225, 227, 230])
def test_older_symbols_are_those_of_ase(number: int, tmp_path: Path) -> None:
    """Cmca, now Cmce; Fm3m, now Fm-3m: a general position expands as by ASE's tables, which have the older symbols."""
    group = Spacegroup(number, setting=2 if number in (68, 203, 227) else 1)
    symbol = {67: "C m m a"}.get(number, group.symbol.replace("-3", "3")) + (" :2" if number in (68, 203, 227) else "")
    edges = (19.1, 19.1, 19.1) if number >= 195 else (17.1, 18.3, 19.7)
    cell = "".join(f"_cell_{key} {value}\n" for key, value in zip(KEYS, (*edges, 90, 90, 90), strict=True))
    text = loop(["_atom_site_label", *(f"_atom_site_{axis}" for axis in AXES)], [["Pb", "0.13", "0.21", "0.345"]])
    path = tmp_path / "x.cif"
    path.write_text(f"data_x\n{cell}_symmetry_space_group_name_H-M '{symbol}'\n{text}")
    wanted = group.equivalent_sites([(0.13, 0.21, 0.345)])[0]
    found = crystal_of(str(path))
    assert not isinstance(found, Crystal) and len(found) == len(wanted)
    gaps = found.get_scaled_positions()[:, None] - wanted[None]
    assert np.abs(gaps - np.rint(gaps)).max(axis=2).min(axis=1).max() < 1e-6


def stated_charges(record: Mapping[str, Any]) -> dict[str, int]:
    """Charges in the type symbols of a record (``Pb2+``), empty where one has none or mixes them."""
    found: dict[str, int] = {}
    for row in record["sites"]:
        symbol = re.fullmatch(r"([A-Z][a-z]?)(\d*)([+-])", row.split()[1])
        if symbol is None:
            return {}
        charge = int(f"{symbol[3]}{symbol[2] or 1}")
        if found.setdefault(symbol[1], charge) != charge:
            return {}
    return found


CHARGED = [record for record in RECORDS if stated_charges(record) and "." not in record["formula"]]


@pytest.mark.parametrize("record", CHARGED, ids=name_of)
def test_oxidation_states_are_those_of_the_file_or_are_refused(record: dict[str, Any]) -> None:
    """Pyrite and TeI have bonds between their anions, and no whole states of single ions."""
    counts = {name: round(value) for name, value in amounts_of(record["formula"]).items()}
    if name_of(record) in ("FeS2-Pyrite", "icsd_TeI"):
        with pytest.raises(DataError, match="cannot be balanced"):
            oxidation_states(counts)
    else:
        assert oxidation_states(counts) == stated_charges(record)


def test_many_files_state_charges() -> None:
    assert len(CHARGED) >= 9


POSCARS: dict[str, tuple[str, list[list[float]], list[list[float]]]] = {
    "Cs2AgBiBr6, WMD-group/hybrid-perovskites 2016_doubleperovkites_PBEsol": (
        "Cs2 Ag Bi Br6",
        [[8.0, 0.0, 0.0], [4.0, 6.9282, 0.0], [4.0, 2.3094, 6.532]],
        [[0.75, 0.75, 0.75], [0.25, 0.25, 0.25], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]
        + [[x, y, z] for x, y, z in ((0.25, 0.25, 0.75), (0.75, 0.75, 0.25), (0.25, 0.75, 0.75), (0.75, 0.25, 0.25),
                                     (0.25, 0.75, 0.25), (0.75, 0.25, 0.75))],
    ),
    "CsSnI3, WMD-group/hybrid-perovskites 2015_cssni3_phonons_PBEsol": (
        "Cs Sn I3", [[6.1, 0.0, 0.0], [0.0, 6.1, 0.0], [0.0, 0.0, 6.1]],
        [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5]],
    ),
    "SnS2, WMD-group/Crystal_structures SnSx_PBEsol_2017": (
        "Sn S2", [[3.65, 0.0, 0.0], [-1.825, 3.161, 0.0], [0.0, 0.0, 5.9]],
        [[0.0, 0.0, 0.0], [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]],
    ),
    "ZnO, phonopy/phonopy example/ZnO": (
        "Zn2 O2", [[3.2, 0.0, 0.0], [-1.6, 2.7713, 0.0], [0.0, 0.0, 5.2]],
        [[1 / 3, 2 / 3, 0.0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.38], [2 / 3, 1 / 3, 0.88]],
    ),
}  # fmt: skip
"""Kinds of structure of public POSCARs, with rounded numbers, to be written in every form of the format."""


@pytest.mark.parametrize(
    "form",
    ["direct", "vasp 4", "cartesian", "volume", "factor", "three factors", "selective", "velocities", "number", "dos"],
)
@pytest.mark.parametrize("name", POSCARS)
def test_every_form_of_a_poscar_gives_the_same(name: str, form: str, tmp_path: Path) -> None:
    """https://www.vasp.at/wiki/index.php/POSCAR: two or three factors, a volume as a negative one, VASP 4 and 5."""
    formula, rows, fractions = POSCARS[name]
    amounts, cell, places = amounts_of(formula), np.array(rows), np.array(fractions)
    factor = np.array({"factor": [2.0] * 3, "three factors": [2.0, 4.0, 0.5]}.get(form, [1.0] * 3))
    first = {"volume": f"{-np.linalg.det(cell):.10f}", "factor": "2.0", "three factors": "2.0 4.0 0.5"}.get(form, "1.0")
    written = cell / factor * (0.3 if form == "volume" else 1.0)
    lines = [{"vasp 4": " ".join(amounts), "number": "176909"}.get(form, "of a public repository"), first]
    lines += [" ".join(f"{x:.12f}" for x in row) for row in written]
    lines += [] if form == "vasp 4" else ["  ".join(amounts)]
    lines += [" ".join(f"{value:g}" for value in amounts.values())]
    lines += ["Selective dynamics"] if form == "selective" else []
    lines += ["Cartesian" if form == "cartesian" else "Direct"]
    points = places @ cell if form == "cartesian" else places
    flags = " T F T" if form == "selective" else ""
    lines += [" ".join(f"{x:.12f}" for x in point) + flags for point in points]
    lines += ["", *(["0.001 0.0 -0.002"] * len(points))] if form == "velocities" else []
    path = tmp_path / "POSCAR"
    path.write_text("\n".join(lines) + "\n", newline="\r\n" if form == "dos" else "\n")
    found = crystal_of(str(path))
    assert not isinstance(found, Crystal)
    assert Counter(found.get_chemical_symbols()) == amounts
    np.testing.assert_allclose(found.cell.array, cell, atol=1e-6)
    np.testing.assert_allclose(found.positions, places @ cell, atol=1e-5)
