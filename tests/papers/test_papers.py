"""The papers' statements: against hand arithmetic, against the verdicts on record, and with faults planted."""

import dataclasses
import sys

import numpy as np
import pytest
import yaml
from hand_arithmetic import HAND

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import shipped
from qdip_struct.materials.crystals import Crystal
from qdip_struct.papers.statements import RECIPES, paper_names, published_statements

ENTRIES = {
    entry["id"]: entry
    for entry in yaml.safe_load(shipped("structures", "published_statements.yaml").read_text())["statements"]
}
FUNCTIONS = sorted({f for recipe in RECIPES.values() for f in recipe.functions}, key=lambda f: f.__qualname__)
DIFFER = {
    "ning2015-mismatch-nai": None,
    "ning2015-zone-sign": "overbar",
    "ning2015-natoms": "one ion",
    "ning2015-T1a-caption": "header",
    "ning2015-spacing": "wigner seitz",
    "deng2024-d110-pbs": None,
    "liu2019-x-pbs": "5.97",
    "liu2019-eps-66": "5.97",
    "liu2019-CsPbBrI2": None,
    "liu2019-CsPbBr2I": "5.97",
    "liu2019-rcp": None,
    "baronnier2022-shell1": None,
    "garcia_de_arquer2017-offsets": None,
}
ONLY_IN_STATEMENTS_THAT_DIFFER = {"density", "embed_dot", "formal_charges", "is_allowed", "zone_product"}
"""1 % of the zero of a zone that does hold is zero."""
SILENT = {"deng2024-spread", "baronnier2022-boost", "garcia_de_arquer2017-eps", "garcia_de_arquer2017-glyphs"}


@pytest.fixture(scope="module")
def statements():
    return {statement.id: statement for statement in published_statements()}


def test_every_numeric_statement_of_the_five_papers_is_there(statements):
    assert len(statements) == 65
    assert {s.paper for s in statements.values()} == set(paper_names())


@pytest.mark.parametrize("name", sorted(HAND))
def test_the_record_is_what_comes_out_by_hand(name):
    recorded = ENTRIES[name]["recomputed"]
    assert [len(values) for values in recorded] == [len(values) for values in HAND[name]]
    for values, by_hand in zip(recorded, HAND[name], strict=True):
        assert [float(v) for v in values] == pytest.approx([float(v) for v in by_hand], rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", sorted(HAND))
def test_the_package_computes_what_comes_out_by_hand(statements, name):
    for attempt, by_hand in zip(statements[name].attempts, HAND[name], strict=True):
        # Shares are 0.333 and 0.667 in the formula of the shell, thirds by hand.
        assert attempt.values == pytest.approx([float(v) for v in by_hand], rel=5e-4, abs=1e-9)
    assert statements[name].deviations == ()


def test_verdicts(statements):
    assert {name for name, s in statements.items() if s.verdict == "differs"} == set(DIFFER)
    assert {name for name, s in statements.items() if s.verdict == "not answerable"} == SILENT
    assert all(s.as_expected for s in statements.values())


@pytest.mark.parametrize("name", sorted(DIFFER))
def test_a_statement_that_differs_says_by_how_much_and_when_it_would_hold(statements, name):
    statement = statements[name]
    assert statement.difference is not None and statement.attempts[0].condition not in statement.holds_if
    if DIFFER[name] is None:
        assert statement.holds_if == ()
    else:
        assert any(DIFFER[name] in condition for condition in statement.holds_if)


def test_the_difference_is_the_largest_of_several_numbers(statements):
    assert statements["liu2019-eps-66"].difference == pytest.approx(100 * (6.21 - 0.36 * 0.66 - 5.94) / 5.94)


def test_what_cannot_be_answered_says_why(statements):
    assert all(statements[name].why and not statements[name].attempts for name in SILENT)


def test_holding_statements_are_within_their_tolerance(statements):
    for statement in statements.values():
        if statement.verdict == "holds":
            assert abs(statement.difference) <= statement.tolerance * (1 + 1e-9) + 1e-12


def test_some_papers_only():
    assert {s.paper for s in published_statements(["deng2024"])} == {"deng2024"}
    assert [s.id for s in published_statements(["ning2015-d224"])] == ["ning2015-d224"]
    with pytest.raises(UsageError, match="papers: ning2015"):
        published_statements(["nobody2020"])


def test_a_statement_without_recipe_or_reason_is_a_damaged_file(tmp_path, monkeypatch):
    from qdip_struct.papers import statements as module

    file = tmp_path / "statements.yaml"
    file.write_text(
        "papers: {a2000: {citation: A}}\n"
        "statements: [{id: a2000-x, where: text, quantity: q, stated: [1], tolerance: 1}]\n"
    )
    monkeypatch.setattr(module, "shipped", lambda *parts: file)
    with pytest.raises(DataError, match="a2000-x"):
        published_statements()


def off_by_one_percent(value):
    """The same result, 1 % too large (a truth turned round)."""
    if isinstance(value, (bool, np.bool_)):
        return not value
    if isinstance(value, (int, float, np.number, np.ndarray)):
        return value * 1.01
    if isinstance(value, Crystal):
        return dataclasses.replace(value, lengths=off_by_one_percent(value.lengths))
    if isinstance(value, (tuple, list)):
        return type(value)(off_by_one_percent(item) for item in value)
    if isinstance(value, dict):
        return {key: off_by_one_percent(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        changed = {f.name: off_by_one_percent(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **changed)
    return value


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_an_error_of_one_percent_in_any_function_is_seen(monkeypatch, statements, function):
    """In every call, or in every second one: a ratio of two results cannot see a factor that both share."""
    users = {name for name, recipe in RECIPES.items() if function in recipe.functions}
    flipped, seen, calls = set(), set(), []
    for every in (1, 2):

        def wrong(*args, every=every, **keywords):
            calls.append(function)
            result = function(*args, **keywords)
            return off_by_one_percent(result) if len(calls) % every == 0 else result

        calls.clear()
        with monkeypatch.context() as patch:
            if "." in function.__qualname__:
                owner = getattr(sys.modules[function.__module__], function.__qualname__.split(".")[0])
                patch.setattr(owner, function.__name__, wrong)
            else:
                for name, module in list(sys.modules.items()):
                    if name.startswith("qdip_struct") and getattr(module, function.__name__, None) is function:
                        patch.setattr(module, function.__name__, wrong)
            after = {s.id: s for s in published_statements(sorted(users))}
        assert calls
        flipped |= {n for n in users if statements[n].verdict == "holds" and after[n].verdict == "differs"}
        seen |= {n for n in users if not after[n].as_expected}
    assert seen, f"{function.__qualname__} off by 1 % is not seen"
    if function.__name__ not in ONLY_IN_STATEMENTS_THAT_DIFFER:
        assert flipped, f"{function.__qualname__} off by 1 % turns no verdict that holds"


def test_without_a_fault_nothing_changes():
    assert all(s.as_expected for s in published_statements(["deng2024", "liu2019"]))
