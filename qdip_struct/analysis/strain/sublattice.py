"""Ideal cation sublattices: the neighbour vectors from which strain is measured.

A :class:`MetalSublattice` holds, for one phase, the vectors from a cation to its nearest cations of the same kind in
the unstrained crystal, and :class:`Fits` matches the cations of a structure to them.

| crystal | cations | neighbours | length |
|---|---|---|---|
| rock salt (PbS, NaI), zinc blende (CdS) | face-centred cubic | 12 | a/√2 |
| perovskite (CsPbBr3) | simple cubic | 6 | a |
| wurtzite (CdSe) | hexagonal, two alternating layers | 12 | a and √(a²/3 + c²/4) |
| any other (SnO2, SnS, CuInS2, Cs2AgBiBr6) | as its file has them, a set for each kind of site | 6 to 20 | its own |

Lengths in Å, row vectors, crystal axes along x, y, z (wurtzite: a along x, c along z).

Long because the ideal vectors of every structure, and how neighbours are told by them, are one definition of strain.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.builders.atoms.neighbours import thin_product
from qdip_struct.materials.ions import oxidation_states

Vectors = tuple[tuple[float, float, float], ...]

MATCH_FRACTION = 0.25
"""A neighbour farther than this fraction of the cubic lattice constant from an ideal vector is no match."""
_MATCH_OF_NEAREST = MATCH_FRACTION * math.sqrt(2.0)
"""The same of the shortest distance between two cations, as it is in the face-centred lattice."""
_FEWEST, _MOST = 6, 20
_REACH_ANGSTROM = 16.0
_GAP = 1.12
_THICKNESS = 0.08
_SAME_ANGSTROM = 1e-6


@dataclass(frozen=True)
class Environment:
    """The cations around one site of a crystal: their vectors (k × 3, Å), its element and theirs."""

    vectors: Vectors
    centre: str
    around: tuple[str, ...]


@dataclass(frozen=True)
class MetalSublattice:
    """Neighbour vectors of one unstrained phase.

    Attributes
    ----------
    name
        The phase, as users write the crystal: "PbS".
    lattice_angstrom
        The cubic or pseudo-cubic lattice constant that the vectors stand for, Å.
    variants
        One set of neighbour vectors (k × 3, Å) for each kind of site; two for wurtzite, else one.
    match_radius_angstrom
        Largest distance in Å between an actual and an ideal neighbour vector that counts as a match.
    anion_coordination
        Number of anions around the cation: 6 in rock salt and perovskite, 4 in zinc blende and wurtzite.
    temperature_kelvin
        Temperature of the lattice constant where it is that of a data set with one, K.
    warnings
        What must be said of the lattice constant.
    environments
        Of a crystal of any structure, every site with the elements around it; they tell how the crystal lies where the
        vectors alone do not (c of chalcopyrite is 2.01 a). Crystal axes, also after :meth:`rotated`.
    volume_angstrom3
        Volume of such a crystal per cation, Å³.
    lengths, angles
        Its cell, Å and degree.
    """

    name: str
    lattice_angstrom: float
    variants: tuple[Vectors, ...]
    match_radius_angstrom: float
    anion_coordination: int
    source: str = "given"
    temperature_kelvin: float | None = None
    warnings: tuple[str, ...] = ()
    environments: tuple[Environment, ...] = ()
    volume_angstrom3: float | None = None
    lengths: tuple[float, float, float] | None = None
    angles: tuple[float, float, float] | None = None

    @property
    def cubic(self) -> bool:
        """Whether one lattice constant says all: a misfit of it is one."""
        return self.lengths is None or (max(self.lengths) - min(self.lengths) < 1e-6 and self.angles == (90.0,) * 3)

    @property
    def arrays(self) -> list[NDArray[np.float64]]:
        """The neighbour vectors of each variant, (k, 3) in Å."""
        return [np.array(vectors) for vectors in self.variants]

    @property
    def isotropic(self) -> bool:
        """Whether all neighbours are equally far at right angles, or there is more than one kind of site."""
        if self.environments or len(self.variants) > 1 or len(self.variants[0]) != 6:
            return True
        half = self.arrays[0][:3]
        return bool(np.allclose(half @ half.T, self.lattice_angstrom**2 * np.eye(3), rtol=0.0, atol=1e-6))

    @property
    def cutoff_angstrom(self) -> float:
        """Beyond this distance in Å no neighbour can match."""
        longest = max(float(np.linalg.norm(vectors, axis=1).max()) for vectors in self.arrays)
        return longest + self.match_radius_angstrom

    @property
    def volume_per_cation_angstrom3(self) -> float:
        """Volume of the unstrained crystal per cation, Å³: a³ for a perovskite (6 neighbours), else a³/4."""
        if self.volume_angstrom3 is not None:
            return self.volume_angstrom3
        return self.lattice_angstrom**3 / (1.0 if len(self.variants[0]) == 6 else 4.0)

    def rotated(self, rotation: ArrayLike) -> "MetalSublattice":
        """The same crystal turned by ``rotation`` (3 × 3, v ↦ R v)."""
        matrix = np.asarray(rotation, dtype=float)
        return replace(self, variants=tuple(_vectors(vectors @ matrix.T) for vectors in self.arrays))

    def enlarged(self, factor: float) -> "MetalSublattice":
        """The same crystal, all its lengths times ``factor``."""
        a, b, c = self.lengths or (0.0, 0.0, 0.0)
        return replace(
            self,
            lattice_angstrom=self.lattice_angstrom * factor,
            variants=tuple(_vectors(vectors * factor) for vectors in self.arrays),
            match_radius_angstrom=self.match_radius_angstrom * factor,
            environments=tuple(
                replace(one, vectors=_vectors(np.array(one.vectors) * factor)) for one in self.environments
            ),
            volume_angstrom3=None if self.volume_angstrom3 is None else self.volume_angstrom3 * factor**3,
            lengths=None if self.lengths is None else (a * factor, b * factor, c * factor),
        )


def _vectors(rows: ArrayLike) -> Vectors:
    return tuple((float(x), float(y), float(z)) for x, y, z in np.asarray(rows, dtype=float))


def _positive(value: float, what: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what} must be a positive length in Å, not {value}")
    return float(value)


def _face_centred(name: str, a: float, *, anion_coordination: int, source: str) -> MetalSublattice:
    a = _positive(a, f"the lattice constant of {name}")
    signs = [(i, j) for i in (-1, 1) for j in (-1, 1)]
    rows = [(0, i, j) for i, j in signs] + [(i, 0, j) for i, j in signs] + [(i, j, 0) for i, j in signs]
    return MetalSublattice(
        name, a, (_vectors(np.array(rows) * (a / 2)),), MATCH_FRACTION * a, anion_coordination, source
    )


def rocksalt(name: str, lattice: float, *, source: str = "given") -> MetalSublattice:
    """Cations of a rock-salt crystal with cubic lattice constant ``lattice`` in Å: 12 vectors a/2⟨110⟩.

    Raises
    ------
    UsageError
        If the lattice constant is not positive and finite.
    """
    return _face_centred(name, lattice, anion_coordination=6, source=source)


def zincblende(name: str, lattice: float, *, source: str = "given") -> MetalSublattice:
    """Cations of a zinc-blende crystal with cubic lattice constant ``lattice`` in Å: 12 vectors a/2⟨110⟩."""
    return _face_centred(name, lattice, anion_coordination=4, source=source)


def perovskite(name: str, lattice: float | ArrayLike, *, source: str = "given") -> MetalSublattice:
    """B cations of a perovskite: ± the three rows of the pseudo-cubic cell.

    Parameters
    ----------
    lattice
        One cubic constant, three pseudo-cubic lengths along x, y, z, or a pseudo-cubic cell (3 × 3 rows), all in Å.
        Octahedral tilts do not move the B sites, so a tilted phase needs only its pseudo-cubic cell.

    Raises
    ------
    UsageError
        If the lattice has another shape, or a length is not positive and finite.
    """
    given = np.asarray(lattice, dtype=float)
    if given.shape not in ((), (3,), (3, 3)):
        raise UsageError(
            f"the pseudo-cubic lattice of {name} is 1 length, 3 lengths or 3 rows, not shape {given.shape}"
        )
    cell = given if given.shape == (3, 3) else np.diag(np.broadcast_to(given, (3,)))
    for length in np.linalg.norm(cell, axis=1):
        _positive(float(length), f"a pseudo-cubic length of {name}")
    volume = abs(float(np.linalg.det(cell)))
    a = _positive(volume ** (1 / 3), f"the pseudo-cubic lattice constant of {name}")
    if given.ndim == 0:
        a = float(given)
    return MetalSublattice(name, a, (_vectors(np.vstack((cell, -cell))),), MATCH_FRACTION * a, 6, source)


def wurtzite(name: str, a: float, c: float, *, source: str = "given") -> MetalSublattice:
    """Cations of a wurtzite crystal: six neighbours in the layer, three above, three below; two kinds of layer.

    The lattice constant that is reported is the cubic one of the same volume per formula unit, (√3 a² c)^(1/3).
    """
    a, c = _positive(a, f"a of {name}"), _positive(c, f"c of {name}")
    turn = np.arange(6) * math.pi / 3
    layer = np.column_stack((a * np.cos(turn), a * np.sin(turn), np.zeros(6)))
    third = math.pi / 6 + np.arange(3) * 2 * math.pi / 3
    upper = np.column_stack((np.cos(third), np.sin(third))) * (a / math.sqrt(3))
    sets = []
    for sign in (1.0, -1.0):
        rows = [layer] + [np.column_stack((sign * upper, np.full(3, height))) for height in (c / 2, -c / 2)]
        sets.append(_vectors(np.vstack(rows)))
    cubic = (math.sqrt(3) * a * a * c) ** (1 / 3)
    return MetalSublattice(name, cubic, tuple(sets), MATCH_FRACTION * cubic, 4, source)


def pseudocubic_cell(crystal: "Crystal") -> NDArray[np.float64]:
    """Pseudo-cubic cell (3, 3, rows in Å) of the B sites of a perovskite, its vectors turned close to x, y, z.

    The mean over the B sites of the vectors to the next ones, so that tilts and zigzags of single octahedra leave it:
    three lengths and three angles of a tetragonal, orthorhombic or monoclinic phase. Which of the three lies along x
    is not a property of the crystal.

    Raises
    ------
    UsageError
        If the B sites form no (distorted) simple cubic lattice.
    """
    fractions = np.array([site.position for site in crystal.sites if site.label == "B"])
    steps = np.stack(np.meshgrid(*[(-2, -1, 0, 1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    away = (fractions[None, :, None] + steps[None, None] - fractions[:, None, None]) @ crystal.cell
    around = [
        rows[np.argsort(np.linalg.norm(rows, axis=1), kind="stable")[1:7]] for rows in away.reshape(len(away), -1, 3)
    ]
    rows = [around[0][0]]
    for vector in around[0][1:]:
        if len(rows) < 3 and all(abs(_cosine(vector, row)) < 0.4 for row in rows):
            rows.append(vector)
    if len(rows) < 3:
        raise UsageError(f"the B sites of {crystal.label} form no simple cubic lattice")
    mean = [np.mean([near[np.argmax(near @ row)] for near in around], axis=0) for row in rows]
    cell = np.array(mean)
    if np.linalg.det(cell) < 0:
        cell[2] *= -1
    left, _, right = np.linalg.svd(cell)
    turned: NDArray[np.float64] = cell @ (left @ right).T
    return turned


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def sublattice_of(
    crystal: "Crystal", *, lattice: float | None = None, c_axis: int | None = None, cell: bool = False
) -> MetalSublattice:
    """Return the cation sublattice of a crystal record.

    Parameters
    ----------
    crystal
        A record of :mod:`qdip_struct.materials.crystals`.
    lattice
        Cubic or pseudo-cubic lattice constant in Å to use instead of the record's; ratios of lengths are kept.
    c_axis
        For a tetragonal perovskite: which Cartesian axis (0, 1, 2) its c lies along. ``None`` takes the
        pseudo-cubic average (V/Z)^(1/3) on all three.
    cell
        Whether a perovskite has its own pseudo-cubic cell, :func:`pseudocubic_cell`, in the place of that average.

    Raises
    ------
    UsageError
        If the cations of the crystal form no sublattice that fills space.
    """
    a = crystal.a_angstrom if lattice is None else _positive(lattice, f"the lattice constant of {crystal.name}")
    source = f"{crystal.name}:{crystal.phase} ({crystal.dataset})" if lattice is None else "given"
    if crystal.structure_type == "rocksalt":
        return rocksalt(crystal.name, a, source=source)
    if crystal.structure_type == "zincblende":
        return zincblende(crystal.name, a, source=source)
    if crystal.structure_type == "wurtzite":
        scale = a / crystal.a_angstrom
        return wurtzite(crystal.name, crystal.lengths[0] * scale, crystal.lengths[2] * scale, source=source)
    if crystal.structure_type == "perovskite":
        if cell:
            return replace(
                perovskite(crystal.name, pseudocubic_cell(crystal) * (a / crystal.a_angstrom), source=source),
                lattice_angstrom=a,
            )
        if c_axis is None or crystal.lengths[0] == crystal.lengths[2]:
            return perovskite(crystal.name, a, source=source)
        if c_axis not in (0, 1, 2):
            raise UsageError(f"c_axis is 0, 1 or 2 (x, y or z), not {c_axis}")
        base = math.sqrt(crystal.lengths[0] * crystal.lengths[1] / 2)
        lengths = np.full(3, base)
        lengths[c_axis] = crystal.lengths[2] / 2
        lengths *= a / float(np.prod(lengths)) ** (1 / 3)
        return perovskite(crystal.name, lengths, source=source)
    return crystal_sublattice(crystal, source=source).enlarged(a / crystal.a_angstrom)


def framework_of(crystal: "Crystal") -> list["Site"]:
    """Sites of the cations that carry the strain: B of a perovskite and its like, else all positive ions.

    Raises
    ------
    UsageError
        If the crystal has none.
    """
    found = [site for site in crystal.sites if site.label.startswith("B")]
    if not found:
        counts: Counter[str] = Counter()
        for site in crystal.sites:
            counts.update(dict(crystal.ions_on(site)))
        try:
            states = oxidation_states(counts, given=crystal.charges)
            found = [site for site in crystal.sites if states[site.species] > 0]
        except DataError as error:
            found = [site for site in crystal.sites if site.label.startswith("cation")]
            if not found:
                raise UsageError(f"the cations of {crystal.label} are not known: {error}") from error
    if not found:
        raise UsageError(f"{crystal.label} holds no cation: strain is measured on the cations of an ionic crystal")
    return found


def crystal_sublattice(crystal: "Crystal", *, source: str) -> MetalSublattice:
    """Cations of a crystal of any structure, from its own sites.

    The neighbours of a site are the nearest cations up to the first wide gap that surround it in three dimensions, 6 to
    20 of them; sites with the same vectors are one kind. Crystal axes as in :attr:`Crystal.cell`.

    Raises
    ------
    UsageError
        If there are no cations, or they do not fill space within 16 Å.
    """
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    sites = framework_of(crystal)
    symbols = ["+".join(sorted(crystal.ions_on(site))) for site in sites]
    atoms = Atoms("X" * len(sites), scaled_positions=[site.position for site in sites], cell=crystal.cell, pbc=True)
    first, second, apart = neighbor_list("ijD", atoms, _REACH_ANGSTROM)
    kinds: list[NDArray[np.float64]] = []
    environments: dict[Any, Environment] = {}
    for number in range(len(sites)):
        own = first == number
        order = np.argsort(np.round(np.linalg.norm(apart[own], axis=1), 6), kind="stable")
        rows, mates = apart[own][order], second[own][order]
        count = _shell(rows, crystal)
        rows = rows[:count]
        around = tuple(symbols[n] for n in mates[:count])
        key = (symbols[number], frozenset(zip(map(tuple, np.round(rows, 5).tolist()), around, strict=True)))
        environments.setdefault(key, Environment(_vectors(rows), symbols[number], around))
        if not any(_same_vectors(rows, known) for known in kinds):
            kinds.append(rows)
    nearest = min(float(np.linalg.norm(rows, axis=1).min()) for rows in kinds)
    width = max(map(len, kinds))
    # A repeated vector is matched once only: the first of the two stays without a neighbour.
    padded = [np.vstack((rows, np.repeat(rows[-1:], width - len(rows), axis=0))) for rows in kinds]
    return MetalSublattice(
        crystal.name,
        crystal.a_angstrom,
        tuple(_vectors(rows) for rows in padded),
        _MATCH_OF_NEAREST * nearest,
        6,
        source,
        environments=tuple(environments.values()),
        volume_angstrom3=crystal.volume / len(sites),
        lengths=crystal.lengths,
        angles=crystal.angles,
    )


def _shell(rows: NDArray[np.float64], crystal: "Crystal") -> int:
    """How many of the neighbour vectors, nearest first, are the shell of a site."""
    length = np.linalg.norm(rows, axis=1)
    best, widest = 0, 1.0 + 1e-3
    for count in range(_FEWEST, min(_MOST, len(rows) - 1) + 1):
        unit = rows[:count] / length[:count, None]
        if np.linalg.eigvalsh(unit.T @ unit)[0] < _THICKNESS * count:
            continue
        gap = float(length[count] / length[count - 1])
        if gap > widest:
            best, widest = count, gap
        if gap > _GAP:
            break
    if not best:
        raise UsageError(
            f"the cations of {crystal.label} have no neighbours of their own kind in three dimensions within "
            f"{_REACH_ANGSTROM:g} Å: strain cannot be measured on them"
        )
    return best


def _same_vectors(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    if len(one) != len(other):
        return False
    apart = np.linalg.norm(one[:, None] - other[None], axis=2)
    return bool((apart.min(axis=1) < _SAME_ANGSTROM).all() and (apart.min(axis=0) < _SAME_ANGSTROM).all())


_FLAT = 1e-6
_BOX_FRACTION = 0.3


class _Table:
    """Which ideal vector is within reach of a point, by a look-up in small boxes.

    Exact, because the balls around the ideal vectors (radius 0.25 a) do not overlap: a box names the only vector that a
    point of it can match, whose distance is then checked.
    """

    def __init__(self, ideal: Floats, *, radius: float, cutoff: float) -> None:
        self.ideal = ideal
        self.radius = radius
        step = _BOX_FRACTION * radius
        half = int(np.ceil(cutoff * (1 + 1e-9) / step)) + 1
        self.scale, self.shift, self.size = 1.0 / step, float(half), 2 * half
        reach = radius + 0.5 * np.sqrt(3.0) * step + 1e-9
        span = int(np.ceil(reach / step)) + 1
        offsets = np.arange(-span, span + 1)
        table = np.full((self.size,) * 3, -1)
        for number, vector in enumerate(ideal):
            # Only boxes near the ball of this vector; no box can touch two balls.
            x, y, z = ((np.floor(c / step).astype(int) + half + offsets) for c in vector)
            dx, dy, dz = ((box - half + 0.5) * step - c for box, c in zip((x, y, z), vector, strict=True))
            near = dx[:, None, None] ** 2 + dy[:, None] ** 2 + dz**2 <= reach**2
            i, j, k = np.nonzero(near)
            table[x[i], y[j], z[k]] = number
        self.slot = table.ravel()

    def match(self, flat: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of ``flat`` (n, 3) that match, and the ideal vector of each."""
        box = (flat * self.scale + self.shift).astype(np.int32)
        slot = self.slot[(box[:, 0] * self.size + box[:, 1]) * self.size + box[:, 2]]
        rows = np.flatnonzero(slot >= 0)
        slot = slot[rows]
        away = flat[rows] - self.ideal[slot]
        close = np.einsum("ni,ni->n", away, away) <= self.radius**2
        return rows[close], slot[close]


class Fits:
    """Matches neighbour vectors to ideal ones and solves F = (Σ d vᵀ)(Σ v vᵀ)⁻¹ for many cations at once.

    Parameters
    ----------
    reference
        Sublattice that strain is measured against.
    matching
        The same sublattice turned as the lattice of the structure is turned; only used to tell neighbours apart.
    """

    def __init__(self, reference: MetalSublattice, *, matching: MetalSublattice) -> None:
        self.reference = reference.arrays
        self.width = len(self.reference[0])
        radius, cutoff = reference.match_radius_angstrom, reference.cutoff_angstrom
        self._tables = [_Table(ideal, radius=radius, cutoff=cutoff) for ideal in matching.arrays]
        self._maps: dict[tuple[int, int], Floats] = {}
        self._fitted = [self._back(ideal) for ideal in self.reference]

    def match(self, vectors: Floats, valid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
        """Match the neighbours of n cations to the ideal vectors.

        Parameters
        ----------
        vectors
            (n, k, 3) Å from each cation to its neighbours.
        valid
            (n, k) which of them exist.

        Returns
        -------
        columns, D, variant
            The neighbour matched to each ideal vector (n, width), −1 for none (two candidates count as none); the
            vectors to them (n, 3·width) in Å, 0 for none; the set of ideal vectors that fits best (n,): the most
            matches, among these the smallest residual, then the least strain.
        """
        n, k = valid.shape
        flat = np.where(valid[:, :, None], vectors, 0.0).reshape(-1, 3)
        columns, D = self._matched(flat, self._tables[0], n=n, k=k)
        variant = np.zeros(n, dtype=np.int64)
        if len(self._tables) == 1:
            return columns, D, variant
        poverty = self._poverty(columns, D, variant)
        for number, table in enumerate(self._tables[1:], start=1):
            other, vectors_other = self._matched(flat, table, n=n, k=k)
            found = self._poverty(other, vectors_other, np.full(n, number))
            better = np.zeros(n, dtype=bool)
            for one, known in zip(found.T[::-1], poverty.T[::-1], strict=True):
                better = (one < known) | ((one == known) & better)
            columns[better], D[better], variant[better] = other[better], vectors_other[better], number
            poverty[better] = found[better]
        return columns, D, variant

    def _poverty(self, columns: NDArray[np.int64], D: Floats, variant: NDArray[np.int64]) -> Floats:
        """How badly a set of ideal vectors fits each cation, (n, 3): fewest matches, largest residual, most strain."""
        present = columns >= 0
        F, residual = self.solve(D, present=present, variant=variant)
        strain = np.linalg.norm(np.matmul(F.transpose(0, 2, 1), F) - np.eye(3), axis=(1, 2))
        found = np.column_stack((-np.count_nonzero(present, axis=1), np.round(residual, 5), np.round(strain, 6)))
        return np.where(np.isnan(found), np.inf, found)

    def solve(self, D: Floats, *, present: NDArray[np.bool_], variant: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Deformation gradients from matched vectors.

        Parameters
        ----------
        D
            (n, 3·width) vectors matched to the ideal ones, 0 where there is none, Å.
        present
            (n, width) which are matched.
        variant
            (n,) set of ideal vectors.

        Returns
        -------
        F, residual
            F (n, 3, 3), NaN with fewer than three non-coplanar matches; root-mean-square misfit (n,) in Å.
        """
        n = len(D)
        if len(self.reference) == 1 and present.all():
            group, keys = variant, np.array([(1 << self.width) - 1])
        else:
            pattern = present @ (1 << np.arange(self.width)) * len(self.reference) + variant
            keys, group = np.unique(pattern, return_inverse=True)
        F = np.empty((n, 9))
        squares = np.empty(n)
        for number, key in enumerate(keys.tolist()):
            rows = slice(None) if len(keys) == 1 else np.flatnonzero(group == number)
            kind, bits = key % len(self.reference), key // len(self.reference)
            part = D[rows]
            F[rows] = gradient = thin_product(part, self._map(kind, bits))
            error = thin_product(gradient, self._fitted[kind])
            error -= part
            if bits != (1 << self.width) - 1:
                error *= np.repeat((bits >> np.arange(self.width)) & 1, 3)
            squares[rows] = np.einsum("ni,ni->n", error, error)
        with np.errstate(invalid="ignore", divide="ignore"):
            residual = np.sqrt(squares / np.count_nonzero(present, axis=1))
        return F.reshape(n, 3, 3), residual

    def _matched(self, flat: Floats, table: _Table, *, n: int, k: int) -> tuple[NDArray[np.int64], Floats]:
        """Column matched to each ideal vector, (n, width), and the vectors themselves, (n, 3·width), 0 for none."""
        rows, slot = table.match(flat)
        place = (rows // k) * self.width + slot
        columns = np.full(n * self.width, -1, dtype=np.int64)
        columns[place] = rows % k
        D = np.zeros((n * self.width, 3))
        D[place] = flat[rows]
        if len(place) > np.count_nonzero(columns >= 0):
            twice = np.flatnonzero(np.bincount(place, minlength=n * self.width) > 1)
            columns[twice] = -1
            D[twice] = 0.0
        return columns.reshape(n, self.width), D.reshape(n, 3 * self.width)

    def _map(self, variant: int, bits: int) -> Floats:
        """The matrix (3·width, 9) that turns matched vectors into F, for one pattern of present neighbours."""
        key = (variant, bits)
        if key not in self._maps:
            weights = gradient_weights(self.reference[variant], present=(bits >> np.arange(self.width)) & 1 == 1)
            matrix = np.zeros((self.width, 3, 3, 3))
            for i in range(3):
                matrix[:, i, i, :] = weights
            if np.isnan(weights).any():
                matrix[:] = np.nan
            self._maps[key] = matrix.reshape(3 * self.width, 9)
        return self._maps[key]

    def _back(self, ideal: Floats) -> Floats:
        """The matrix (9, 3·width) that turns F into the fitted neighbour vectors F v."""
        matrix = np.zeros((3, 3, self.width, 3))
        for i in range(3):
            matrix[i, :, :, i] = ideal.T
        return matrix.reshape(9, 3 * self.width)


def gradient_weights(ideal: Floats, *, present: NDArray[np.bool_]) -> Floats:
    """Rows g with F = Σ d gᵀ: v (Σ v vᵀ)⁻¹ of the present ideal vectors, 0 for the absent, (k, 3) in 1/Å.

    All NaN when the present vectors lie in one plane.
    """
    own = ideal[present]
    moment = own.T @ own
    values = np.linalg.eigvalsh(moment)
    if values[0] <= _FLAT * max(float(values[2]), 1e-300):
        return np.full(ideal.shape, np.nan)
    weights: Floats = np.where(present[:, None], ideal, 0.0) @ np.linalg.inv(moment)
    return weights


if TYPE_CHECKING:
    from qdip_struct.materials.crystals import Crystal
    from qdip_struct.materials.sites import Site
