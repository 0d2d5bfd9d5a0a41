"""The shipped languages of CP2K releases: what they say of each, and that they are those of the programs."""

import pytest

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.schema import (
    Schema,
    condensed,
    load_schema,
    schemas_text,
    shipped_schema,
    shipped_versions,
)
from qdip_struct.cp2k.program import Program

SCF = ("FORCE_EVAL", "DFT", "SCF")
PRINT = ("FORCE_EVAL", "DFT", "PRINT")


def test_releases_are_known_oldest_first_and_an_unknown_one_is_read_as_the_one_before() -> None:
    versions = shipped_versions()
    assert versions[0] == "2023.1" and versions[-1] == "2026.2"
    assert list(versions) == sorted(versions, key=lambda name: tuple(map(int, name.split("."))))
    for asked, known in {"2024.3": "2024.1", "2026.1": "2025.2", "2031.1": versions[-1], "9.1": versions[0]}.items():
        assert shipped_schema(asked).version == known
    with pytest.raises(UsageError, match="not a CP2K version"):
        shipped_schema("newest")


def test_what_differs_between_releases() -> None:
    """CP2K's notices: CELL_OPT/TYPE removed and PDOS moved in 2026.2; a failed SCF stops from 2024.1 on."""
    for version in shipped_versions():
        schema = shipped_schema(version)
        scf, cell_opt = schema.section(SCF), schema.section(("MOTION", "CELL_OPT"))
        assert scf is not None and cell_opt is not None
        year, number = map(int, version.split("."))
        assert ("IGNORE_CONVERGENCE_FAILURE" in scf.keywords) == (year >= 2024)
        newest = (year, number) >= (2026, 2)
        assert ("DIRECT_CELL_OPT" in cell_opt.keywords["TYPE"].removed) == newest
        assert (schema.section((*PRINT, "PDOS")) is None) == newest
        assert (schema.section((*PRINT, "DOS", "PDOS")) is not None) == newest


def test_rules_of_keywords() -> None:
    schema = shipped_schema("2023.1")
    cell, kind = schema.section(("FORCE_EVAL", "SUBSYS", "CELL")), schema.section(("FORCE_EVAL", "SUBSYS", "KIND"))
    assert cell is not None and kind is not None
    assert (cell.keywords["ABC"].kind, cell.keywords["ABC"].count, cell.keywords["ABC"].unit) == ("real", 3, "angstrom")
    assert kind.repeats and kind.keywords["BASIS_SET"].repeats and kind.keywords["BASIS_SET"].count == -1
    assert kind.keywords["AUX_FIT_BASIS_SET"].removed
    assert kind.main["POT"] == kind.main["POTENTIAL"]
    assert schema.section(("FORCE_EVAL", "DFT", "NO_SUCH")) is None


def test_the_installed_program_says_what_is_shipped(cp2k: Program) -> None:
    if cp2k.version not in shipped_versions():
        pytest.skip(f"CP2K {cp2k.version} is not shipped")
    own, known = load_schema(cp2k), shipped_schema(cp2k.version)
    assert own.of_program and not known.of_program
    sections = [()]
    for path in sections:
        one, other = own.section(path), known.section(path)
        assert one is not None and other is not None
        assert one.keywords == other.keywords and set(one.sections) == set(other.sections), path
        assert (one.parameter, one.repeats, one.deprecated) == (other.parameter, other.repeats, other.deprecated)
        if len(path) < 4:
            sections += [(*path, name) for name in one.sections]
    assert len(sections) > 500


def test_equal_sections_are_kept_once() -> None:
    each = "<SECTION repeats='no'><NAME>EACH</NAME><KEYWORD repeats='no'><NAME>MD</NAME></KEYWORD></SECTION>"
    xml = f"""<CP2K_INPUT><SECTION repeats='no'><NAME>A</NAME>{each}</SECTION>
    <SECTION repeats='yes'><NAME>B</NAME>{each}<DEPRECATION_NOTICE>take A</DEPRECATION_NOTICE>
    <SECTION_PARAMETERS><DATA_TYPE kind='logical'><N_VAR>1</N_VAR></DATA_TYPE><LONE_KEYWORD_VALUE>T</LONE_KEYWORD_VALUE>
    </SECTION_PARAMETERS></SECTION></CP2K_INPUT>"""
    document = condensed({"1.0": xml.encode(), "2.0": xml.encode()})
    assert document["roots"]["1.0"] == document["roots"]["2.0"]
    schema = Schema("1.0", document["roots"]["1.0"], tuple(document["nodes"]))
    assert schema.section(("A", "EACH")) is schema.section(("B", "EACH"))
    b = schema.section(("B",))
    assert b is not None and b.repeats and b.deprecated == "take A" and b.parameter is not None and b.parameter.alone
    assert schemas_text(document).count("\n") == len(document["nodes"]) + 2
