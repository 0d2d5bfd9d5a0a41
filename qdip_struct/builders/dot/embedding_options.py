"""What is decided about a dot in a matrix: its form, how it is put in, what makes the whole neutral.

Each group stands on its own and has defaults, so that a call names only what it changes:
``embed_dot(dot, matrix, form=DotForm("cube", diameter=18.0), balance=Balance("report"))``. Field names are those of the
options of ``qdip build embed``. Lengths in Å.

Where several equal dots sit in one matrix, and how far apart they are by each definition of spacing.

A shell around a core, on the core's lattice: evenly mixed or graded from the inside to the outside.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.alloy import occupy
from qdip_struct.builders.atoms.cells import SiteCell
from qdip_struct.builders.dot.neutrality import NEUTRAL
from qdip_struct.builders.dot.parent import CENTERS
from qdip_struct.builders.dot.shapes import Shape, make_shape
from qdip_struct.builders.parsing import DEFAULT_DIAMETER_ANGSTROM, Center, Mode, Neutral, Rule, Termination
from qdip_struct.materials.composition import parse_formula

_TRIALS = 5000


@dataclass(frozen=True)
class DotArrangement:
    """A rule for the centres of dots.

    Attributes
    ----------
    kind
        ``array``: a regular grid of ``counts`` dots along the box vectors. ``random``: ``n`` dots placed one after the
        other wherever they do not overlap (random sequential addition).
    counts
        Dots along each box vector, for ``array``.
    n
        Number of dots, for ``random``; or give ``volume_fraction``.
    volume_fraction
        Volume of the dots over that of the box, 0–1; the number of dots is the nearest whole one above zero.
    spacing
        Least matrix between the surfaces of two dots, Å, for ``random``.
    """

    kind: Literal["array", "random"]
    counts: tuple[int, int, int] = (1, 1, 1)
    n: int | None = None
    volume_fraction: float | None = None
    spacing: float = 0.0


def centres_of(arrangement: DotArrangement, *, cell: Array, diameter: float, volume: float, seed: int) -> Array:
    """Centres in fractions of the box, (k, 3).

    Parameters
    ----------
    arrangement
        The rule.
    cell
        Box, row vectors (3, 3) Å.
    diameter
        Diameter in Å of the sphere around one dot.
    volume
        Volume of one dot in Å³.
    seed
        Seed of random places.

    Raises
    ------
    UsageError
        If the numbers are not possible or the dots do not fit.
    """
    if not (math.isfinite(arrangement.spacing) and arrangement.spacing >= 0):
        raise UsageError(f"the spacing is {arrangement.spacing:g} Å; expected a finite length of 0 or more")
    if arrangement.kind == "array":
        if any(n < 1 for n in arrangement.counts):
            raise UsageError(f"an array of {arrangement.counts} dots; expected whole numbers above zero")
        grid = [(np.arange(n) + 0.5) / n for n in arrangement.counts]
        return np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, 3)
    n = _number(arrangement, box=abs(float(np.linalg.det(cell))), volume=volume)
    rng = np.random.default_rng(seed)
    apart = diameter + arrangement.spacing
    chosen = np.zeros((0, 3))
    for _ in range(_TRIALS):
        if len(chosen) == n:
            return chosen
        trial = rng.random(3)
        if len(chosen) == 0 or _distances(chosen - trial, cell=cell).min() >= apart:
            chosen = np.vstack([chosen, trial])
    raise UsageError(
        f"only {len(chosen)} of {n} dots of {diameter:.1f} Å, {arrangement.spacing:g} Å apart, found a random place; "
        "take fewer dots, a larger box, another seed, or an array"
    )


def _number(arrangement: DotArrangement, *, box: float, volume: float) -> int:
    if (arrangement.n is None) == (arrangement.volume_fraction is None):
        raise UsageError("random dots need either their number or their volume fraction")
    if arrangement.n is not None:
        if arrangement.n < 1:
            raise UsageError(f"{arrangement.n} dots; expected a whole number above zero")
        return arrangement.n
    fraction = float(arrangement.volume_fraction or 0.0)
    if not (math.isfinite(fraction) and 0 < fraction < 1):
        raise UsageError(f"the volume fraction is {fraction:g}; expected a number between 0 and 1")
    return max(1, round(fraction * box / volume))


def _distances(fractional: Array, *, cell: Array) -> Array:
    """Shortest distance (n,) Å of fractional difference vectors (n, 3) over all images next to the home cell."""
    wrapped = fractional - np.round(fractional)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.linalg.norm((wrapped[:, None] + steps) @ cell, axis=-1).min(axis=1)


def spacings(centres: Array, *, cell: Array, diameter: float) -> dict[str, float]:
    """Distance between dots in Å by each definition.

    Parameters
    ----------
    centres
        (k, 3) Å.
    cell
        Box, row vectors (3, 3) Å.
    diameter
        Diameter in Å of the sphere that has a dot's volume.

    Returns
    -------
    dict
        ``simple_cubic`` n^(−1/3) and ``wigner_seitz`` 2·(3/4πn)^(1/3) from the number density n,
        ``center_to_center`` the shortest distance in this arrangement, periodic images included, and
        ``surface_to_surface`` that distance less ``diameter``.
    """
    density = len(centres) / abs(float(np.linalg.det(cell)))
    fractional = np.asarray(centres) @ np.linalg.inv(cell)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = float(np.linalg.norm(steps[np.any(steps != 0, axis=1)] @ cell, axis=1).min())
    for index in range(1, len(fractional)):
        nearest = min(nearest, float(_distances(fractional[:index] - fractional[index], cell=cell).min()))
    return {
        "simple_cubic": density ** (-1.0 / 3.0),
        "wigner_seitz": 2.0 * (3.0 / (4.0 * math.pi * density)) ** (1.0 / 3.0),
        "center_to_center": nearest,
        "surface_to_surface": nearest - diameter,
    }


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
    """Describe a shell: ``CdS``, ``Cd0.5Zn0.5S`` (mixed evenly), ``CdZnS`` (open: graded from Cd to Zn), ``CsPbCl3``.

    Raises
    ------
    UsageError
        If the formula is neither a binary compound nor a perovskite, or the thickness not a finite length above zero.
    """
    parsed = parse_formula(formula)
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

    Raises
    ------
    UsageError
        If the shell has other sublattices than the core on whose lattice it grows.
    """
    found = set(sites.sublattice.tolist())
    if found != set(shell.species):
        raise UsageError(
            f"{shell.name} is no shell on {sites.name}: it grows on the lattice of the core, whose sublattices are "
            f"{', '.join(sorted(found))}; its own are {', '.join(sorted(shell.species))}"
        )
    names = np.array([name for shares in shell.species.values() for name in shares])
    species = sites.species.astype(np.promote_types(sites.species.dtype, names.dtype))
    members = np.flatnonzero(region == "shell")
    mixed = occupy(sites.take(members), occupancies=shell.species, seed=seed)
    species[members] = mixed.species
    if shell.graded is not None and len(members):
        first, second = shell.graded
        slots = members[np.isin(species[members], (first, second))]
        depth = np.clip(shape.height(sites.positions[slots]) / shell.thickness, 0.0, 1.0)
        species[slots] = np.where(np.random.default_rng(seed).random(len(slots)) < 1.0 - depth, first, second)
    # What a file said of a molecule's atoms holds for the core alone.
    return replace(sites, species=species, template=np.where(region == "shell", -1, sites.template))


CENTER_NAMES = ("auto", *CENTERS)


@dataclass(frozen=True)
class DotForm:
    """What is cut from the crystal of the dot.

    Attributes
    ----------
    shape
        Outer shape of the core, or the name of one; a shell comes on top of it.
    diameter
        Å, for a shape given by its name, see :func:`qdip_struct.builders.dot.shapes.make_shape`.
    center
        Which point of the crystal lies in the centre, see :data:`qdip_struct.builders.dot.parent.CENTERS`; ``auto`` is
        the metal or the A site, whichever gives the volume asked for more closely. A box whose edges are whole lattice
        constants gets exactly these, from atom to atom.
    termination
        Border rule, see :data:`qdip_struct.builders.dot.parent.TERMINATIONS`; crystals other than rock salt know
        ``site`` only. Default: ``BX2`` for rock salt in a matrix of metal corners, else ``site``.
    shell
        Shell around the core.

    Raises
    ------
    UsageError
        If the centre is unknown.
    """

    shape: str | Shape = "sphere"
    diameter: float = DEFAULT_DIAMETER_ANGSTROM
    center: Center = "auto"
    termination: Termination | None = None
    shell: Shell | None = None

    def __post_init__(self) -> None:
        """Check the name of the centre."""
        if self.center not in CENTER_NAMES:
            raise UsageError(f"unknown center '{self.center}'; known: {', '.join(CENTER_NAMES)}")

    @property
    def body(self) -> Shape:
        """The outer shape of the core."""
        return make_shape(self.shape, diameter=self.diameter) if isinstance(self.shape, str) else self.shape


@dataclass(frozen=True, eq=False)
class DotPlacement:
    """How dots are put into the matrix.

    Attributes
    ----------
    mode
        ``coherent``: one parent lattice. ``insert``: the dot keeps its own lattice and orientation, and the cavity
        grows until no pair is too close (:mod:`qdip_struct.builders.atoms.regions`). ``auto``: coherent where
        possible, and insert where a rotation or a dot lattice is asked for.
    dot_lattice
        Lattice constant of the dot in Å; default that of the matrix when both lie on one parent lattice and the
        rotation (0°, 90° about ⟨100⟩, ...) carries it onto itself, else the dot's own.
    rotate
        Rotation (3, 3) of the dot, from the orientation in which its axes lie along the matrix's parent lattice.
    absolute
        Whether the rotation starts from the box axes instead.
    positions
        Centre of each dot in fractions of the box, or a rule (:mod:`qdip_struct.builders.dot.embedding_options`); each
        moves to the nearest point of the kind that lies in the centre of the dot.

    Raises
    ------
    UsageError
        If the mode is unknown.
    """

    mode: Mode = "auto"
    dot_lattice: float | None = None
    rotate: Array | None = None
    absolute: bool = False
    positions: Sequence[Sequence[float]] | DotArrangement = ((0.5, 0.5, 0.5),)

    def __post_init__(self) -> None:
        """Check the mode."""
        if self.mode not in get_args(Mode):
            raise UsageError(f"unknown mode '{self.mode}'; known: {', '.join(get_args(Mode))}")


@dataclass(frozen=True)
class Balance:
    """What makes dot and matrix together neutral.

    Attributes
    ----------
    neutral
        One of :data:`qdip_struct.builders.dot.neutrality.NEUTRAL`.
    rule
        ``swap`` or ``vacancy``, see :mod:`qdip_struct.builders.dot.neutrality`.

    Raises
    ------
    UsageError
        If one of them is unknown.
    """

    neutral: Neutral = "strict"
    rule: Rule = "swap"

    def __post_init__(self) -> None:
        """Check both names."""
        if self.neutral not in NEUTRAL:
            raise UsageError(f"unknown neutral '{self.neutral}'; known: {', '.join(NEUTRAL)}")
        if self.rule not in get_args(Rule):
            raise UsageError(f"unknown rule '{self.rule}'; known: {', '.join(get_args(Rule))}")
