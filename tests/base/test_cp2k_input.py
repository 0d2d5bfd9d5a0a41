"""The syntax tree of CP2K inputs: equal after writing and reading, set by path, clear about faults."""

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
