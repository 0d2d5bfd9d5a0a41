"""The papers' statements: which hold, which hold only under another condition, which do not."""

import pytest

from qdip_struct.matching.published import discrepancies, published_statements

STATEMENTS = {statement.id: statement for statement in published_statements()}

HOLDS = [
    "ning2015-d224", "ning2015-d202", "ning2015-angle-mapi", "ning2015-angle-pbs", "ning2015-zone-pbs",
    "ning2015-OR-cube-on-cube", "ning2015-slab-cell", "ning2015-box", "ning2015-imposed", "ning2015-strain",
    "ning2015-pbpb-7", "ning2015-elastic", "ning2015-B", "ning2015-T1a-k", "ning2015-T1a-inv", "ning2015-T1a-pct",
    "ning2015-T1a-rbs", "ning2015-vol-quotes", "garcia_de_arquer2017-mass", "garcia_de_arquer2017-vol",
    "garcia_de_arquer2017-vegard", "liu2019-vegard-endpoints", "liu2019-x-pbse", "liu2019-plqe-window",
    "liu2019-d111", "liu2019-d200", "baronnier2022-shell2", "deng2024-mismatch", "deng2024-d110", "deng2024-angle",
    "deng2024-mis-measured",
]  # fmt: skip
FAILS = ["ning2015-mismatch-nai", "liu2019-CsPbBrI2", "liu2019-rcp", "baronnier2022-shell1", "deng2024-d110-pbs"]
CONDITIONAL = {
    "ning2015-mismatch-mapi": "over a_matrix",
    "ning2015-zone-sign": "overbar",
    "ning2015-T1a-caption": "header",
    "ning2015-spacing": "wigner seitz",
    "liu2019-x-pbs": "5.97",
    "liu2019-eps-66": "5.97",
    "liu2019-CsPbBr2I": "5.97",
}


def test_the_lists_here_are_complete():
    assert set(STATEMENTS) == {*HOLDS, *FAILS, *CONDITIONAL}


@pytest.mark.parametrize("name", HOLDS)
def test_statements_that_hold(name):
    statement = STATEMENTS[name]
    assert statement.verdict == "holds"
    values = statement.attempts[0].values
    values = values if len(values) == len(statement.stated) else values * len(statement.stated)
    for value, stated in zip(values, statement.stated, strict=True):
        assert abs(value - stated) <= statement.tolerance * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("name", FAILS)
def test_statements_that_do_not_hold(name):
    assert STATEMENTS[name].verdict == "does not hold" and STATEMENTS[name].conditions == ()


@pytest.mark.parametrize("name", CONDITIONAL)
def test_statements_that_need_another_condition(name):
    statement = STATEMENTS[name]
    assert statement.verdict == "holds only if"
    assert any(CONDITIONAL[name] in condition for condition in statement.conditions)
    assert statement.attempts[0].condition not in statement.conditions


def test_the_match_points_of_liu():
    attempts = STATEMENTS["liu2019-x-pbs"].attempts
    assert [a.values[0] for a in attempts] == pytest.approx([75.0, 66.667, 76.111], abs=1e-3)


def test_every_statement_says_paper_place_and_numbers():
    for statement in STATEMENTS.values():
        assert statement.paper and statement.where and statement.stated and statement.attempts
        assert all(attempt.values for attempt in statement.attempts)


def test_discrepancies_are_those_that_do_not_hold():
    assert {s.id for s in discrepancies()} == {*FAILS, *CONDITIONAL}
