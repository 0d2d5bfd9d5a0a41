"""A field of a request is the only word about an option: command line, campaign, provenance, help come from it."""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pytest

from qdip_struct.base.options import add_options, option, options_of, recorded, request_of, whole_from_zero
from qdip_struct.base.yaml_tree import load_tree


@dataclass(frozen=True, kw_only=True)
class Kettle:
    """What a kettle is asked."""

    where: Path = option(positional=True, metavar="PLACE", help="where it stands")
    liquid: str = option(help="what is in it")
    volume: float = option(1.5, unit="l", metavar="L", help="how much, at most 90 % full")
    heat: Literal["low", "high"] = option("low", help="how fast", group="fire")
    minutes: int | None = option(None, unit="min", help="how long")
    until: float | None = option(None, unit="K", shown="it boils", help="how hot")
    cups: int = option(0, help="how many are poured")
    add: tuple[str, ...] = option((), metavar="LEAF", help="what goes in; repeatable")
    lid: bool = option(False, help="closed")
    seed: int = option(0, read=whole_from_zero, help="which bubble comes first")
    loud: bool = option(False, only="command", recorded=False, help="whistle")
    guests: tuple[Literal["cat", "dog"], ...] = option((), only="campaign", help="who waits")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="kettle", exit_on_error=False)
    add_options(made, Kettle)
    return made


def test_words_become_the_types_of_the_fields() -> None:
    words = "hearth --liquid tea --volume 2 --heat high --minutes 3 --add mint --add lemon --lid --seed 7"
    assert request_of(parser().parse_args(words.split()), Kettle) == Kettle(
        where=Path("hearth"), liquid="tea", volume=2.0, heat="high", minutes=3, add=("mint", "lemon"), lid=True, seed=7
    )
    assert request_of(parser().parse_args(["hearth", "--liquid", "tea"]), Kettle) == Kettle(
        where=Path("hearth"), liquid="tea"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("hearth", "--liquid"),
        ("hearth --liquid tea --heat mild", "invalid choice: 'mild'"),
        ("hearth --liquid tea --volume much", "invalid float value: 'much'"),
        ("hearth --liquid tea --seed -1", "the seed is '-1'; expected 0 or a larger whole number"),
    ],
)
def test_words_that_mean_nothing_are_refused(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)) as caught:
        parser().parse_args(words.split())
    assert message in f"{caught.value} {capsys.readouterr().err}"


def test_help_tells_unit_and_default_in_one_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = parser().format_help()
    told = {words[0]: words[-1] for words in (line.strip().split("  ") for line in text.splitlines()) if len(words) > 1}
    assert {flag.split()[0]: words.strip() for flag, words in told.items() if flag.startswith("--")} == {
        "--liquid": "what is in it",
        "--volume": "how much, at most 90 % full (default: 1.5 l)",
        "--heat": "how fast (default: low)",
        "--minutes": "how long, min",
        "--until": "how hot, K (default: it boils)",
        "--cups": "how many are poured (default: 0)",
        "--add": "what goes in; repeatable",
        "--lid": "closed",
        "--seed": "which bubble comes first (default: 0)",
        "--loud": "whistle",
    }
    assert text.rindex("--loud") < text.index("\nfire:\n") < text.rindex("--heat {low,high}")
    assert "guests" not in text


def test_named_options_alone_and_help_for_the_place() -> None:
    made = argparse.ArgumentParser(prog="kettle")
    add_options(made, Kettle, names=("volume", "liquid"), told={"volume": "of the can"})
    args = made.parse_args(["--liquid", "tea"])
    assert vars(args) == {"liquid": "tea", "volume": 1.5}
    assert "of the can (default: 1.5 l)" in made.format_help()


def test_campaign_keys_and_provenance_take_what_belongs_there(tmp_path: Path) -> None:
    options = options_of(Kettle)
    assert set(options) == {item.name for item in fields(Kettle)} - {"loud"}
    assert [key for key, found in options.items() if found.required] == ["where", "liquid"]
    file = tmp_path / "campaign.yaml"
    file.write_text("where: a/b\nguests: [cat, dog]\nuntil: null\nheat: high\n")
    read = {key: options[key].read(node) for key, node in load_tree(file).mapping().items()}
    assert read == {"where": Path("a/b"), "guests": ("cat", "dog"), "until": None, "heat": "high"}
    asked = Kettle(where=Path("a"), liquid="tea", loud=True, guests=("cat",))
    told = ["where", "liquid", "volume", "heat", "minutes", "until", "cups", "add", "lid", "seed"]
    assert list(recorded(asked, place="command")) == told
    assert list(recorded(asked, place="campaign")) == [*told, "guests"]


def test_requests_and_the_functions_they_lead_to_have_the_same_defaults() -> None:
    from qdip_struct.builders.atoms.cells import Occupation
    from qdip_struct.builders.atoms.regions import INTERFACE_DEPTH
    from qdip_struct.builders.dot.dot_request import EmbedRequest
    from qdip_struct.builders.dot.embedding_options import Balance, DotForm, DotPlacement
    from qdip_struct.builders.interface.interface_options import LateralCell, Placement, Stack
    from qdip_struct.builders.interface.interface_request import InterfaceRequest
    from qdip_struct.builders.slab.surface import LAYER_TOLERANCE_ANGSTROM

    embed, joined = EmbedRequest(dot="PbS", matrix="CsPbI3"), InterfaceRequest(film="PbS", substrate="CsPbI3")
    assert embed.interface_depth == INTERFACE_DEPTH
    assert joined.layer_tolerance == LAYER_TOLERANCE_ANGSTROM
    for request, record, names in (
        (embed, Occupation(), ("a_site", "orientation", "seed")),
        (embed, Balance(), ("neutral", "rule")),
        (embed, DotForm(), ("shape", "center", "termination", "shell")),
        (embed, DotPlacement(), ("mode",)),
        (joined, LateralCell(), ("match", "max_area", "max_angle", "lateral", "strain_on", "normal")),
        (joined, Placement(), ("registry", "kind", "vacuum")),
        (joined, Stack(), ("film_layers", "substrate_layers", "termination", "film_termination")),
    ):
        assert {name: getattr(request, name) for name in names} == {name: getattr(record, name) for name in names}
