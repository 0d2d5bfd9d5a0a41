"""A shell around a core, on the core's lattice: evenly mixed or graded from the inside to the outside."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.atoms.material import occupy
from qdip_struct.builders.dot.shapes import Shape
from qdip_struct.materials.composition import parse_formula

Array = NDArray[Any]


@dataclass(frozen=True)
class Shell:
    """A shell on the lattice of the core.

    Attributes
    ----------
    name
        Formula.
    thickness
        Å.
    species
        Species and their fractions on ``cation`` and ``anion`` sites.
    graded
        Two species of one sublattice: the share of the first falls linearly from 1 at the core to 0 outside.
    """

    name: str
    thickness: float
    species: Mapping[str, Mapping[str, float]]
    graded: tuple[str, str] | None = None


def make_shell(formula: str, *, thickness: float) -> Shell:
    """Describe a shell: ``CdS``, ``Cd0.5Zn0.5S`` (mixed evenly), or ``CdZnS`` (open: graded from Cd to Zn).

    Raises
    ------
    UsageError
        If the formula is no binary compound of two-valued ions or the thickness is not a finite length above zero.
    """
    parsed = parse_formula(formula)
    if parsed.family != "binary":
        raise UsageError(f"the shell '{formula}' is no binary compound such as CdS or CdZnS")
    if not (math.isfinite(thickness) and thickness > 0):
        raise UsageError(f"the shell is {thickness:g} Å thick; expected a finite thickness above zero")
    species: dict[str, dict[str, float]] = {}
    graded = None
    for site in parsed.sublattices:
        shares = site.fractions or tuple(1.0 / len(site.species) for _ in site.species)
        species[site.label] = dict(zip(site.species, shares, strict=True))
        if site.free:
            if len(site.species) != 2 or graded is not None:
                raise UsageError(f"a graded shell runs between two species, as in CdZnS; '{formula}' leaves more open")
            graded = (site.species[0], site.species[1])
    return Shell(formula, thickness, species, graded)


def fill_shell(sites: SiteCell, *, region: Array, shape: Shape, shell: Shell, seed: int) -> SiteCell:
    """Give the shell's sites the shell's species, graded or mixed at random.

    Parameters
    ----------
    sites
        Sites of core and shell around the origin.
    region
        ``dot`` or ``shell`` for each, (n,).
    shape
        Shape of the core, from which depths in the shell are measured.
    shell
        What the shell is made of.
    seed
        Decides which site gets which species.
    """
    species = sites.species.astype("U2")
    members = np.flatnonzero(region == "shell")
    mixed = occupy(sites.take(members), fractions=shell.species, seed=seed)
    species[members] = mixed.species
    if shell.graded is not None and len(members):
        first, second = shell.graded
        slots = members[np.isin(species[members], (first, second))]
        depth = np.clip(shape.height(sites.positions[slots]) / shell.thickness, 0.0, 1.0)
        species[slots] = np.where(np.random.default_rng(seed).random(len(slots)) < 1.0 - depth, first, second)
    return replace(sites, species=species)
