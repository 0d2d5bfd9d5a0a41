"""Statements about stiffness, strain, interface energy and the size of the box that was computed."""

from collections.abc import Mapping

import numpy as np

from qdip_struct.analysis.energies.combination import combine_group
from qdip_struct.analysis.energies.energy_run import EnergyRun
from qdip_struct.base.units import MEV_PER_EV
from qdip_struct.builders.atoms.material import material
from qdip_struct.builders.atoms.occupation import Occupation
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.materials.elasticity import isotropic_moduli, known_moduli
from qdip_struct.materials.strain_sharing import share_dot
from qdip_struct.papers.recipe import Attempt, Recipe

SLAB_AREA = 26.88**2
"""Lateral cell of the slabs of Ning et al. 2015, Å²."""


def _continuum() -> list[Attempt]:
    dot, found = isotropic_moduli(53.0, shear=25.0), []
    for shear, words in ((3.7, "G = 3.7 GPa"), (None, "G from Poisson's ratio 0.3")):
        matrix = isotropic_moduli(12.2, shear=shear)
        infinite = share_dot(0.05, dot=dot, matrix=matrix)
        fixed = share_dot(0.05, dot=dot, matrix=matrix, surroundings="fixed", volume_fraction=0.1091)
        found.append(Attempt(f"infinite matrix, {words}", (100.0 * infinite.dot_strain,)))
        found.append(Attempt(f"fixed box of 50.6 Å, {words}", (100.0 * fixed.dot_strain,)))
    return found


def _bulk_modulus() -> list[Attempt]:
    moduli = known_moduli("PbS")
    return [] if moduli is None else [Attempt("C11 = 126, C12 = 16.2 GPa", (moduli.bulk,))]


def _interface_energy() -> list[Attempt]:
    """The paper's surface and adsorption energies, carried by slabs of its area through the sums of ``energies``."""
    return [
        Attempt(f"γ(PbS) = {gamma:g}, γ(MAPbI3) = 9, E_ad = 12 meV/Å²", (_combined(gamma, 9.0, 12.0),))
        for gamma in (9.0, 12.0)
    ]


def _combined(film: float, substrate: float, adsorption: float) -> float:
    unit = SLAB_AREA / MEV_PER_EV
    parts = {
        "film": ({"Pb": 1, "S": 1}, 2.0 * film * unit),
        "film_bulk": ({"Pb": 1, "S": 1}, 0.0),
        "substrate": ({"Cs": 1, "Pb": 1, "I": 3}, 2.0 * substrate * unit),
        "substrate_bulk": ({"Cs": 1, "Pb": 1, "I": 3}, 0.0),
        "interface": ({"Cs": 1, "Pb": 2, "S": 1, "I": 3}, (2.0 * film + 2.0 * substrate - adsorption) * unit),
    }
    side = float(np.sqrt(SLAB_AREA))
    runs = [
        EnergyRun(role, role, "ning2015", "done", energy, composition, np.diag([side, side, 150.0]), {})
        for role, (composition, energy) in parts.items()
    ]
    result, _ = combine_group("ning2015", runs)
    return float("nan") if result is None or not result.interface else result.interface[0].value


def _atoms_in_the_box() -> list[Attempt]:
    found = []
    for a_site, words in (("molecule", "methylammonium as a molecule"), ("Cs", "one ion on the A site")):
        dot, matrix = material("PbS"), material("MAPbI3:cubic")
        built = embed_dot(
            dot, matrix, form=DotForm(diameter=30.0), cells=(8, 8, 8), lattice=6.325, occupation=Occupation(a_site)
        )
        found.append(Attempt(words, (float(built.report["n_atoms"]),)))
    return found


STRAINS: Mapping[str, Recipe] = {
    "ning2015-Einter": Recipe((combine_group,), _interface_energy),
    "ning2015-natoms": Recipe((embed_dot,), _atoms_in_the_box),
    "ning2015-elastic": Recipe((isotropic_moduli, share_dot), _continuum),
    "ning2015-B": Recipe((known_moduli,), _bulk_modulus),
}
"""Recipes by the id of the statement."""
