"""AgBiS2 with Ag+ and Bi3+ on one site: an alloy whose ions differ in charge, neutral as a whole.

Formal charges are counted by hand: Ag +1, Bi +3, S -2.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.cells import Occupation, sites_of_crystal
from qdip_struct.builders.dot.dot import cut_dot, dot_atoms
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.dot.matrix import matrix_of
from qdip_struct.builders.dot.passivation import charge_of, passivate
from qdip_struct.builders.dot.shapes import make_shape
from qdip_struct.builders.slab.slab import build_slab
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.structure_files import crystal_of

STATES = {"Ag": 1, "Bi": 3, "S": -2, "I": -1}


@pytest.fixture(name="schapbachite")
def _schapbachite() -> Crystal:
    found = crystal_of(str(Path(__file__).parents[1] / "data" / "crystals" / "AgBiS2_dis.cif"))
    assert isinstance(found, Crystal)
    return found


def counted(atoms: Atoms) -> int:
    return sum(STATES[symbol] for symbol in atoms.get_chemical_symbols())


def test_before_ions_are_placed_a_site_has_the_mean_charge(schapbachite: Crystal) -> None:
    sites = sites_of_crystal(schapbachite)
    assert sorted(sites.charges.tolist()) == [-2.0] * 4 + [2.0] * 4


@pytest.mark.parametrize("arrangement", ["sqs", "random"])
@pytest.mark.parametrize(("plane", "layers"), [((1, 0, 0), 4), ((1, 1, 0), 4), ((1, 1, 1), 3)])
def test_slabs_have_the_charge_of_their_ions(
    schapbachite: Crystal, plane: tuple[int, int, int], layers: int, arrangement: str
) -> None:
    occupation = Occupation(arrangement=arrangement, seed=3)  # type: ignore[arg-type]
    cells = build_slab(schapbachite, plane=plane, layers=layers, repeat=(2, 2), occupation=occupation)
    for atoms, report in ((cells.slab, cells.report), (cells.bulk, cells.reports["substrate_bulk"])):
        assert report["formal_charge"]["total"] == counted(atoms)
        assert atoms.get_array("formal_charge").tolist() == [STATES[s] for s in atoms.get_chemical_symbols()]
    assert counted(cells.bulk) == 0
    assert cells.bulk.symbols.formula.reduce()[0].count() == {"Ag": 1, "Bi": 1, "S": 2}


def test_the_planes_are_those_of_rock_salt(schapbachite: Crystal) -> None:
    """Tasker: (100) has neutral layers, (111) charged ones with a dipole; the mean cation is that of PbS."""
    lead = get_crystal("PbS")
    for plane in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
        ours = build_slab(schapbachite, plane=plane, layers=4, repeat=(2, 2)).report["tasker_type"]
        assert ours == build_slab(lead, plane=plane, layers=4).report["tasker_type"]


def test_a_matrix_is_neutral_and_an_odd_one_refused(schapbachite: Crystal) -> None:
    whole = matrix_of(schapbachite, cells=(2, 2, 2)).atoms
    assert counted(whole) == 0 == whole.get_array("formal_charge").sum()
    # Three quarters of a rock-salt cell: three cations cannot be half silver and half bismuth.
    odd = replace(
        schapbachite, sites=schapbachite.sites[:3] + schapbachite.sites[4:7], n_formula_units=3, structure_type="other"
    )
    with pytest.raises(UsageError, match=r"hold no whole ions of unlike charge .* take a larger cell"):
        matrix_of(odd, cells=(1, 1, 1))


def test_shares_that_do_not_balance_are_refused(schapbachite: Crystal) -> None:
    silver = replace(schapbachite, occupancies={"cation": {"Ag": 0.25, "Bi": 0.75}})
    with pytest.raises(DataError, match=r"Ag1 \+1, Bi3 \+3, S4 -2 sum to \+2 e"):
        sites_of_crystal(silver)


def test_dots_are_made_neutral_by_their_ions(schapbachite: Crystal) -> None:
    dot = cut_dot(schapbachite, form=DotForm(make_shape("sphere", diameter=20.0)), seed=1)
    assert charge_of(dot) == counted(dot_atoms(dot)) != 0
    finished, changes = passivate(dot, ligand="I", seed=1)
    assert charge_of(finished) == counted(dot_atoms(finished)) == 0 and changes


def test_such_dots_go_into_a_matrix(schapbachite: Crystal) -> None:
    built = embed_dot(
        schapbachite, get_crystal("CsPbI3:cubic"), form=DotForm(make_shape("sphere", diameter=15.0)), cells=(4, 4, 4)
    )
    charge = {"Cs": 1, "Pb": 2, **STATES}
    assert sum(charge[s] for s in built.atoms.get_chemical_symbols()) == 0
    assert built.report["formal_charge"]["total"] == 0
    assert np.isin(["Ag", "Bi"], built.atoms.get_chemical_symbols()).all()


def test_the_arrangement_of_a_mixture_can_be_asked_for_in_every_body() -> None:
    """Quasi-random is nearer to the pairs of a random alloy than the mean of random draws; the counts are the same."""
    from qdip_struct.builders.atoms.alloy import correlation_error
    from qdip_struct.builders.atoms.cells import sites_of_atoms
    from qdip_struct.builders.dot.dot_request import (
        AttachRequest,
        BulkRequest,
        EmbedRequest,
        requested_attachment,
        requested_bulk,
        requested_embedding,
    )

    def halides(arrangement: str, seed: int) -> tuple[float, Counter[str]]:
        request = BulkRequest(material="CsPbBr2I", cells="3,3,3", arrangement=arrangement, seed=seed)  # type: ignore[arg-type]
        atoms, _ = requested_bulk(request)
        return correlation_error(sites_of_atoms(atoms), sublattice="X"), Counter(atoms.get_chemical_symbols())

    best, counts = halides("sqs", 0)
    drawn = [halides("random", seed) for seed in range(6)]
    assert all(found == counts for _, found in drawn) and best < min(error for error, _ in drawn)
    both: tuple[Literal["sqs", "random"], ...] = ("sqs", "random")
    placed = [
        requested_embedding(
            EmbedRequest(dot="PbS", diameter=14.0, matrix="CsPbBr2I", cells="4,4,4", arrangement=how, neutral="off")
        ).atoms
        for how in both
    ]
    assert placed[0].get_chemical_symbols() != placed[1].get_chemical_symbols()
    lying = [
        requested_attachment(
            AttachRequest(dot="PbS", diameter=12.0, matrix="CsPbBr2I", cells="4,4,2", arrangement=how)
        ).atoms
        for how in both
    ]
    assert lying[0].get_chemical_symbols() != lying[1].get_chemical_symbols()
