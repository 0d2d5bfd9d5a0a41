"""A pure or mixed material by name: a crystal whose sites may hold several species in given fractions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.alloy import decorate, whole_counts
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.materials.composition import Formula, parse_formula
from qdip_struct.materials.crystals import Crystal, scaled
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.options import Arrangement

MOST_SQS_SITES = 4000
"""Largest mixed sublattice that is arranged quasi-randomly."""


@dataclass(frozen=True)
class Material:
    """What a dot, a shell or a matrix is made of.

    Attributes
    ----------
    name
        Formula as typed.
    crystal
        Crystal that supplies cell and sites, at the lattice constant of the mixture.
    fractions
        Species and their fractions on each mixed sublattice, ``{"X": {"Br": 0.67, "I": 0.33}}``; empty when pure.
    """

    name: str
    crystal: Crystal
    fractions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def at(self, *, lattice: float) -> "Material":
        """The same material scaled to the (pseudo-)cubic lattice constant ``lattice`` in Å."""
        return replace(self, crystal=scaled(self.crystal, lattice=lattice))


def material(spec: str, *, dataset: str | None = None) -> Material:
    """Find a material: a crystal of the data set, or a mixture of its crystals by Vegard's rule.

    Parameters
    ----------
    spec
        ``PbS``, ``MAPbI3:tetragonal``, ``CsPbBr2I``, ``MAPbI2.5Br0.5``, ``PbS0.5Se0.5``, ``CdSe:zincblende``.
    dataset
        Data set of all end members.

    Raises
    ------
    UsageError
        If neither the crystal nor its end members are known, or the amounts are left open.
    """
    try:
        crystal = get_crystal(spec, dataset=dataset)
    except UsageError:
        formula = parse_formula(spec)
        if len(formula.end_members()) == 1:
            raise
        mixture = mixed_lattice_constant(formula, dataset=dataset)
        host = max(mixture.terms, key=lambda term: round(term[1], 9))[0]
        parent = replace(scaled(host, lattice=mixture.a_angstrom), source=mixture.source)
        return Material(formula.text, parent, fractions_of(formula))
    return Material(crystal.name, crystal)


def pure(what: Crystal | Material) -> Material:
    """A crystal as a material of itself alone; a material as it is."""
    return Material(what.name, what) if isinstance(what, Crystal) else what


def fractions_of(formula: Formula) -> dict[str, dict[str, float]]:
    """Species and fractions on each mixed sublattice of a formula whose fractions are all given."""
    return {
        site.label: dict(zip(site.species, site.fractions, strict=True))
        for site in formula.sublattices
        if site.fractions is not None and len(site.species) > 1
    }


def occupy(
    sites: SiteCell, *, fractions: Mapping[str, Mapping[str, float]], seed: int, arrangement: Arrangement = "random"
) -> SiteCell:
    """Distribute the species of mixed sublattices over ``sites`` with exact counts (largest remainder).

    Parameters
    ----------
    sites
        Sites to fill.
    fractions
        Species and their shares on each mixed sublattice.
    seed
        Decides which site gets which species.
    arrangement
        ``sqs`` (periodic sites only, see :mod:`qdip_struct.builders.atoms.alloy`) or ``random``. Sublattices of more
        than :data:`MOST_SQS_SITES` sites are arranged at random: their pair correlations vanish as 1/√n anyway.

    Raises
    ------
    UsageError
        If a sublattice is not in the crystal.
    """
    rng = np.random.default_rng(seed)
    for name, shares in fractions.items():
        members = np.flatnonzero(sites.sublattice == name)
        if not len(members):
            raise UsageError(f"{sites.name} has no sublattice '{name}' to mix {', '.join(shares)} on")
        if arrangement == "sqs" and len(members) <= MOST_SQS_SITES:
            sites, _ = decorate(sites, sublattice=name, fractions=shares, arrangement="sqs", seed=seed)
            continue
        species = sites.species.astype("U2")
        counts = whole_counts(list(shares.values()), len(members))
        species[rng.permutation(members)] = np.repeat(list(shares), counts)
        sites = replace(sites, species=species)
    return sites
