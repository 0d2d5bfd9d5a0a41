"""Energies per area: analytic cases, invariances, and refusal of everything that does not belong together."""

from dataclasses import replace

import numpy as np
import pytest
from known_energies import known_run

from qdip_struct.analysis.energies.comparability import EnergyRun, run_difference
from qdip_struct.analysis.energies.energies import adsorption_energy, combine_group, strain_energy, surface_energy
from qdip_struct.analysis.energies.stoichiometry import cells_of, reduced_formula
from qdip_struct.base.errors import MismatchError

SETTINGS = {
    "functional": "PBE",
    "basis": {"Pb": "DZVP-MOLOPT-SR-GTH", "S": "DZVP-MOLOPT-SR-GTH", "Br": "DZVP-MOLOPT-SR-GTH"},
    "potential": {"Pb": "GTH-PBE-q4", "S": "GTH-PBE-q6"},
    "cutoff_rydberg": 300.0,
    "rel_cutoff_rydberg": 40.0,
    "kpoints": (4, 4, 1),
    "spin": "RKS",
    "surface_dipole": False,
    "dispersion": None,
}
E_PBS, E_PVK, E_AX = -100.0, -300.0, -80.0
GAMMA_FILM, GAMMA_BX2, GAMMA_AX, E_AD = 0.017, 0.013, 0.007, 0.019
A = 36.0


def run(role: str, energy: float, composition: dict[str, int], *, height: float = 30.0, mesh=(4, 4, 1)) -> EnergyRun:
    settings = {**SETTINGS, "kpoints": mesh}
    return known_run(role, energy, composition, height=height, settings=settings, run_type="ENERGY_FORCE")


def group() -> dict[str, EnergyRun]:
    """A group whose energies are composed from known γ and E_ad."""
    film = 6 * E_PBS + 2 * A * GAMMA_FILM
    substrate = 2 * E_PVK - E_AX + 2 * A * GAMMA_BX2
    runs = [
        run("film", film, {"Pb": 6, "S": 6}),
        run("substrate", substrate, {"Cs": 1, "Pb": 2, "Br": 5}),
        run("substrate_other", E_PVK + E_AX + 2 * A * GAMMA_AX, {"Cs": 2, "Pb": 1, "Br": 4}),
        run("interface", film + substrate - A * E_AD, {"Pb": 8, "S": 6, "Cs": 1, "Br": 5}),
        run("film_bulk", 4 * E_PBS, {"Pb": 4, "S": 4}, height=6.0, mesh=(4, 4, 6)),
        run("film_bulk_free", 4 * (E_PBS - 0.003), {"Pb": 4, "S": 4}, height=6.0, mesh=(4, 4, 4)),
        run("substrate_bulk", E_PVK, {"Cs": 1, "Pb": 1, "Br": 3}, height=6.0, mesh=(4, 4, 6)),
        run("reservoir", E_AX, {"Cs": 1, "Br": 1}, height=6.0, mesh=(4, 4, 4)),
    ]
    return {item.role: item for item in runs}


def test_known_energies_come_back() -> None:
    result, refused = combine_group("g", group().values())
    assert not refused
    assert result is not None
    document = result.to_dict()
    assert document["area_angstrom2"] == pytest.approx(36.0)
    assert document["surface_energy_film_mev_per_angstrom2"] == pytest.approx(17.0)
    assert document["surface_energy_substrate_mev_per_angstrom2"] == pytest.approx(13.0)
    assert document["surface_energy_substrate_reference"] == "CsBr-rich"
    assert document["surface_energy_substrate_mean_of_terminations_mev_per_angstrom2"] == pytest.approx(10.0)
    assert document["adsorption_energy_mev_per_angstrom2"] == pytest.approx(19.0)
    assert document["interface_energy_mev_per_angstrom2"] == pytest.approx(17 + 13 - 19)
    assert document["strain_energy_film_mev_per_angstrom2"] == pytest.approx(1000 * 6 * 0.003 / 36)
    assert document["strain_energy_substrate_mev_per_angstrom2"] is None
    assert document["terms"]["film"]["n_formula_units"] == 6
    assert document["terms"]["film_bulk"]["n_formula_units"] == 4


def test_a_perovskite_film_is_referred_to_its_own_reservoir() -> None:
    """The film is CsBr-terminated CsPbBr3, the substrate PbI2-terminated CsPbI3: two potentials, two reservoirs."""
    e_iodide, e_csi, gamma = -280.0, -70.0, {"film": 0.008, "substrate": 0.012, "other": 0.010}
    film = 2 * E_PVK + E_AX + 2 * A * gamma["film"]
    substrate = 2 * e_iodide - e_csi + 2 * A * gamma["substrate"]
    runs = [
        run("film", film, {"Cs": 3, "Pb": 2, "Br": 7}),
        run("film_other", 3 * E_PVK - E_AX + 2 * A * gamma["other"], {"Cs": 2, "Pb": 3, "Br": 8}),
        run("substrate", substrate, {"Cs": 1, "Pb": 2, "I": 5}),
        run("interface", film + substrate - A * E_AD, {"Cs": 4, "Pb": 4, "Br": 7, "I": 5}),
        run("film_bulk", E_PVK, {"Cs": 1, "Pb": 1, "Br": 3}, height=6.0, mesh=(4, 4, 6)),
        run("substrate_bulk", e_iodide, {"Cs": 1, "Pb": 1, "I": 3}, height=6.0, mesh=(4, 4, 6)),
        run("reservoir", e_csi, {"Cs": 1, "I": 1}, height=6.0, mesh=(4, 4, 4)),
        run("film_reservoir", E_AX, {"Cs": 1, "Br": 1}, height=6.0, mesh=(4, 4, 4)),
    ]
    result, refused = combine_group("g", runs)
    assert not refused and result is not None
    document = result.to_dict()
    assert document["surface_energy_film_mev_per_angstrom2"] == pytest.approx(8.0)
    assert document["surface_energy_film_mean_of_terminations_mev_per_angstrom2"] == pytest.approx((8 + 10) / 2)
    assert document["surface_energy_substrate_mev_per_angstrom2"] == pytest.approx(12.0)
    assert document["interface_energy_mev_per_angstrom2"] == pytest.approx(8 + 12 - 19)
    assert document["interface_energy_reference"] == "CsBr-rich film, CsI-rich"
    # Without its reservoir the film has no energy of its own, and it is said why.
    result, refused = combine_group("g", [item for item in runs if item.role not in ("film_reservoir", "film_other")])
    assert result is not None and result.film is None
    assert any("needs a reservoir" in item.reason for item in refused)


def test_ning_2015_arithmetic() -> None:
    """9 + 9 - 12 = 6 meV/Å², doi:10.1038/nature14563."""
    members = group()
    film = replace(members["film"], energy_ev=6 * E_PBS + 2 * A * 0.009)
    substrate = run("substrate", 2 * E_PVK + 2 * A * 0.009, {"Cs": 2, "Pb": 2, "Br": 6})
    both = (film.energy_ev or 0) + (substrate.energy_ev or 0)
    interface = run("interface", both - A * 0.012, {"Pb": 8, "S": 6, "Cs": 2, "Br": 6})
    runs = [film, substrate, interface, members["film_bulk"], members["substrate_bulk"]]
    result, _ = combine_group("ning", runs)
    assert result is not None
    assert result.interface[0].value == pytest.approx(6.0)
    assert result.interface[0].reference == "stoichiometric"


def test_doubled_lateral_cell_gives_the_same_energies() -> None:
    def doubled(item: EnergyRun) -> EnergyRun:
        composition = {e: 2 * n for e, n in item.composition.items()}
        return replace(
            item, energy_ev=2 * (item.energy_ev or 0), composition=composition, cell=item.cell * [[2], [1], [1]]
        )

    one, _ = combine_group("g", group().values())
    two, _ = combine_group("g", [doubled(item) for item in group().values()])
    assert one is not None
    assert two is not None
    for key, value in one.to_dict().items():
        if key.endswith("mev_per_angstrom2") and value is not None:
            assert two.to_dict()[key] == pytest.approx(value, abs=1e-9), key


def test_two_reservoirs_give_both_limits() -> None:
    rich = run("reservoir", 4 * -215.0, {"Pb": 4, "Br": 8}, height=6.0, mesh=(4, 4, 4))
    result, refused = combine_group("g", [*group().values(), replace(rich, path="runs/z")])
    assert not refused
    assert result is not None
    assert [s.reference for s in result.substrate] == ["CsBr-rich", "PbBr2-rich"]
    substrate = group()["substrate"].energy_ev or 0
    assert result.substrate[1].value == pytest.approx(1000 * (substrate - E_PVK - -215.0) / (2 * A))


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("functional", "PBESOL", "functional"),
        ("cutoff_rydberg", 400.0, "cutoff"),
        ("rel_cutoff_rydberg", 60.0, "relative cutoff"),
        ("kpoints", (3, 3, 1), "in-plane k-points"),
        ("kpoints", None, "in-plane k-points"),
        ("spin", "UKS", "spin"),
        ("dispersion", "DFTD3(BJ)", "dispersion"),
        ("surface_dipole", True, "dipole"),
        ("basis", {"Pb": "TZVP-MOLOPT-SR-GTH"}, "basis set of Pb"),
        ("potential", {"Pb": "GTH-PBE-q14"}, "potential of Pb"),
    ],
)
@pytest.mark.parametrize("role", ["film", "substrate", "interface"])
def test_planted_mismatch_is_refused_by_name(key: str, value: object, word: str, role: str) -> None:
    members = group()
    members[role] = replace(members[role], settings={**members[role].settings, key: value})
    result, refused = combine_group("g", members.values())
    assert result is None or result.adsorption is None
    assert any(word in item.reason and f"runs/{role}" in item.paths for item in refused), refused


def test_other_lateral_cell_is_refused_but_another_height_is_not() -> None:
    members = group()
    wider = replace(members["substrate"], cell=np.diag([6.0, 6.00001, 30.0]))
    _, refused = combine_group("g", {**members, "substrate": wider}.values())
    assert any("lateral cell" in item.reason for item in refused)
    taller = replace(members["substrate"], cell=np.diag([6.0, 6.0, 55.0]))
    assert not combine_group("g", {**members, "substrate": taller}.values())[1]


@pytest.mark.parametrize("status", ["scf_unconverged", "max_steps", "walltime", "aborted", "truncated"])
def test_unfinished_runs_never_enter(status: str) -> None:
    members = group()
    members["interface"] = replace(members["interface"], status=status)
    result, refused = combine_group("g", members.values())
    assert result is not None
    assert result.adsorption is None
    assert result.interface == ()
    assert result.film is not None
    assert refused[0].paths == ("runs/interface",)
    assert status in refused[0].reason


def test_atoms_must_add_up_and_roles_must_be_unique() -> None:
    members = group()
    short = replace(members["interface"], composition={"Pb": 8, "S": 6, "Cs": 1, "Br": 4})
    _, refused = combine_group("g", {**members, "interface": short}.values())
    assert any("does not hold the atoms" in item.reason for item in refused)
    twice = [*members.values(), replace(members["film"], path="runs/film2")]
    result, refused = combine_group("g", twice)
    assert any("2 runs play the role 'film'" in item.reason for item in refused)
    assert result is None or result.film is None


def test_relaxed_and_unrelaxed_slabs_are_not_mixed() -> None:
    members = group()
    relaxed = replace(members["interface"], run_type="GEO_OPT")
    with pytest.raises(MismatchError, match="kind of run"):
        adsorption_energy(members["film"], members["substrate"], relaxed)


def test_coarse_reservoir_mesh_is_refused() -> None:
    members = group()
    coarse = replace(members["reservoir"], settings={**SETTINGS, "kpoints": (2, 2, 2)})
    assert "k-point density" in (run_difference(members["substrate"], coarse) or "")
    dense = replace(members["reservoir"], settings={**SETTINGS, "kpoints": (8, 8, 8)})
    assert run_difference(members["substrate"], dense) is None


def test_strain_energy_is_zero_for_the_same_crystal() -> None:
    members = group()
    free = replace(members["film_bulk_free"], energy_ev=members["film_bulk"].energy_ev)
    assert strain_energy(members["film"], members["film_bulk"], free) == 0


def test_formulas_and_formula_units() -> None:
    assert reduced_formula({"Br": 6, "Cs": 2, "Pb": 2}) == "CsPbBr3"
    assert reduced_formula({"Br": 8, "Pb": 4}) == "PbBr2"
    slab = {"Cs": 1, "Pb": 2, "Br": 5}
    assert cells_of(slab, [{"Cs": 1, "Pb": 1, "Br": 3}]) is None
    assert cells_of(slab, [{"Cs": 1, "Pb": 1, "Br": 3}, {"Cs": 1, "Br": 1}]) == (2, -1)
    assert cells_of({"Pb": 6, "S": 6}, [{"Pb": 4, "S": 4}]) == (1.5,)
    with pytest.raises(MismatchError, match="needs a reservoir run"):
        surface_energy(group()["substrate"], group()["substrate_bulk"])


def test_sandwich_and_counterpoise_energies() -> None:
    members = group()
    film, substrate = members["film"], members["substrate"]
    both = (film.energy_ev or 0) + (substrate.energy_ev or 0)
    atoms = members["interface"].composition
    runs = [
        *members.values(),
        run("sandwich", both - 2 * A * 0.021, dict(atoms), height=18.0),
        run("film_ghost", (film.energy_ev or 0) - A * 0.001, dict(film.composition)),
        run("substrate_ghost", (substrate.energy_ev or 0) - A * 0.0015, dict(substrate.composition)),
    ]
    result, refused = combine_group("g", runs)
    assert not refused
    assert result is not None
    assert result.adsorption == pytest.approx(19.0)
    assert result.adsorption_sandwich == pytest.approx(21.0)
    assert result.adsorption_counterpoise == pytest.approx(19.0 - 2.5)
    relaxed = [replace(item, run_type="GEO_OPT") if item.role != "film_bulk" else item for item in runs]
    result, refused = combine_group("g", relaxed)
    assert result is not None
    assert result.adsorption == pytest.approx(19.0)
    assert result.adsorption_counterpoise is None
    assert any("needs single points" in item.reason for item in refused)


@pytest.mark.parametrize(
    ("criterion", "limit"),
    [({}, 4.5e-4), ({"MAX_FORCE": 4.5e-4}, 4.5e-4), ({"MAX_FORCE": 1e-3}, 1e-3)],
    ids=["the default of CP2K", "asked", "looser"],
)
def test_a_bulk_single_point_counts_as_relaxed_within_the_criterion_of_the_slab(
    criterion: dict[str, float], limit: float
) -> None:
    """Each component below ``limit`` hartree/bohr is a force below √3 times that; 1 hartree/bohr is 51.42207 eV/Å."""
    members = group()
    slab = replace(members["film"], run_type="GEO_OPT", asked={"force_limits": criterion})
    largest = 3**0.5 * limit * 51.42207
    for factor, refused in ((0.999, False), (1.001, True)):
        bulk = replace(members["film_bulk"], max_force=factor * largest)
        for reason in (run_difference(slab, bulk), run_difference(bulk, slab)):
            assert ("relaxation" in (reason or "")) == refused


@pytest.mark.parametrize(("one", "two", "refused"), [(1, 3, True), (2, 4, True), (1, 1, False), (1, 2, False)])
def test_spin_states_of_one_parity_must_agree(one: int, two: int, refused: bool) -> None:
    """An odd number of electrons needs a doublet beside singlets; a triplet beside a singlet is another state."""
    members = group()
    first, second = (
        replace(members[role], settings={**SETTINGS, "multiplicity": value})
        for role, value in (("film", one), ("substrate", two))
    )
    assert ("multiplicity" in (run_difference(first, second) or "")) == refused
