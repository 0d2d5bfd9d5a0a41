"""Which runs make one study: splitting, sharing, and leaving alone what does not belong."""

from dataclasses import replace

import numpy as np
import pytest

from qdip_struct.analysis.energies.comparability import EnergyRun
from qdip_struct.analysis.energies.groups import run_sets

PBS, PVK = {"Pb": 2, "S": 2}, {"Cs": 1, "Pb": 1, "Br": 3}


def run(role: str, *, group: str = "g", layers: tuple[int, int] = (3, 3), name: str = "", **facts: object) -> EnergyRun:
    film = {e: n * layers[0] for e, n in PBS.items()}
    n = (layers[1] - 1) // 2
    excess = {"Pb": 1, "Br": 2} if facts.get("termination", "BX2") == "BX2" else {"Cs": 1, "Br": 1}
    substrate = {e: n * PVK.get(e, 0) + excess.get(e, 0) for e in PVK}
    compositions = {
        "film": film,
        "substrate": substrate,
        "interface": {e: film.get(e, 0) + substrate.get(e, 0) for e in sorted({*film, *substrate})},
        "film_bulk": {"Pb": 4, "S": 4},
        "film_bulk_free": {"Pb": 4, "S": 4},
        "substrate_bulk": PVK,
        "reservoir": {"Cs": 1, "Br": 1},
    }
    bulk = role not in ("film", "substrate", "interface")
    return EnergyRun(
        path=f"{group}/{name or role}",
        role=role,
        group=group,
        status="done",
        energy_ev=-1.0,
        composition=compositions[role],
        cell=np.diag([6.0, 6.0, 6.0 if bulk else 30.0]),
        settings={"functional": "PBE", "kpoints": (4, 4, 6 if bulk else 1)},
        run_type="ENERGY",
        facts={
            "film": "PbS",
            "substrate": "CsPbBr3",
            "film_layers": layers[0],
            "substrate_layers": layers[1],
            "termination": "BX2",
            **facts,
        },
    )


BASE = [run(role) for role in ("film", "substrate", "interface", "film_bulk", "substrate_bulk", "reservoir")]


def roles(item: object) -> dict[str, str]:
    return {r.role: r.path for r in item.runs}  # type: ignore[attr-defined]


def test_a_plain_group_stays_as_it_is() -> None:
    (item,) = run_sets(BASE)
    assert item.name == "g"
    assert len(item.runs) == len(BASE)
    assert item.borrowed == {}


def test_gaps_and_registries_of_one_group_share_its_slabs() -> None:
    scan = [
        run("interface", name=f"i{k}", registry="hollow" if k > 1 else "metal", gap_angstrom=3.0 + 0.2 * (k % 2))
        for k in range(4)
    ]
    sets = run_sets([*BASE[:2], *BASE[3:], *scan])
    assert [item.name for item in sets] == [
        f"g [registry {name}, gap {gap} Å]" for name in ("metal", "hollow") for gap in ("3", "3.2")
    ]
    for item in sets:
        assert roles(item)["film"] == "g/film"
        assert roles(item)["film_bulk"] == "g/film_bulk"


def test_thicknesses_of_one_group_keep_their_own_slabs() -> None:
    thick = [run(role, layers=(5, 5), name=f"{role}5") for role in ("film", "substrate", "interface")]
    sets = {item.name: roles(item) for item in run_sets([*BASE, *thick])}
    assert sets["g [3+3 layers]"]["film"] == "g/film"
    assert sets["g [5+5 layers]"]["film"] == "g/film5"
    assert sets["g [5+5 layers]"]["substrate"] == "g/substrate5"
    assert sets["g [5+5 layers]"]["reservoir"] == "g/reservoir"


def test_relaxed_and_unrelaxed_slabs_of_one_group_are_two_studies() -> None:
    relaxed = [
        replace(item, path=f"{item.path}_relaxed", run_type="GEO_OPT") for item in BASE if item.role in
        ("film", "substrate", "interface")
    ]  # fmt: skip
    sets = {item.name: roles(item) for item in run_sets([*BASE, *relaxed])}
    assert set(sets) == {"g [unrelaxed]", "g [relaxed]"}
    assert sets["g [relaxed]"]["film"] == "g/film_relaxed"
    assert sets["g [unrelaxed]"]["film"] == "g/film"


def test_two_runs_of_the_same_make_stay_together_to_be_refused() -> None:
    (item,) = run_sets([*BASE, replace(BASE[0], path="g/film_again")])
    assert [r.role for r in item.runs].count("film") == 2


def test_films_without_an_interface_are_split_by_thickness() -> None:
    films = [run("film", layers=(n, 3), name=f"film{n}") for n in (3, 5, 7)]
    sets = run_sets([*films, run("film_bulk")])
    assert len(sets) == 3
    assert all("film_bulk" in roles(item) for item in sets)


def test_missing_parts_come_from_another_group() -> None:
    other = [run("interface", group="h", registry="hollow"), run("substrate", group="h")]
    sets = {item.name: item for item in run_sets([*BASE, *other])}
    assert roles(sets["h"])["film"] == "g/film"
    assert roles(sets["h"])["film_bulk"] == "g/film_bulk"
    assert roles(sets["h"])["reservoir"] == "g/reservoir"
    assert sets["h"].borrowed["g/film"] == "g"
    assert sets["g"].borrowed == {}


def test_a_borrowed_slab_completes_the_interface_even_when_the_builder_said_nothing() -> None:
    bare = [replace(item, facts={}) for item in (run("interface", group="h"), run("substrate", group="h"))]
    sets = {item.name: item for item in run_sets([*[replace(item, facts={}) for item in BASE], *bare])}
    assert roles(sets["h"])["film"] == "g/film"
    thick = [
        replace(item, facts={}) for item in (run("interface", group="h", layers=(5, 3)), run("substrate", group="h"))
    ]
    sets = {item.name: item for item in run_sets([*[replace(item, facts={}) for item in BASE], *thick])}
    assert "film" not in roles(sets["h"])


def test_the_other_termination_serves_for_the_mean() -> None:
    other = [run(role, group="h", termination="AX") for role in ("film", "substrate", "interface")]
    sets = {item.name: item for item in run_sets([*BASE, *other])}
    assert roles(sets["g"])["substrate_other"] == "h/substrate"
    assert roles(sets["h"])["substrate_other"] == "g/substrate"
    thick = [run(role, group="h", termination="AX", layers=(3, 5)) for role in ("film", "substrate", "interface")]
    sets = {item.name: item for item in run_sets([*BASE, *thick])}
    assert "substrate_other" not in roles(sets["g"])


def test_both_terminations_may_stand_in_one_group() -> None:
    other = [run(role, name=f"{role}_AX", termination="AX") for role in ("substrate", "interface")]
    sets = {item.name: item for item in run_sets([*BASE, *other])}
    assert set(sets) == {"g [BX2]", "g [AX]"}
    for name, end, far in (("g [BX2]", "", "_AX"), ("g [AX]", "_AX", "")):
        assert roles(sets[name])["film"] == "g/film"
        assert roles(sets[name])["substrate"] == f"g/substrate{end}"
        assert roles(sets[name])["substrate_other"] == f"g/substrate{far}"
        assert sets[name].borrowed == {}


def test_what_differs_is_not_borrowed() -> None:
    wanting = [run("interface", group="h"), run("substrate", group="h")]
    for change in (
        {"settings": {"functional": "PBESOL", "kpoints": (4, 4, 1)}},
        {"run_type": "GEO_OPT"},
        {"status": "walltime"},
        {"cell": np.diag([6.1, 6.0, 30.0])},
        {"facts": {**BASE[0].facts, "film": "PbSe"}},
    ):
        sets = {item.name: item for item in run_sets([replace(BASE[0], **change), *wanting])}
        assert "film" not in roles(sets["h"]), change


def test_of_several_that_fit_the_lowest_is_borrowed_and_said() -> None:
    wanting = [run("interface", group="h"), run("substrate", group="h")]
    high, low = run("film", group="a"), replace(run("film", group="b"), energy_ev=-1.5)
    sets = {item.name: item for item in run_sets([high, low, *wanting])}
    assert roles(sets["h"])["film"] == "b/film"
    assert "the lowest is b/film" in sets["h"].warnings[0]
    sets = {item.name: item for item in run_sets([high, replace(low, energy_ev=-1.0), *wanting])}
    assert roles(sets["h"])["film"] == "a/film"
    assert sets["h"].warnings == ()


def test_the_order_of_the_runs_does_not_matter() -> None:
    runs = [*BASE, run("interface", group="h"), run("substrate", group="h"), run("film", group="k")]
    one, two = run_sets(runs), run_sets(runs[::-1])
    assert [(item.name, roles(item), item.borrowed) for item in one] == [
        (item.name, roles(item), item.borrowed) for item in two
    ]


@pytest.mark.parametrize("a", [6.0, 6.0002679, 6.1234567, 7.00005])
@pytest.mark.parametrize("off", [-9e-7, 0.0, 9e-7])
def test_lateral_cells_that_agree_are_found_wherever_they_lie(a: float, off: float) -> None:
    def at(item: EnergyRun, length: float) -> EnergyRun:
        return replace(item, cell=np.diag([length, length, item.cell[2, 2]]))

    lent = [at(run(role, group="lender"), a + off) for role in ("film", "substrate", "film_bulk", "substrate_bulk")]
    other = [at(run("film", group="far"), a + 1e-4)]
    (item,) = [s for s in run_sets([*lent, *other, at(run("interface"), a)]) if s.group == "g"]
    assert item.borrowed == {
        f"lender/{name}": "lender" for name in ("film", "substrate", "film_bulk", "substrate_bulk")
    }


def test_a_lender_of_unknown_make_serves_when_its_atoms_are_those_that_lack() -> None:
    silent = replace(run("film", group="lender"), facts={})
    (item,) = [s for s in run_sets([silent, run("substrate"), run("interface")]) if s.group == "g"]
    assert roles(item)["film"] == "lender/film"


def test_what_is_lent_does_not_depend_on_how_many_lend() -> None:
    lenders = [replace(run("film", group=f"l{k:02d}"), energy_ev=-1.0 + 0.1 * (k % 7)) for k in range(40)]
    (item,) = [s for s in run_sets([*lenders, run("substrate"), run("interface")]) if s.group == "g"]
    assert roles(item)["film"] == "l00/film"
    spread = 1000 * 0.6 / sum(lenders[0].composition.values())
    assert item.warnings == (f"40 runs could be its film, {spread:.1f} meV per atom apart; the lowest is l00/film",)
