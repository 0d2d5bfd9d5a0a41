"""The records of the roles: sets written out by hand, and parts of an interface by their names."""

import subprocess
import sys
from collections.abc import Callable
from typing import get_args

import pytest

from qdip_struct.builders.roles import PARTS, ROLES, Role, RoleName, role_name, role_of

BULKS = {"film_bulk", "substrate_bulk", "film_bulk_free", "substrate_bulk_free"}
SETS: dict[str, tuple[Callable[[Role], bool], set[str]]] = {
    "stacks of layers": (
        lambda role: role.layered,
        {
            *("film", "substrate", "interface", "sandwich", "film_other", "substrate_other"),
            *("film_ghost", "substrate_ghost"),
        },
    ),
    "stacks without vacuum": (lambda role: role.layered and not role.has_vacuum, {"sandwich"}),
    "gamma of one slab": (lambda role: role.alone, {"film", "substrate", "film_other", "substrate_other"}),
    "dense along the normal": (lambda role: role.kind == "bulk", BULKS),
    "lateral cell of the slabs": (lambda role: role.coherent_bulk, {"film_bulk", "substrate_bulk"}),
    "lattice of its own": (lambda role: role.free_bulk, {"film_bulk_free", "substrate_bulk_free"}),
    "compared by density": (
        lambda role: role.crystal_alone,
        {"film_bulk_free", "substrate_bulk_free", "reservoir", "film_reservoir"},
    ),
    "free to change its cell": (
        lambda role: role.cell == "own",
        {"single", "dot", "embedded", "film_bulk_free", "substrate_bulk_free", "reservoir", "film_reservoir"},
    ),
    "as built before CP2K": (
        lambda role: not role.relaxed_first,
        {*BULKS, "reservoir", "film_reservoir", "film_ghost", "substrate_ghost"},
    ),
    "only for others": (
        lambda role: role.reference,
        {*BULKS, "reservoir", "film_reservoir", "film_ghost", "substrate_ghost", "film_other", "substrate_other"},
    ),
    "renamed where a slab is alone": (
        lambda role: role.file_name != role.name,
        {"substrate", "substrate_bulk", "substrate_other"},
    ),
}


@pytest.mark.parametrize("which", SETS)
def test_the_records_make_the_sets_that_energies_and_inputs_need(which: str) -> None:
    belongs, names = SETS[which]
    assert {role.name for role in ROLES.values() if belongs(role)} == names


def test_parts_are_told_by_the_first_word_and_every_name_has_a_record() -> None:
    assert tuple(ROLES) == get_args(RoleName)
    for name, role in ROLES.items():
        first = name.split("_")[0]
        assert role.name == name
        assert role.part == (first if first in PARTS else None)
    for part in PARTS:
        made = [role_name("bulk", part), role_name("bulk", part, cell="own"), role_name("ghost", part)]
        assert made == [f"{part}_bulk", f"{part}_bulk_free", f"{part}_ghost"]
        assert (role_name("slab", part), role_name("companion", part)) == (part, f"{part}_other")


def test_a_role_that_nobody_knows_is_kept_and_shares_nothing_with_the_known_ones() -> None:
    stray = role_of("spectator")
    assert (stray.name, stray.kind, stray.side) == ("spectator", "unknown", "substrate")
    assert not (stray.layered or stray.reference or stray.crystal_alone) and stray.cell == "shared"


def test_names_for_a_help_text_cost_neither_numpy_nor_ase() -> None:
    asked = "import sys, qdip_struct.builders.roles, qdip_struct.cp2k.tasks; print({'numpy', 'ase'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
