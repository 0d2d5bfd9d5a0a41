"""Noise of the density grid in the forces: seen in a finished run, and foretold for an input.

CP2K evaluates the density on an evenly spaced grid of finite cutoff, so energies and forces depend on where an atom
lies between two grid points ("egg-box" or "ripple" effect; CP2K's authors on it:
https://groups.google.com/g/cp2k/c/smlUwOyTiyE). No external force acts on a cell, so its forces must sum to zero; what
they sum to instead measures the noise. The tight semicore shells of Na and Zn need a far finer grid than the soft ones
of Pb, S and the heavy halides: at 300 Ry a lone Na⁺ feels several eV/Å, a lone Pb²⁺ nothing (measured, see
``cp2k_templates/grid_noise.yaml``).
"""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.cp2k_input import Section, find_section, get_values
from qdip_struct.base.documents import yaml_document
from qdip_struct.base.files import shipped
from qdip_struct.cp2k.inputs.input_settings import Problem, Subsys

LIMIT_EV_PER_ANGSTROM = 0.05
"""Noise per atom that no longer counts as small: the force criterion of a quick relaxation."""
FORETOLD_EV_PER_ANGSTROM = 2 * LIMIT_EV_PER_ANGSTROM
"""Force on a lone ion that an input is warned of: the table is good to a factor of two."""
_SMOOTHING = "XC/XC_GRID/XC_SMOOTH_RHO NN10 and XC_DERIV NN10_SMOOTH"


def net_force(forces: NDArray[np.float64]) -> float:
    """|Σ F| of all atoms, eV/Å, over the directions in which every atom is free.

    Parameters
    ----------
    forces
        (n, 3) eV/Å. CP2K prints an exact zero for a component that is held fixed; the reaction of such an atom is
        missing in the sum, so that direction is left out (and so is one that symmetry sets to zero).
    """
    free = (forces != 0.0).all(axis=0)
    return float(np.linalg.norm(forces.sum(axis=0)[free]))


def noise_per_atom(net: float, *, n_atoms: int) -> float:
    """|Σ F|/√n, eV/Å: the noise on one atom if every atom has its own.

    Parameters
    ----------
    net
        From :func:`net_force`, eV/Å.
    n_atoms
        n.
    """
    return net / float(np.sqrt(n_atoms))


def noise_doubt(net: float, *, n_atoms: int, cutoff_rydberg: float | None) -> str | None:
    """What a reader must know of a run whose forces do not sum to zero; ``None`` where the noise is small.

    Parameters
    ----------
    net
        From :func:`net_force`, eV/Å.
    n_atoms
        Of the cell.
    cutoff_rydberg
        That of the run, Ry.
    """
    noise = noise_per_atom(net, n_atoms=n_atoms)
    if noise <= LIMIT_EV_PER_ANGSTROM:
        return None
    grid = "the density grid" if cutoff_rydberg is None else f"the density grid (CUTOFF {cutoff_rydberg:g} Ry)"
    return (
        f"the forces sum to {net:.3g} eV/Å where they must to zero: {grid} is too coarse for these elements, about "
        f"{noise:.2g} eV/Å of noise on each atom; raise MGRID/CUTOFF ('qdip check' says what measured elements need)"
    )


@cache
def lone_ion_noise(*, smoothed: bool = False) -> dict[tuple[str, str], tuple[tuple[float, float], ...]]:
    """Measured noise by (element, potential): pairs of CUTOFF (Ry) and force on a lone ion (eV/Å), by CUTOFF.

    Parameters
    ----------
    smoothed
        With the density smoothed for the functional: ``XC_GRID/XC_SMOOTH_RHO NN10``, ``XC_DERIV NN10_SMOOTH``.
    """
    content = yaml_document(shipped("cp2k_templates", "grid_noise.yaml"))
    return {
        (element, potential): tuple(sorted((float(cutoff), float(force)) for cutoff, force in table.items()))
        for element, entry in content["smoothed" if smoothed else "plain"].items()
        for potential, table in entry.items()
    }


def needed_cutoff(element: str, potential: str, *, smoothed: bool = False) -> float | None:
    """Smallest measured CUTOFF, Ry, from which on a lone ion feels less than 0.1 eV/Å; ``None`` if not measured.

    Parameters
    ----------
    element, potential
        As in the input. Where even the finest measured grid is too coarse, the result is infinite.
    smoothed
        As in :func:`lone_ion_noise`.
    """
    table = lone_ion_noise(smoothed=smoothed).get((element, potential))
    if table is None:
        return None
    coarse = [index for index, (_, force) in enumerate(table) if force > FORETOLD_EV_PER_ANGSTROM]
    following = coarse[-1] + 1 if coarse else 0
    return table[following][0] if following < len(table) else float("inf")


def check_grid(tree: Section, subsys: Subsys) -> Iterator[Problem]:
    """A warning for each element whose measured noise at this CUTOFF, or at one above it, is large."""
    section = find_section(tree, "FORCE_EVAL/DFT/MGRID")
    stated = section.keywords("CUTOFF") if section else []
    smoothing = (get_values(tree, "FORCE_EVAL/DFT/XC/XC_GRID/XC_SMOOTH_RHO") or ["NONE"])[0].upper()
    if not stated or not re.fullmatch(r"\d+(\.\d*)?", stated[0].value) or smoothing not in ("NONE", "NN10"):
        return
    cutoff, smoothed = float(stated[0].value), smoothing == "NN10"
    for name in sorted(set(subsys.kinds)):
        kind = subsys.kind(name)
        if kind is None or kind.potential is None or kind.ghost:
            continue
        needed = needed_cutoff(kind.element, kind.potential, smoothed=smoothed)
        if needed is None or cutoff >= needed:
            continue
        table = lone_ion_noise(smoothed=smoothed)[kind.element, kind.potential]
        below = max((index for index, (at, _) in enumerate(table) if at <= cutoff), default=0)
        worst, force = max(table[below:], key=lambda entry: entry[1])
        where = (
            f"{kind.element} ({kind.potential}): at {worst:g} Ry the grid alone pushes a lone ion with {force:.2g} eV/Å"
        )
        tried = (
            f"lower than any that was tried for {where}" if force < FORETOLD_EV_PER_ANGSTROM else f"coarse for {where}"
        )
        message = f"CUTOFF {cutoff:g} Ry is {tried}"
        yield "warning", stated[0].line, message, _finer_grid(kind.element, kind.potential)


def _finer_grid(element: str, potential: str) -> str:
    plain = needed_cutoff(element, potential)
    smoothed = needed_cutoff(element, potential, smoothed=True)
    ways = [] if plain is None or np.isinf(plain) else [f"{plain:g} Ry"]
    if smoothed is not None and smoothed < (np.inf if plain is None else plain):
        ways.append(f"{smoothed:g} Ry with {_SMOOTHING}")
    if not ways:
        return "no measured grid is fine enough; compare energies only where every atom keeps its place on the grid"
    return f"use {' or '.join(ways)} in all runs of the group (less than {FORETOLD_EV_PER_ANGSTROM:g} eV/Å)"
