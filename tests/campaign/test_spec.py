"""Campaign files: every mistake is refused with file, line and key; the product is what the lists say."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import DataError, QdipError, UsageError
from qdip_struct.base.options import options_of
from qdip_struct.campaign.constructions import CONSTRUCTIONS
from qdip_struct.campaign.spec import MOST_CASES, Spec, expand, label_of, load_spec
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.mlip.relax_request import RelaxRequest

PLAIN = """\
name: demo
build:
  interface:
    film: PbS
    substrate-plane: 001
vary:
  substrate: [CsPbBr3, CsPbI3]
  registry: {over: continuation, hollow: hollow}
inputs:
  preset: quick
"""


def spec_of(text: str, folder: Path) -> Spec:
    file = folder / "campaign.yaml"
    file.write_text(text)
    return load_spec(file)


def test_product_in_the_order_of_the_file(tmp_path: Path) -> None:
    spec = spec_of(PLAIN, tmp_path)
    cases = list(expand(spec))
    assert spec.n_cases == len(cases) == 4
    assert [c.label for c in cases] == ["CsPbBr3_over", "CsPbBr3_hollow", "CsPbI3_over", "CsPbI3_hollow"]
    assert [(c.build.substrate, c.build.registry) for c in cases][:2] == [
        ("CsPbBr3", "continuation"),
        ("CsPbBr3", "hollow"),
    ]
    assert {c.inputs.preset for c in cases} == {"quick"}
    assert {c.relax for c in cases} == {None}


def test_words_stay_as_typed(tmp_path: Path) -> None:
    """YAML would read 001 as 1, 'no' as false and 1e-3 as text: a plane is a plane."""
    spec = spec_of(PLAIN.replace("film: PbS", "film: no").replace("preset: quick", "preset: 1.10"), tmp_path)
    case = next(expand(spec))
    assert (case.build.substrate_plane, case.build.film, case.inputs.preset) == ("001", "no", "1.10")


def test_cases_change_together_and_cross_with_vary(tmp_path: Path) -> None:
    text = PLAIN.replace(
        "vary:\n  substrate: [CsPbBr3, CsPbI3]\n",
        "cases:\n  bromide: {substrate: CsPbBr3, vacuum: 15}\n  iodide: {substrate: CsPbI3, kpoints: '3,3,1'}\nvary:\n",
    )
    cases = list(expand(spec_of(text, tmp_path)))
    assert [c.label for c in cases] == ["bromide_over", "bromide_hollow", "iodide_over", "iodide_hollow"]
    assert [(c.build.vacuum, c.inputs.kpoints) for c in cases[::2]] == [(15.0, None), (20.0, "3,3,1")]


def test_relax_and_roles_and_references(tmp_path: Path) -> None:
    text = PLAIN + "  roles: {film_bulk: {kpoints: '6,6,6'}}\nrelax: {fmax: 0.05}\nreferences: [film_bulk]\n"
    text = text.replace("vary:\n", "vary:\n  relax.seed: [1, 2]\n")
    spec = spec_of(text, tmp_path)
    cases = list(expand(spec))
    assert [c.label for c in cases][:2] == ["seed1_CsPbBr3_over", "seed1_CsPbBr3_hollow"]
    assert cases[0].relax == RelaxRequest(fmax=0.05, seed=1)
    assert not RelaxRequest().concerns("film_bulk")
    assert RelaxRequest().concerns("interface")
    assert spec.inputs_by_role == {"film_bulk": {"kpoints": "6,6,6"}}
    assert spec.references == ("film_bulk",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("film: PbS", "flim: PbS", r"line 4: build.interface.flim is not a known key, did you mean 'film'"),
        ("name: demo", "nam: demo", r"line 1: nam is not a known key, did you mean 'name'"),
        ("name: demo", "name: demo\nname: two", r"line 2: the key name is given twice \(first in line 1\)"),
        ("preset: quick", "preset: [quick]", r"line 10: inputs.preset is a list; expected one value .*under 'vary'"),
        ("preset: quick", "task: relax", r"line 10: inputs.task is 'relax'.*expected one of energy, geo_opt, cell_opt"),
        ("preset: quick", "charge: 1.5", r"line 10: inputs.charge is '1.5'; expected a whole number"),
        ("preset: quick", "counterpoise: yes", r"line 10: inputs.counterpoise is 'yes'; expected true or false"),
        ("film: PbS", "film: PbS\n    vacuum: .nan", r"line 5: build.interface.vacuum is '.nan'; expected a finite"),
        ("film: PbS", "film: PbS\n    vacuum:", r"line 5: build.interface.vacuum is nothing; expected a number"),
        ("film: PbS", 'film: "Pb\\nS"', r"line 4: build.interface.film holds a line break"),
        ("    film: PbS\n", "", r"line 2: build lacks interface.film; give it there, under vary or under cases"),
        ("interface:", "interfaces:", r"line 3: build.interfaces is not a known key, did you mean 'interface'"),
        ("substrate: [", "substrat: [", r"line 7: vary.substrat is no option that can vary, did you mean 'substrate'"),
        ("[CsPbBr3, CsPbI3]", "CsPbBr3", r"line 7: vary.substrate is 'CsPbBr3'; expected a list of values"),
        ("[CsPbBr3, CsPbI3]", "[]", r"line 7: vary.substrate is empty"),
        ("[CsPbBr3, CsPbI3]", "[CsPbBr3, CsPbBr3]", r"line 7: vary.substrate gives 'CsPbBr3' twice"),
        ("over:", '"../over":', r"line 8: vary.registry.../over is no name for a folder"),
        ("over:", '"-rf":', r"line 8: vary.registry.-rf is no name for a folder"),
        ("name: demo", 'name: "a; rm -rf /"', r"line 1: name is 'a; rm -rf /'; expected one word of letters"),
        ("name: demo", "name: &x demo", r"line 1: anchors and aliases"),
        ("name: demo", "name: !!python/object/apply:os.system [ls]", r"line 1: tags \(!\) are not read"),
        ("name: demo", "name: [unclosed", r"line 2: not valid YAML"),
        ("name: demo", "name: demo\nreferences: some", r"line 2: references is 'some'.*expected one of all, none"),
        ("name: demo", "name: demo\nconverge: {cutoff: [300]}", r"line 2: converge.cutoff needs at least two"),
        (
            "name: demo",
            "name: demo\nrelax: {roles: [films]}",
            r"line 2: relax.roles\[0\] is 'films', did you mean 'film'",
        ),
    ],
)
def test_mistakes_are_refused_where_they_stand(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in PLAIN
    with pytest.raises(UsageError, match=message) as caught:
        spec_of(PLAIN.replace(old, new, 1), tmp_path)
    assert "campaign.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_empty_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="is empty"):
        spec_of("", tmp_path)
    (tmp_path / "campaign.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        load_spec(tmp_path)
    with pytest.raises(UsageError, match="the file lacks the key 'build'"):
        spec_of("name: x\n", tmp_path)
    with pytest.raises(UsageError, match="the file is a list of 2; expected a mapping"):
        spec_of("[1, 2]\n", tmp_path)


def test_a_product_of_a_million_is_refused_before_it_is_made(tmp_path: Path) -> None:
    values = ", ".join(map(str, range(1, 1001)))
    text = PLAIN.replace("  registry:", f"  seed: [{values}]\n  film-layers: [{values}]\n  registry:")
    with pytest.raises(UsageError, match=r"makes 4000000 cases \(2 substrate × 1000 seed × 1000 film-layers × 2"):
        spec_of(text, tmp_path)
    assert MOST_CASES >= 10_000


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: " * 5_000, "{" * 50 + "}" * 50, "x: &a [*a]\n", "- " * 3_000 + "x"]
)
def test_hostile_files_end_in_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        spec_of(text, tmp_path)
    assert len(str(caught.value)) < 1000


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.text(max_size=60))
def test_any_value_makes_a_harmless_folder_name(text: str) -> None:
    label = label_of(text)
    assert label
    assert label[0] not in "-."
    assert not set(label) & set(" /\\\n\r\t\0'\"$`;&|<>*?[]{}!#~:")
    assert label_of(label) == label


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.integers(), st.text(max_size=8)), max_size=4))
def test_any_yaml_is_refused_politely(content: dict[str, object]) -> None:
    import tempfile

    import yaml

    with tempfile.TemporaryDirectory() as folder, pytest.raises(QdipError):
        spec_of(yaml.safe_dump(content, allow_unicode=True), Path(folder))


def test_long_labels_stay_apart(tmp_path: Path) -> None:
    names = [f"{'x' * 150}{k}" for k in range(3)]
    text = PLAIN.replace("[CsPbBr3, CsPbI3]", f"[{', '.join(names)}]").replace(
        "registry: {over: continuation, hollow: hollow}", "seed: [0]"
    )
    labels = [case.label for case in expand(spec_of(text, tmp_path))]
    assert len(set(labels)) == 3
    assert max(map(len, labels)) < 130


@pytest.mark.parametrize(
    ("command", "request_class"),
    [(f"build {kind}", CONSTRUCTIONS[kind].request) for kind in ("interface", "slab", "dot", "embed", "attach")]
    + [("inputs", InputsRequest)],
)
def test_keys_and_defaults_are_those_of_the_flags(command: str, request_class: type) -> None:
    """One option, one name, one default: on the command line and in the file."""
    from qdip_struct.cli.main import _module_of, _parser_of

    not_keys = {
        "json",
        "out",
        "force",
        "config",
        "debug",
        "help",
        "format",
        "list",
        "dry-run",
        "site",
        "role",
        "group",
        *(["cell"] if command == "inputs" else []),
    }
    if command == "inputs":
        # Of structures from files; in a campaign the key stands under build.
        not_keys.add("charges")
    parser = _parser_of(command, _module_of(command))
    flags = {option[2:]: action for action in parser._actions for option in action.option_strings[-1:]}
    assert set(options_of(request_class)) == set(flags) - not_keys
    for item in fields(request_class):
        action = flags[item.name.replace("_", "-")]
        given = () if action.default == [] else action.default
        assert action.required or item.default == given, item.name


def test_options_of_build_and_inputs_never_share_a_name() -> None:
    inputs = set(options_of(InputsRequest))
    for kind in CONSTRUCTIONS.values():
        assert not inputs & set(options_of(kind.request))
