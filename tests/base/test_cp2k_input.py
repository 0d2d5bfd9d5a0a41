"""The syntax tree of CP2K inputs: equal after writing and reading, set by path, clear about faults."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base import cp2k_input
from qdip_struct.base.errors import DataError, UsageError

TEXT = """! header
@SET CUT 300
&GLOBAL
  PROJECT run   ! the name
  RUN_TYPE ENERGY
&END GLOBAL
&FORCE_EVAL
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    BASIS_SET_FILE_NAME BASIS_MOLOPT_UCL
    &XC
      &XC_FUNCTIONAL PBE
      &END
    &END XC
  &END DFT
  &SUBSYS
    &KIND Pb
      BASIS_SET DZVP
    &END KIND
    &KIND S
      BASIS_SET \\
        DZVP
    &END KIND
  &END SUBSYS
&END FORCE_EVAL
"""

names = st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True).filter(lambda name: name != "END")
values = st.from_regex(r"[A-Za-z0-9.+\-]{1,8}( [A-Za-z0-9.]{1,5}){0,2}", fullmatch=True)
keywords = st.builds(cp2k_input.Keyword, names, values)
comments = st.builds(cp2k_input.Verbatim, st.from_regex(r"! [a-z ]{0,10}[a-z]", fullmatch=True))
sections = st.recursive(
    st.builds(
        cp2k_input.Section,
        names,
        st.one_of(st.just(""), values),
        st.lists(st.one_of(keywords, comments), max_size=3),
    ),
    lambda inner: st.builds(cp2k_input.Section, names, st.just(""), st.lists(st.one_of(inner, keywords), max_size=3)),
    max_leaves=8,
)


@given(st.lists(st.one_of(sections, comments), max_size=4))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_written_tree_reads_back_equal(entries: list[cp2k_input.Section | cp2k_input.Verbatim]) -> None:
    root = cp2k_input.Section("", "", list(entries))
    assert cp2k_input.parse_input(cp2k_input.format_input(root)) == root


def test_reads_comments_repeats_continuations_and_line_numbers() -> None:
    root = cp2k_input.parse_input(TEXT)
    assert cp2k_input.get_values(root, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME") == ["BASIS_MOLOPT", "BASIS_MOLOPT_UCL"]
    assert cp2k_input.get_values(root, "force_eval/subsys/kind[s]/basis_set") == ["DZVP"]
    section = cp2k_input.find_section(root, "FORCE_EVAL/SUBSYS/KIND[S]")
    assert section is not None
    assert section.line == TEXT.splitlines().index("    &KIND S") + 1
    project = cp2k_input.find_section(root, "GLOBAL").keywords("PROJECT")[0]  # type: ignore[union-attr]
    assert (project.value, project.comment, project.line) == ("run", "! the name", 4)
    assert cp2k_input.parse_input(cp2k_input.format_input(root)) == root
    assert "@SET CUT 300" in cp2k_input.format_input(root)


def test_set_replaces_all_repeats_and_add_keeps_them() -> None:
    root = cp2k_input.parse_input(TEXT)
    cp2k_input.set_value(root, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME", "THIRD", add=True)
    assert cp2k_input.get_values(root, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME")[-1] == "THIRD"
    cp2k_input.set_value(root, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME", "ONLY")
    assert cp2k_input.get_values(root, "FORCE_EVAL/DFT/BASIS_SET_FILE_NAME") == ["ONLY"]
    cp2k_input.set_value(root, "FORCE_EVAL/DFT/MGRID/CUTOFF", "600")
    assert "&MGRID\n      CUTOFF 600\n" in cp2k_input.format_input(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("&DFT\n", "line 1 is never closed"),
        ("&END\n", "without an open section"),
        ("&A\n&END B\n", r"line 2: &END B closes &A of line 1"),
        ("CUTOFF 300\n", "outside every section"),
    ],
)
def test_broken_syntax_names_the_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cp2k_input.parse_input(text, source="x.inp")


@pytest.mark.parametrize("text", ["CUTOFF", "=3", "A B=3/4", "X=1\nY=2"])
def test_bad_settings_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        path, value, add = cp2k_input.parse_setting(text)
        cp2k_input.set_value(cp2k_input.Section(""), path, value, add=add)


def flat(text: str, **options: Any) -> list[tuple[str, str]]:
    """Names and values of an expanded input in file order."""
    tree = cp2k_input.expand_input(text, **options).tree
    return [(i.name, i.value if isinstance(i, cp2k_input.Keyword) else i.parameter) for _, i in tree.walk()]


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ("CUTOFF=100", [("CUTOFF", "100")]),
        ("CUTOFF = 100 ! Ry", [("CUTOFF", "100")]),
        ("CUTOFF:100", [("CUTOFF", "100")]),
        ("ABC 10 \\ ! first\n\n# between\n 20 \\\n 30", [("ABC", "10 20 30")]),
        ("@SET X 300\nCUTOFF ${X}", [("CUTOFF", "300")]),
        ("@SET X 300\nCUTOFF $X ! x", [("CUTOFF", "300")]),
        ("@SET X 300\nCUTOFF ${X}0 ${Y-50}", [("CUTOFF", "3000 50")]),
        ("@SET X 3\n@SET Y ${X}00\n@SET X 4\nCUTOFF $Y", [("CUTOFF", "300")]),
        ("@SET B 1\n@IF ( ${B} == 1 )\nA 1\n@ENDIF\n@if ${B} /= 1\nA 2\n@endif", [("A", "1")]),
        ("@IF 0\nA 1\n@ENDIF\n@IF x\nA 2\n@ENDIF\n@IF\nA 3\n@ENDIF", [("A", "2")]),
        ("@IF 0\nA 1\n@IF 1\nA 2\n@ENDIF\nA 3\n@ENDIF", [("A", "3")]),
        ("A 1 ! me@home\nB 2", [("B", "2")]),
        ("@PRINT anything\nB 2", [("B", "2")]),
    ],
)
def test_what_the_preprocessor_makes_of_lines(lines: str, seen: list[tuple[str, str]]) -> None:
    """Each was run by CP2K 2023.1 inside ``&CELL`` or ``&COORD`` of a Lennard-Jones input."""
    assert flat(f"&S\n{lines}\n&END S\n")[1:] == seen


def test_the_kept_tree_has_the_lines_as_they_stand() -> None:
    text = "@SET X 300\n&S\n  @IF $X == 1\n  CUTOFF ${X}\n  @ENDIF\n&END S\n"
    assert cp2k_input.format_input(cp2k_input.parse_input(text)) == text


def test_dropped_lines_are_told() -> None:
    found = cp2k_input.expand_input("&S\nA 1 ! me@home\nB 2\n&END\n")
    assert found.dropped == ((2, "A 1 ! me@home"),)


def test_included_files_are_read_in_the_folder_and_below(tmp_path: Path) -> None:
    (tmp_path / "run" / "parts").mkdir(parents=True)
    (tmp_path / "run" / "a.inc").write_text("A 1\n@INCLUDE 'parts/b.inc'\nA 3\n")
    (tmp_path / "run" / "parts" / "b.inc").write_text("@SET X 2\nA $X\n")
    (tmp_path / "outside.inc").write_text("A 9\n")
    (tmp_path / "run" / "link.inc").symlink_to(tmp_path / "outside.inc")
    (tmp_path / "data" / "xc_section").mkdir(parents=True)
    (tmp_path / "data" / "xc_section" / "BLYP.sec").write_text("&XC\n&END XC\n")
    text = '&S\n@INCLUDE "a.inc"\n@include ../outside.inc\n@INCLUDE link.inc\n@XCTYPE BLYP\nA $X\n&END\n'
    found = cp2k_input.expand_input(text, folder=tmp_path / "run", libraries=[tmp_path / "data"])
    section = found.tree.sections("S")[0]
    assert [k.value for k in section.keywords("A")] == ["1", "2", "3", "2"]
    assert [k.line for k in section.keywords("A")] == [2, 2, 2, 6]
    assert section.sections("XC")
    assert found.unread == ("../outside.inc", "link.inc")
    assert cp2k_input.expand_input("&S\n@INCLUDE a.inc\n@XCTYPE B\n&END\n").unread == ("a.inc", "B.sec")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("&S\n@INCLUDE a.inc\n&END\n", "line 2.*a.inc includes itself"),
        ("&S\n@INCLUDE none.inc\n&END\n", "line 2: none.inc is not in"),
        ("&S\n@INCLUDE 'none.inc\n&END\n", "quotation marks"),
        ("&S\n@INCLUDE\n&END\n", "names no file"),
        ("&S\n@INCLUDE " + "x" * 5000 + "\n&END\n", "no name of a file"),
        ("&S\nA ${B}\n&END\n", "line 2: the variable B is not set"),
        ("&S\nA ${B\n&END\n", "has no '}'"),
        ("&S\nA 1 ! 5 $ each\n&END\n", "takes every \\$ for one"),
        ("@SET X\n&S\n&END\n", "line 1: @SET needs"),
        ("@SET 1X 2\n&S\n&END\n", "line 1: @SET needs"),
        ("@IF 0\n&S\n&END\n", "@IF has no @ENDIF"),
        ("@IF a == b == c\n@ENDIF\n", "compares more than once"),
        ("@IF a ==\n@ENDIF\n", "compares with nothing"),
        ("&S\n" * 60, "nested more than"),
        ("&S\nA 1 \\\n", "nothing follows"),
        ("@SET X 1234567890\n" + "@SET X $X$X\n" * 40, "longer than|is no variable"),
        ("@SET X 1234567890\n" + "@SET X ${X}${X}\n" * 40, "longer than"),
        ("\n" * 1_100_000, "more than 1000000 lines"),
        ("x" * 40_000_000, "longer than 32 MiB"),
    ],
)
def test_hostile_inputs_end_in_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.inc").write_text("A 1\n@INCLUDE b.inc\n")
    (tmp_path / "b.inc").write_text("@INCLUDE a.inc\n")
    with pytest.raises(DataError, match=said):
        cp2k_input.expand_input(text, source="x.inp", folder=tmp_path)


def test_files_that_include_each_other_many_times_are_refused(tmp_path: Path) -> None:
    for level in range(12):
        (tmp_path / f"{level}.inc").write_text(f"@INCLUDE {level + 1}.inc\n" * 10)
    (tmp_path / "12.inc").write_text("A 1\n")
    with pytest.raises(DataError, match="more than 1000 files"):
        cp2k_input.expand_input("&S\n@INCLUDE 0.inc\n&END\n", folder=tmp_path)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(DataError):
        cp2k_input.expand_input(content.decode("utf-8", errors="replace"))


@pytest.mark.parametrize(
    ("word", "value"), [("10/2", 5.0), ("3*1/2/3", 0.5), ("1d0", 1.0), ("2.E0", 2.0), (".5", 0.5), ("-1.5D-3", -0.0015)]
)
def test_numbers_are_read_as_cp2k_reads_them(word: str, value: float) -> None:
    assert cp2k_input.number_of(word) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("word", ["", "nan", "inf", "1_0", "1/0", "x", "1//2", "1,5", "1e999", "²"])
def test_other_words_are_no_numbers(word: str) -> None:
    with pytest.raises(DataError):
        cp2k_input.number_of(word)


def test_words_logicals_and_whole_numbers() -> None:
    assert cp2k_input.words_of('[nm] 1, 2;3 "a b" =x') == ["[nm]", "1", "2", "3", "a b", "x"]
    assert cp2k_input.text_of('"a b.xyz" rest') == "a b.xyz"
    assert [cp2k_input.logical_of(word) for word in ("", ".TRUE.", "on", "0", "no", ".f.")] == [True] * 3 + [False] * 3
    assert cp2k_input.integer_of("2*3") == 6
    for word in ("3000000000", "1.5", "9" * 5000, "1**2"):
        with pytest.raises(DataError):
            cp2k_input.integer_of(word)
    with pytest.raises(DataError):
        cp2k_input.logical_of("maybe")
