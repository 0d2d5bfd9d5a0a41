"""The same name, data set and temperature give one lattice constant in every command.

The oracle is arithmetic with the numbers of crystals.yaml and properties.yaml, written out here.
"""

from pathlib import Path

import numpy as np
import pytest

from qdip_struct.analysis.strain.phases import find_phases
from qdip_struct.analysis.strain.reference import references_of
from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import options_of
from qdip_struct.builders.dot import dot_request
from qdip_struct.builders.interface.interface_request import InterfaceRequest, requested_interfaces
from qdip_struct.builders.slab.slab_request import SlabRequest, requested_slabs, requested_surface
from qdip_struct.campaign.constructions import CONSTRUCTIONS
from qdip_struct.matching.screening import screen
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.elasticity import mixed_moduli
from qdip_struct.materials.loading import loading_from_mass
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.structure_files import crystal_named, crystal_of
from qdip_struct.papers.recipes import lattice_of

TEMPERATURES = (None, 298.0, 350.0, 413.0, 634.0)
ENDS = {  # Å at K, and 1/K
    "PbS": (5.936, 298.0, 20.3e-6),
    "PbSe": (6.124, 298.0, 19.4e-6),
    "CsPbBr3": (5.874, 413.0, 33e-6),
    "CsPbI3": (6.289, 634.0, 40e-6),
    "MAPbBr3": (5.930, 298.0, 33e-6),
    "MAPbI3": ((8.849**2 * 12.642 / 4) ** (1 / 3), 293.0, 43e-6),
}


def by_hand(shares: dict[str, float], temperature: float | None) -> float:
    """Vegard's rule between end members at T; the data set is for 298 K."""
    total = 0.0
    for name, share in shares.items():
        a, at, alpha = ENDS[name]
        total += share * a * (1.0 + alpha * ((298.0 if temperature is None else temperature) - at))
    return total


def compositions() -> list[tuple[str, dict[str, float]]]:
    """50 formulas: 25 of CsPb(Br,I)3, 15 of MAPb(Br,I)3, 10 of Pb(S,Se)."""
    found: list[tuple[str, dict[str, float]]] = []
    for cation, count in (("Cs", 25), ("MA", 15)):
        for x in np.linspace(0.0, 1.0, count).round(4).tolist():
            bromine, iodine = round(3 * x, 4), round(3 - 3 * x, 4)
            text = "".join(f"{name}{n:g}" for name, n in (("Br", bromine), ("I", iodine)) if n)
            found.append((f"{cation}Pb{text}", {f"{cation}PbBr3": bromine / 3, f"{cation}PbI3": iodine / 3}))
    for x in np.linspace(0.0, 1.0, 10).round(3).tolist():
        text = "".join(f"{name}{n:g}" if n < 1 else name for name, n in (("S", x), ("Se", round(1 - x, 3))) if n)
        found.append((f"Pb{text}", {"PbS": x, "PbSe": 1 - x}))
    return found


def words(temperature: float | None) -> list[str]:
    return [] if temperature is None else ["--temperature", f"{temperature:g}"]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_fifty_compositions_have_one_constant_behind_every_command(temperature: float | None) -> None:
    assert len(compositions()) == 50
    for text, shares in compositions():
        expected = by_hand(shares, temperature)
        binary = text.startswith("PbS")
        dot, matrix = (text, "CsPbI3") if binary else ("PbS", text)
        found = screen(dot, matrix=matrix, temperature=temperature, points=2)
        given = loading_from_mass(dot, matrix=matrix, mass_ratio=1.0, mass_of="matrix", temperature=temperature)
        surface = requested_surface(SlabRequest(material=text, temperature=temperature))
        metals = int(np.isin(surface.sites.sublattice, ("B", "cation")).sum())
        per_metal = abs(float(np.linalg.det(surface.sites.cell))) / metals
        crystal = crystal_of(text, temperature=temperature)
        assert isinstance(crystal, Crystal)
        every = {
            "screen": float((found.a_dot if binary else found.a_matrix)[0]),
            "match, planes": crystal.a_angstrom,
            "elastic": mixed_lattice_constant(text, temperature=temperature).a_angstrom,
            "loading": given.lattices["dot" if binary else "matrix"].a_angstrom,
            "slab": (per_metal * (4 if binary else 1)) ** (1 / 3),
        }
        for command, value in every.items():
            assert value == pytest.approx(expected, abs=1e-9), (command, text, temperature)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_match_planes_elastic_and_strain_print_it(temperature: float | None, qdip_json, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    at, given = 298.0 if temperature is None else temperature, words(temperature)
    for text, shares in compositions()[3:50:6]:
        other = "CsPbBr3" if text.startswith("PbS") else "PbS"
        expected, beside = by_hand(shares, temperature), by_hand({other: 1.0}, temperature)
        _, match = qdip_json("match", other, "100", text, "100", "--max-area", "40", *given)
        _, planes = qdip_json("planes", text, "--plane", "100", *given)
        _, elastic = qdip_json("elastic", "--film", other, "--substrate", text, "--film-thickness", "20", *given)
        side, crystal, lattice = match["substrate"], planes["crystals"][0], elastic["lattices"]["matrix"]
        for entry in (side, crystal, lattice):
            assert entry["a_angstrom"] == pytest.approx(expected, abs=1e-9)
            assert entry["temperature_kelvin"] == at and f"{at:g} K" in entry["source"]
        assert match["film"]["a_angstrom"] == pytest.approx(beside, abs=1e-9)
        assert elastic["lattices"]["dot"]["a_angstrom"] == pytest.approx(beside, abs=1e-9)


@pytest.mark.parametrize("temperature", (None, 413.0))
@pytest.mark.parametrize("text, bromine", [("CsPbBr2.25I0.75", 0.75), ("CsPbBr3", 1.0), ("CsPbBr1.5I1.5", 0.5)])
def test_builds_strain_and_papers_have_it(text: str, bromine: float, temperature: float | None) -> None:
    expected = by_hand({"CsPbBr3": bromine, "CsPbI3": 1.0 - bromine}, temperature)
    sulfide = by_hand({"PbS": 1.0}, temperature)
    at = 298.0 if temperature is None else temperature
    _, bulk = dot_request.requested_bulk(dot_request.BulkRequest(material=text, cells="2,2,2", temperature=temperature))
    slabs = requested_slabs(SlabRequest(material=text, repeat="2,2", temperature=temperature))
    (interface,) = requested_interfaces(
        InterfaceRequest(film="PbS", substrate=text, repeat="2,2", temperature=temperature)
    ).values()
    embedded = dot_request.requested_embedding(
        dot_request.EmbedRequest(dot="PbS", matrix=text, diameter=18.0, cells="5,5,5", temperature=temperature)
    )
    attached = dot_request.requested_attachment(
        dot_request.AttachRequest(dot="PbS", matrix=text, diameter=12.0, cells="4,4,2", temperature=temperature)
    )
    _, dot = dot_request.requested_dot(dot_request.DotRequest(material="PbS", diameter=12.0, temperature=temperature))
    for report, part, value in (
        (bulk, "material", expected),
        (slabs[""].report, "substrate", expected),
        (interface.report, "substrate", expected),
        (interface.report, "film", sulfide),
        (embedded.report, "matrix", expected),
        (attached.report, "matrix", expected),
        (attached.report, "dot", sulfide),
        (dot, "dot", sulfide),
    ):
        assert report["lattice_angstrom"][part] == pytest.approx(value, abs=1e-9)
        assert report["temperature_kelvin"][part] == at
    assert np.linalg.det(embedded.atoms.cell.array) == pytest.approx((5 * expected) ** 3)
    assert slabs[""].report["area_angstrom2"] == pytest.approx((2 * expected) ** 2)
    assert interface.area_angstrom2 == pytest.approx((2 * expected) ** 2)
    references = references_of(find_phases(embedded.atoms), temperature=temperature)
    (name,) = (name for name in references if name != "PbS")
    assert references["PbS"].lattice_angstrom == pytest.approx(sulfide, abs=1e-9)
    if bromine == 1.0:
        assert references[name].lattice_angstrom == pytest.approx(expected, abs=1e-9)
        assert references[name].temperature_kelvin == at and bool(references[name].warnings) == (at < 403.0)
    if temperature is None:
        assert lattice_of(text, "xrd_298K") == pytest.approx(expected, abs=1e-9)


def test_strain_of_a_mixture_takes_the_constant_it_was_built_with() -> None:
    request = dot_request.EmbedRequest(
        dot="PbS", matrix="CsPbBr2.25I0.75", diameter=18.0, cells="5,5,5", temperature=350.0
    )
    built = dot_request.requested_embedding(request)
    named = references_of(
        find_phases(built.atoms),
        structures={name: "CsPbBr2.25I0.75" for name in find_phases(built.atoms).roles if name != "PbS"},
        temperature=350.0,
    )
    (matrix,) = (one for name, one in named.items() if name != "PbS")
    assert matrix.lattice_angstrom == pytest.approx(by_hand({"CsPbBr3": 0.75, "CsPbI3": 0.25}, 350.0), abs=1e-9)


def test_a_paper_s_set_and_a_calculated_one_stay_as_they_are() -> None:
    assert crystal_named("CsPbBr2I", dataset="liu2019").a_angstrom == pytest.approx(6.21 - 0.36 * 2 / 3, abs=1e-12)
    for word, a in (("PbS", 6.008), ("CsPbBr2I", 6.131), ("CsPbI1Br2", 6.131)):
        assert crystal_named(word, dataset="pbe_cp2k").a_angstrom == a
        mixed = mixed_lattice_constant(word, dataset="pbe_cp2k")
        assert mixed.a_angstrom == a and mixed.temperature_kelvin is None
    with pytest.raises(UsageError, match="leave the temperature"):
        crystal_named("PbS", dataset="pbe_cp2k", temperature=298.0)


def test_a_crystal_without_a_coefficient_keeps_its_own_temperature_and_says_so(qdip, qdip_json) -> None:  # type: ignore[no-untyped-def]
    crystal = crystal_named("CsPbCl3")
    assert (crystal.a_angstrom, crystal.temperature_kelvin) == (5.605, 325.0)
    assert "no thermal expansion coefficient" in crystal.warnings[0]
    assert screen("PbS", matrix="CsPbCl3").a_matrix[0] == 5.605
    _, built, err = qdip("build", "slab", "--material", "CsPbCl3", "--dry-run")
    assert "5.6050 Å at 325 K" in built and "warning: CsPbCl3:cubic is taken at 325 K" in err
    mixed = mixed_lattice_constant("CsPbBrCl2")
    bromide = by_hand({"CsPbBr3": 1.0}, None)
    assert mixed.a_angstrom == pytest.approx((bromide + 2 * 5.605) / 3) and mixed.temperature_kelvin is None
    assert "at 298 K" in mixed.source and "at 325 K" in mixed.source
    for command in (
        ("screen", "--dot", "PbS", "--matrix", "CsPbCl3"),
        ("match", "PbS", "100", "CsPbCl3", "100"),
        ("planes", "CsPbCl3"),
        ("build", "slab", "--material", "CsPbCl3", "--dry-run"),
        ("build", "embed", "--dot", "PbS", "--matrix", "CsPbCl3"),
    ):
        code, _, err = qdip(*command, "--temperature", "400")
        assert code == 2 and "--temperature 325" in err and "--lattice" in err and "thermal_expansion" in err
    slab = requested_slabs(SlabRequest(material="CsPbCl3", temperature=400.0, lattice=5.62))[""]
    assert slab.report["lattice_angstrom"]["substrate"] == 5.62


@pytest.mark.parametrize("word", ["CsPbBr3", "CsPbI3", "CsPbBr2.25I0.75"])
def test_a_cell_outside_the_field_of_its_phase_is_said_in_every_command(word: str, qdip, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pair, small = ("--film", "PbS", "--substrate", word), ("--diameter", "18", "--cells")
    commands = {
        "screen": ("screen", "--dot", "PbS", "--matrix", word),
        "match": ("match", "PbS", "100", word, "100"),
        "planes": ("planes", word),
        "elastic": ("elastic", "--dot", "PbS", "--matrix", word),
        "film": ("elastic", *pair, "--film-thickness", "20"),
        "loading": ("loading", "--dot", "PbS", "--matrix", word, "--mass-ratio", "1"),
        "slab": ("build", "slab", "--material", word, "--repeat", "2,2", "--dry-run"),
        "interface": ("build", "interface", *pair, "--repeat", "2,2", "-o", tmp_path / "i"),
        "embed": ("build", "embed", "--dot", "PbS", "--matrix", word, *small, "5,5,5",
                  "-o", tmp_path / "e.extxyz"),
        "attach": ("build", "attach", "--dot", "PbS", "--matrix", word, *small, "5,5,2",
                   "-o", tmp_path / "a.extxyz"),
    }  # fmt: skip
    for name, command in commands.items():
        code, _, err = qdip(*command)
        assert code == 0 and "is extrapolated into the field of another phase" in err, name
        code, _, err = qdip(*command, "--temperature", "640", *(("--force",) if name[0] in "iea" else ()))
        assert code == 0 and "extrapolated" not in err, name


def test_two_temperatures_side_by_side_are_said(tmp_path: Path, qdip) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.yaml"  # a set without a temperature: every record as it stands
    records = [
        ("PbS", "rocksalt", 5.936, 298),
        ("CsPbBr3", "perovskite", 5.874, 413),
        ("CsPbI3", "perovskite", 6.289, 634),
    ]
    path.write_text(
        "crystals:\n"
        + "".join(
            f"  - {{name: {name}, phase: cubic, structure_type: {kind}, a: {a}, temperature_kelvin: {t}, source: s}}\n"
            for name, kind, a, t in records
        )
    )
    given = ("--dataset", "mine", "--crystals", path)
    for command in (
        ("match", "PbS", "100", "CsPbI3", "100"),
        ("screen", "--dot", "PbS", "--matrix", "CsPbI3"),
        ("elastic", "--dot", "PbS", "--matrix", "CsPbI3"),
        ("planes", "CsPbBr2I"),
        ("screen", "--dot", "PbS", "--matrix", "CsPb(Br,I)3"),
    ):
        code, _, err = qdip(*command, *given)
        assert code == 0 and "at different temperatures stand side by side" in err and " at 634 K" in err
        code, _, err = qdip(*command, *given, "--temperature", "640")
        assert code == 0 and "side by side" not in err


def test_inside_its_field_a_phase_is_not_warned_of() -> None:
    assert crystal_named("CsPbBr3", temperature=403.0).warnings == ()
    assert "above 403 K" in crystal_named("CsPbBr3", temperature=402.0).warnings[0]
    assert "from 162.2 to 327.4 K" in crystal_named("MAPbI3:tetragonal", temperature=330.0).warnings[0]
    assert crystal_named("MAPbI3").warnings == crystal_named("PbS", temperature=500.0).warnings == ()
    assert crystal_named("CsPbBr3", dataset="liu2019").warnings == ()
    # γ-CsPbI3 of 325 K has no coefficient of its own: that of the cubic phase is taken, and said.
    assert "expansion of its cubic phase" in crystal_named("CsPbI3:gamma").warnings[0]


@pytest.mark.parametrize("kind", ["interface", "slab", "bulk", "dot", "embed", "attach"])
def test_a_campaign_takes_the_temperature(kind: str) -> None:
    assert "temperature" in options_of(CONSTRUCTIONS[kind].request)


def test_the_reservoir_has_its_data_set_and_temperature_by_name(qdip, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    own = requested_slabs(SlabRequest(material="CsPbBr3"))[""].report
    assert own["reservoir"] == "CsBr" and "4.2860 Å, xrd_298K" in own["reservoir_source"]
    assert "298 K" in own["reservoir_source"]
    computed = requested_slabs(SlabRequest(material="CsPbBr3", dataset="pbe_cp2k"))[""].report
    assert "xrd_298K" in computed["reservoir_source"] and computed["dataset"] == "pbe_cp2k"
    warm = requested_slabs(SlabRequest(material="CsPbBr3", temperature=413.0))[""].report
    assert any("the reservoir CsBr is taken at 298 K, not at 413 K" in told for told in warm["lattice_warnings"])
    _, out, _ = qdip("build", "interface", "--film", "PbS", "--substrate", "CsPbI3", "-o", tmp_path)
    assert "CsI:cscl 4.5670 Å, xrd_298K" in out


def test_cubic_constants_of_an_alloy_lead_up_to_its_end_members() -> None:
    for end, beside in (
        ("MAPbBr3", "MAPbBr2.999I0.001"),
        ("MAPbI3", "MAPbI2.999Br0.001"),
        ("PbS", "PbS0.9997Se0.0003"),
        ("CsPbI3", "CsPbI2.999Br0.001"),
        ("CsPbBr3", "CsPbBr2.999I0.001"),
    ):
        pure, mixed = mixed_moduli(end), mixed_moduli(beside)
        assert pure is not None and mixed is not None
        for what in ("bulk", "shear", "biaxial", "young"):
            assert getattr(mixed, what) == pytest.approx(getattr(pure, what), rel=2e-3), (what, end)
    half = mixed_moduli("PbS0.5Se0.5")
    assert half is not None
    assert (half.c11, half.c12, half.c44) == pytest.approx(((126 + 123.7) / 2, (16.2 + 19.3) / 2, (17.1 + 15.9) / 2))


def test_the_energy_of_a_film_does_not_jump_where_the_substrate_becomes_an_alloy(qdip_json) -> None:  # type: ignore[no-untyped-def]
    for side in ("film", "substrate"):
        energy = {}
        for word in ("MAPbBr3", "MAPbBr2.999I0.001"):
            pair = {"film": "PbS", "substrate": "PbS", side: word}
            layers = ("--film-thickness", "20", "--substrate-thickness", "60", "--misfit", "0.02")
            _, found = qdip_json("elastic", "--film", pair["film"], "--substrate", pair["substrate"], *layers)
            energy[word] = found["energy_j_per_m2"]
        assert energy["MAPbBr2.999I0.001"] == pytest.approx(energy["MAPbBr3"], rel=1e-3)


def test_screen_and_elastic_mix_moduli_alike(qdip_json) -> None:  # type: ignore[no-untyped-def]
    found = screen("PbS", matrix="MAPb(Br,I)3", points=5)
    _, elastic = qdip_json("elastic", "--dot", "PbS", "--matrix", found.formula_at(2, "matrix"))
    assert found.dot_strain[2] == pytest.approx(elastic["cases"][0]["dot_strain"], rel=1e-9)


def test_an_alloy_film_relaxes_along_its_normal_by_its_cubic_constants() -> None:
    request = InterfaceRequest(film="PbS0.5Se0.5", substrate="CsPbI3", normal="relaxed", repeat="2,1")
    report = requested_interfaces(request)[""].report
    ratio = report["normal_strain"]["film"] / report["strain_film"][0]
    assert ratio == pytest.approx(-2 * (16.2 + 19.3) / (126 + 123.7), abs=2e-3) and round(ratio, 3) == -0.284
