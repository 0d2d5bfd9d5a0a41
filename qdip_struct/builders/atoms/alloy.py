"""Alloys: which ion sits on which site of a mixed sublattice, at random or special quasi-random, always by a seed.

The quasi-random arrangement is searched by exchanging ions until the pair probabilities of the first shells are those
of a random alloy (special quasi-random structures: A. Zunger et al., Phys. Rev. Lett. 65, 353 (1990), doi
10.1103/PhysRevLett.65.353). The search is our own because it must give the same bytes for the same seed: sqsgenerator
0.5.6 (MIT) gave two structures for one seed in one process, and icet 4.0 (MPL-2.0) offered no wheel for Python 3.11.

How far an arrangement of ions is from a random alloy: pair probabilities of the first shells, and their search.

Special quasi-random structures: A. Zunger et al., Phys. Rev. Lett. 65, 353 (1990), doi 10.1103/PhysRevLett.65.353.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.atoms.molecules import check_seed
from qdip_struct.builders.atoms.neighbours import neighbour_pairs
from qdip_struct.materials.ions import FORMAL_CHARGES
from qdip_struct.materials.options import Arrangement

SHELLS = 3
_MOST_STEPS = 4000


def correlation_error(sites: SiteCell, *, sublattice: str) -> float:
    """The correlation error of :class:`Decoration` of the ions as they sit on a sublattice."""
    index = np.flatnonzero(sites.sublattice == sublattice)
    names, kinds = np.unique(sites.species[index], return_inverse=True)
    return float(np.sqrt(pair_error(kinds, pair_shells(sites, index), len(names))))


def pair_shells(sites: SiteCell, index: Array) -> list[Any]:
    """Matrices of the first shells of a sublattice: share of neighbour pairs (images counted) between two sites.

    Dense up to two hundred sites, where that is faster, else sparse.
    """
    from scipy.sparse import coo_matrix

    points = sites.positions[index]
    pbc = np.ones(3, dtype=bool)
    cutoff = 2.2 * (abs(np.linalg.det(sites.cell)) / len(index)) ** (1 / 3) + 1.0
    one, two, distance = neighbour_pairs(points, targets=points, cell=sites.cell, pbc=pbc, cutoff=cutoff)
    far = distance > 0.1
    one, two, distance = one[far], two[far], distance[far]
    edges = np.sort(np.round(distance, 3))
    starts = edges[np.insert(np.diff(edges) > 0.25, 0, True)] if len(edges) else edges
    shell = np.searchsorted(starts, np.round(distance, 3), side="right") - 1
    shape = (len(index), len(index))
    found = []
    for k in range(min(SHELLS, len(starts))):
        chosen = shell == k
        shares = np.full(int(chosen.sum()), 1.0 / chosen.sum())
        matrix = coo_matrix((shares, (one[chosen], two[chosen])), shape=shape).tocsr()
        found.append(matrix.toarray() if len(index) <= 200 else matrix)
    return found


def pair_error(kinds: Array, shells: list[Any], n_kinds: int) -> float:
    """Mean square deviation of the pair probabilities from x_a·x_b."""
    occupation = np.eye(n_kinds)[kinds]
    shares = occupation.sum(axis=0) / len(kinds)
    ideal = np.outer(shares, shares)
    total = 0.0
    for shell in shells:
        deviation = occupation.T @ (shell @ occupation) - ideal
        total += float((deviation * deviation).sum())
    # Rounded, so that the last bit of a product, which differs between machines, cannot steer the search.
    return round(total / (len(shells) * n_kinds * n_kinds), 14) if shells else 0.0


def search_arrangement(kinds: Array, shells: list[Any], *, n_kinds: int, generator: np.random.Generator) -> Array:
    """Exchange pairs of unlike ions, cooling, and keep the best arrangement met.

    Parameters
    ----------
    kinds
        Species number of each site, (n,), the start.
    shells
        Pairs of sites by distance, from :func:`pair_shells`.
    n_kinds
        Number of species.
    generator
        Source of random numbers; the same one gives the same arrangement.

    Returns
    -------
    numpy.ndarray
        Species number of each site, (n,), the same counts as in ``kinds``.
    """
    if n_kinds < 2 or not shells:
        return kinds
    steps = min(_MOST_STEPS, 40 * len(kinds))
    current = pair_error(kinds, shells, n_kinds)
    best, best_error = kinds.copy(), current
    for step in range(steps):
        if best_error < 1e-12:
            break
        i, j = generator.integers(len(kinds), size=2)
        if kinds[i] == kinds[j]:
            continue
        kinds[i], kinds[j] = kinds[j], kinds[i]
        tried = pair_error(kinds, shells, n_kinds)
        temperature = 1e-4 * (1.0 - step / steps) ** 2 + 1e-12
        if tried <= current or generator.random() < np.exp((current - tried) / temperature):
            current = tried
            if tried < best_error - 1e-15:
                best, best_error = kinds.copy(), tried
        else:
            kinds[i], kinds[j] = kinds[j], kinds[i]
    return best


ARRANGEMENTS: tuple[str, ...] = get_args(Arrangement)
MOST_SQS_SITES = 4000
"""Largest mixed sublattice of a matrix that is arranged quasi-randomly: beyond, its pair correlations vanish as 1/√n
anyway."""


@dataclass(frozen=True)
class Decoration:
    """How one sublattice came out.

    Attributes
    ----------
    sublattice
        Label of the sublattice.
    requested, realised
        Fractions asked for and those of whole ions.
    n_sites
        Sites of the sublattice.
    correlation_error
        √(mean over the shells and pairs of species of (P_ab − x_a·x_b)²), P_ab the share of neighbour pairs a-b in a
        shell: 0 for a perfectly random alloy.
    """

    sublattice: str
    requested: Mapping[str, float]
    realised: Mapping[str, float]
    n_sites: int
    correlation_error: float


def decorate(
    sites: SiteCell,
    *,
    sublattice: str,
    fractions: Mapping[str, float],
    arrangement: Arrangement = "sqs",
    seed: int = 0,
    only: Array | None = None,
) -> tuple[SiteCell, Decoration]:
    """Put ions on a sublattice.

    Parameters
    ----------
    sites
        Sites in their periodic cell.
    sublattice
        Label of the sites to fill.
    fractions
        Share of each ion; the counts are whole numbers by largest remainder.
    arrangement, seed
        ``random``, or ``sqs``: least correlation error of the first three shells that the search finds.
    only
        Mask (n,) of the sites that may be filled.

    Raises
    ------
    UsageError
        If the cell has too few sites for one of the ions, or the sublattice is empty.
    """
    chosen = sites.sublattice == sublattice
    index = np.flatnonzero(chosen if only is None else chosen & only)
    if len(index) == 0:
        raise UsageError(f"{sites.name} has no sites of the sublattice {sublattice} to fill")
    _check_shares(fractions, sites, index)
    names = sorted(name for name, share in fractions.items() if share > 0)
    counts = whole_counts([fractions[name] for name in names], len(index))
    empty = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if empty:
        raise UsageError(
            f"{len(index)} sites of {sublattice} are too few for {fractions[empty[0]]:.4g} {empty[0]} in {sites.name}; "
            "take a larger lateral cell or more layers"
        )
    generator = np.random.default_rng(check_seed(seed))
    kinds = generator.permutation(np.repeat(np.arange(len(names)), counts))
    shells = pair_shells(sites, index)
    if arrangement == "sqs":
        kinds = search_arrangement(kinds, shells, n_kinds=len(names), generator=generator)
    elif arrangement != "random":
        raise UsageError(f"unknown arrangement '{arrangement}'; known: {', '.join(ARRANGEMENTS)}")
    return _filled(sites, index=index, names=np.array(names)[kinds]), Decoration(
        sublattice=sublattice,
        requested={name: float(fractions[name]) for name in names},
        realised={name: int(count) / len(index) for name, count in zip(names, counts, strict=True)},
        n_sites=len(index),
        correlation_error=round(float(np.sqrt(pair_error(kinds, shells, len(names)))), 10),
    )


def occupy(
    sites: SiteCell,
    *,
    occupancies: Mapping[str, Mapping[str, float]],
    seed: int,
    arrangement: Arrangement = "random",
) -> SiteCell:
    """Distribute the species of every mixed sublattice, in periodic sites or in a body cut from them.

    Parameters
    ----------
    sites
        Sites to fill; those of a cut body have no neighbours across a cell, so they take ``random`` only.
    occupancies
        Species and their shares on each mixed sublattice; the counts are whole numbers by largest remainder.
    seed
        Decides which site gets which species.
    arrangement
        ``sqs`` (:func:`decorate`, up to :data:`MOST_SQS_SITES` sites) or ``random``.

    Raises
    ------
    UsageError
        If a sublattice is not in the crystal, or :func:`decorate` refuses.
    """
    # Not the draw of `decorate`: here sites are drawn, there ions, and a seed must go on giving the bytes it gave.
    generator = np.random.default_rng(seed)
    for label, shares in occupancies.items():
        index = np.flatnonzero(sites.sublattice == label)
        if not len(index):
            raise UsageError(f"{sites.name} has no sublattice '{label}' to mix {', '.join(shares)} on")
        if arrangement == "sqs" and len(index) <= MOST_SQS_SITES:
            sites, _ = decorate(sites, sublattice=label, fractions=shares, seed=seed)
            continue
        names = np.repeat(list(shares), whole_counts(list(shares.values()), len(index)))
        sites = _filled(sites, index=generator.permutation(index), names=names)
    return sites


def refuse_charged(sites: SiteCell, *, mixed: SiteCell) -> None:
    """Raise :class:`UsageError` when whole ions of unlike charge leave a periodic cell charged.

    ``mixed`` holds the sites before it was decided which ion sits where.
    """
    charge = int(sites.charges.sum())
    if mixed.mean_charges and charge:
        labels = ", ".join(mixed.mean_charges)
        raise UsageError(
            f"the {len(sites)} sites of {sites.name} hold no whole ions of unlike charge on {labels} that balance: "
            f"{charge:+d} e are left; take a larger cell"
        )


def _filled(sites: SiteCell, *, index: Array, names: Array) -> SiteCell:
    """The sites with the ions ``names`` (k,) on the sites ``index`` (k,); the array grows with the longest name."""
    species = sites.species.astype(np.promote_types(sites.species.dtype, names.dtype))
    species[index] = names
    decided = set(sites.sublattice[index].tolist())
    mean = {label: charge for label, charge in sites.mean_charges.items() if label not in decided}
    return replace(sites, species=species, mean_charges=mean)


def _check_shares(fractions: Mapping[str, float], sites: SiteCell, index: Array) -> None:
    """Refuse shares that are not numbers, or ions of another charge than those they replace."""
    present = sites.species[index]
    if not fractions or not all(math.isfinite(share) and share >= 0 for share in fractions.values()):
        raise UsageError(f"the shares {dict(fractions)} must be finite and not negative")
    if sum(fractions.values()) <= 0:
        raise UsageError(f"the shares {dict(fractions)} add up to zero")
    if set(sites.sublattice[index].tolist()) <= set(sites.mean_charges):
        return
    charges = {sites.states.get(str(name), FORMAL_CHARGES.get(str(name))) for name in present}
    wrong = [name for name in fractions if sites.states.get(name, FORMAL_CHARGES.get(name)) not in charges]
    if wrong:
        kept = ", ".join(sorted({str(name) for name in present}))
        raise UsageError(f"{wrong[0]} cannot take the place of {kept}: its charge is not known to be the same")


def whole_counts(fractions: list[float], n: int) -> Array:
    """Whole numbers that add up to ``n`` and lie nearest to ``fractions``·n (largest remainder, ties to the first)."""
    ideal = np.array(fractions) / sum(fractions) * n
    counts = np.floor(ideal + 1e-9).astype(int)
    order = np.argsort(-np.round(ideal - counts, 9), kind="stable")
    counts[order[: n - counts.sum()]] += 1
    return counts


def blocks_for(
    fractions: Mapping[str, Mapping[str, float]], *, sites_per_block: Mapping[str, int], most: int = 6
) -> int:
    """Least number of blocks stacked along the normal that holds the composition in whole ions, else the nearest."""

    def miss(blocks: int) -> float:
        worst = 0.0
        for label, shares in fractions.items():
            n = sites_per_block[label] * blocks
            counts = whole_counts(list(shares.values()), n)
            worst = max(worst, *(abs(c / n - x) for c, x in zip(counts, shares.values(), strict=True)))
            worst += sum(1.0 for c, x in zip(counts, shares.values(), strict=True) if c == 0 and x > 0)
        return round(worst, 6)

    return min(range(1, most + 1), key=lambda blocks: (miss(blocks), blocks))
