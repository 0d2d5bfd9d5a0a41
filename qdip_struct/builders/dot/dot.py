"""A dot on its own: cut from its crystal, with a shell, stoichiometric, metal-rich or with ligands.

Positions are in the frame of the dot's crystal with the centre of the dot at the origin, in Å.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.alloy import occupy
from qdip_struct.builders.atoms.cells import SiteCell, sites_of_crystal, to_atoms
from qdip_struct.builders.atoms.regions import report
from qdip_struct.builders.dot.embedding_options import DotForm, fill_shell
from qdip_struct.builders.dot.matrix import atoms_per_site
from qdip_struct.builders.dot.parent import TERMINATIONS, centre_point, inside, on_parent_lattice
from qdip_struct.builders.dot.shapes import Shape
from qdip_struct.builders.parsing import Center, Termination
from qdip_struct.materials.crystals import Crystal, lattice_facts, scaled
from qdip_struct.materials.ions import in_formula_order
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant

MOST_IONS = 20_000_000
"""Largest dot that is cut."""
_FACE = 0.3
"""Ions this close (Å) along z to the outermost are the face of a platelet."""


@dataclass(frozen=True, eq=False)
class DotSites:
    """Sites of a dot around the origin.

    Attributes
    ----------
    sites
        Points, relative to the centre.
    region
        ``dot`` or ``shell``, (n,).
    shape
        Outer shape.
    crystal
        Crystal of the core at the lattice constant used.
    center
        Name of the centre.
    termination
        Rule at the border.
    outer
        The shape with its shell.
    """

    sites: SiteCell
    region: Array
    shape: Shape
    crystal: Crystal
    center: Center
    termination: Termination
    outer: Shape

    @property
    def on_parent(self) -> bool:
        """Whether its sites lie on the parent lattice of rock salt and perovskite."""
        return on_parent_lattice(self.crystal)

    @property
    def volume(self) -> float:
        """Volume of the formula units, Å³: their number times the volume per formula unit of the crystal."""
        return self._n_ions / len(self.crystal.sites) * self.crystal.volume

    @property
    def n_units(self) -> float:
        """Formula units: ions of core and shell, ligands left out, over those of one formula unit of the crystal."""
        counts = Counter(site.species for site in self.crystal.sites)
        return self._n_ions * math.gcd(*counts.values()) / len(self.crystal.sites)

    @property
    def _n_ions(self) -> int:
        return int(np.count_nonzero(self.region != "ligand"))


def cut_dot(core: Crystal, *, form: DotForm = DotForm(), seed: int = 0) -> DotSites:
    """Cut a dot from its crystal.

    Parameters
    ----------
    core
        Crystal, ordered or mixed, at the lattice constant wanted.
    form
        Shape, centre, border and shell.
    seed
        Seed of mixed sites.

    Raises
    ------
    UsageError
        If no site lies inside the shape or the rule does not apply to the crystal.
    """
    shape, shell = form.body, form.shell
    if form.center == "auto":
        tried = _each(core, kinds=_auto_centers(core, shape=shape), form=form, seed=seed)
        return min(tried, key=lambda dot: _misfit(dot, shape=shape))
    termination: Termination = form.termination or "site"
    if termination not in TERMINATIONS:
        raise UsageError(f"unknown termination '{termination}'; known: {', '.join(TERMINATIONS)}")
    if termination != "site" and not (on_parent_lattice(core) and core.structure_type == "rocksalt"):
        raise UsageError(f"termination '{termination}' is defined for rock salt dots; {core.name} takes 'site'")
    thickness = 0.0 if shell is None else shell.thickness
    ions = shape.grown(thickness).volume / core.volume * len(core.sites)
    if ions > MOST_IONS:
        raise UsageError(
            f"a {shape.name} of this size holds {ions:.3g} ions, more than {MOST_IONS}; give a smaller one"
        )
    origin = centre_point(core, center=form.center)
    sites = block(core, radius=shape.reach + thickness + max(core.lengths), origin=origin)

    def taken(grown: float) -> Array:
        if termination == "site":
            return shape.contains(sites.positions, grown=grown)
        return _by_grid(
            shape, crystal=core, origin=origin, points=sites.positions, termination=termination, grown=grown
        )

    within_core = taken(0.0)
    within = taken(thickness) if thickness else within_core
    if not within_core.any():
        raise UsageError(f"no site of {core.name} lies inside this {shape.name}; give a larger one")
    chosen = np.flatnonzero(within)
    chosen = chosen[np.lexsort(np.round(sites.positions[chosen], 4).T)]
    picked = occupy(sites.take(chosen), occupancies=core.occupancies, seed=seed)
    region = np.where(within_core[chosen], "dot", "shell").astype("U9")
    if shell is not None:
        picked = fill_shell(picked, region=region, shape=shape, shell=shell, seed=seed)
    return DotSites(picked, region, shape, core, form.center, termination, shape.grown(thickness))


def _auto_centers(crystal: Crystal, *, shape: Shape) -> tuple[Center, ...]:
    """Centres that ``auto`` chooses from: those of full symmetry, for cuboids every parity of the three edges."""
    flat = shape.name == "platelet"
    if not on_parent_lattice(crystal):
        return ("metal", "anion", "void") if flat else ("metal",)
    if flat or shape.name == "cuboid":
        more: tuple[Center, ...] = ("void", "bond") if flat else ()
        return (*more, "metal", "a-site", "anion", "anion-y", "anion-z", "metal-yz", "metal-xz", "metal-xy")
    return ("metal", "a-site")


def other_centers(crystal: Crystal) -> tuple[Center, ...]:
    """Centres that a crystal knows, those of least symmetry first: what cuts as many ions of every kind."""
    if on_parent_lattice(crystal):
        return ("void", "bond", "anion", "a-site", "metal", "metal-xy", "anion-z")
    cages: tuple[Center, ...] = ("a-site",) if any(site.label == "A" for site in crystal.sites) else ()
    return ("void", "bond", "anion", "metal", *cages)


def _each(core: Crystal, *, kinds: Sequence[Center], form: DotForm, seed: int) -> list[DotSites]:
    """The cuts about each kind of centre that hold a site; refused when none does."""
    found: list[DotSites] = []
    for number, kind in enumerate(kinds):
        try:
            found.append(cut_dot(core, form=replace(form, center=kind), seed=seed))
        except UsageError:
            if number == len(kinds) - 1 and not found:
                raise
    return found


def _misfit(dot: DotSites, *, shape: Shape) -> tuple[bool, float]:
    """How far a cut is from the shape asked for: a box of whole lattice constants by its edges, else by the volume.

    A platelet shall have equal faces with cations in both, as colloidal ones have, and equal lateral edges.
    """
    core = dot.region == "dot"
    edges, wanted = np.ptp(dot.sites.positions[core], axis=0), 2.0 * np.asarray(shape.extent)
    if shape.name == "platelet":
        heights, species = dot.sites.positions[core][:, 2], dot.sites.species[core]
        faces = (heights > heights.max() - _FACE, heights < heights.min() + _FACE)
        bare = not all((dot.sites.charges[core][face] > 0).any() for face in faces)
        bare |= set(species[faces[0]]) != set(species[faces[1]]) or abs(edges[0] - edges[1]) > _FACE
        return bool(bare), round(
            abs(np.count_nonzero(core) / len(dot.crystal.sites) * dot.crystal.volume - shape.volume), 6
        )
    exact = shape.name in ("cube", "cuboid") and bool(np.all(np.abs(edges - wanted) < 0.02 * dot.crystal.lengths[0]))
    volume = np.count_nonzero(core) / len(dot.crystal.sites) * dot.crystal.volume
    return not exact, round(abs(volume - shape.volume), 6)


def block(crystal: Crystal, *, radius: float, origin: Array) -> SiteCell:
    """All sites of the crystal within ``radius`` of ``origin``, relative to it."""
    unit = sites_of_crystal(crystal)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(unit.cell), axis=0)
    repeats = np.ceil(radius / heights).astype(int) + 1
    steps = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = (unit.positions[None] + (steps @ unit.cell)[:, None]).reshape(-1, 3) - origin
    index = np.tile(np.arange(len(unit)), len(steps))
    near = np.einsum("ij,ij->i", positions, positions) <= radius * radius
    return unit.take(index[near], positions=positions[near])


def _by_grid(
    shape: Shape, *, crystal: Crystal, origin: Array, points: Array, termination: Termination, grown: float
) -> Array:
    """Border rule of the parent lattice for ``points`` relative to the centre, bool (n,)."""
    a = crystal.lengths[0]
    size = 2 * int(np.ceil((float(np.max(shape.extent)) + grown) / a)) + 6
    middle = np.rint(np.full(3, size / 2.0)) * 2
    centre = middle + origin * 2.0 / a
    outer = shape.grown(grown)
    mask = inside(outer, cells=(size, size, size), lattice=a, centre=centre, termination=termination)
    index = np.rint((points + origin) * 2.0 / a).astype(int) + middle.astype(int)
    valid = np.all((index >= 0) & (index < 2 * size), axis=1)
    result = np.zeros(len(points), dtype=bool)
    result[valid] = mask[tuple(index[valid].T)]
    return result


def monolayer(crystal: Crystal) -> float:
    """Thickness in Å along z of one monolayer: the distance between planes of metals, A cations not counted.

    Half a lattice constant of rock salt and zinc blende, a whole one of a perovskite.

    Raises
    ------
    UsageError
        If the planes are not equally spaced, or z is no axis of the cell.
    """
    sites = sites_of_crystal(crystal)
    metals = (sites.charges > 0) & (sites.sublattice != "A")
    axis = sites.cell[2]
    if not metals.any() or abs(axis[2]) < np.linalg.norm(axis) - 1e-6:
        raise UsageError(f"{crystal.name} has no layers of metals along z; give the thickness in Å")
    fractions = np.sort(np.round(sites.positions[metals] @ np.linalg.inv(sites.cell), 4)[:, 2] % 1.0)
    planes = fractions[np.append(True, np.diff(fractions) > 1e-3)]
    steps = np.diff(planes, append=planes[0] + 1.0) * axis[2]
    if np.ptp(steps) > 0.05:
        raise UsageError(f"the planes of metals of {crystal.name} are not equally spaced along z; give Å")
    return float(axis[2] / len(planes))


def dot_atoms(dot: DotSites) -> Atoms:
    """The dot's atoms around the origin, without a cell, with arrays ``region``, ``phase``, ``dot`` and the others.

    The phase of a shell is the formula of what stands in it.
    """
    atoms = to_atoms(replace(dot.sites, name=dot.crystal.end_member or dot.crystal.name))
    region = np.repeat(dot.region, atoms_per_site(dot.sites))
    atoms.set_array("region", region)
    if shell := shell_formula(dot):
        # A new array: set in place, ASE cuts a longer name.
        atoms.arrays["phase"] = np.where(region == "shell", shell, atoms.get_array("phase"))
    atoms.set_array("dot", np.zeros(len(atoms), dtype=int))
    atoms.set_cell(None)
    atoms.pbc = False
    return atoms


def shell_formula(dot: DotSites) -> str:
    """Mean composition of the shell as it was filled, ``Cd0.284Zn0.716S``; empty without a shell."""
    inside = dot.region == "shell"
    labels, species = dot.sites.sublattice[inside], dot.sites.species[inside]
    text = ""
    for label in [name for name in ("A", "B", "X", "cation", "anion") if name in labels]:
        counts = Counter(species[labels == label].tolist())
        for name in in_formula_order(counts):
            amount = round((3 if label == "X" else 1) * counts[name] / sum(counts.values()), 3)
            text += name if amount == 1 else f"{name}{amount:g}"
    return text


def initial_strain(
    dot: DotSites, *, own: float, dataset: str | None = None, temperature: float | None = None,
    files: Sequence[Path] = (),
) -> dict[str, Any]:  # fmt: skip
    """Entries of a report: mean engineering strain that dot and shell start with, against their own lattice constants.

    A shell on the core's lattice and a dot on the matrix's are strained as they are built.

    Parameters
    ----------
    dot
        The sites, at the lattice constant used.
    own
        Lattice constant of the dot's crystal by itself, Å.
    dataset, temperature, files
        Where the constant of the shell is from, K, and user's files; see
        :func:`qdip_struct.materials.mixed_lattice.mixed_lattice_constant`.

    Returns
    -------
    dict
        ``initial_strain`` {part: fraction, ``None`` where no constant is known} and ``own_lattice_angstrom`` {part: Å}.
    """
    constants: dict[str, float | None] = {"dot": own}
    strain: dict[str, float | None] = {"dot": dot.crystal.a_angstrom / own - 1.0}
    if formula := shell_formula(dot):
        constants["shell"] = strain["shell"] = None
        for word in (f"{formula}:{dot.crystal.phase}", formula):
            try:
                found = mixed_lattice_constant(word, dataset=dataset, temperature=temperature, files=files)
            except UsageError:
                continue
            # By the volume of an ion: a cell of chalcopyrite holds two of zinc blende.
            free = scaled(found.terms[0][0], lattice=found.a_angstrom)
            ratio = (dot.crystal.volume / len(dot.crystal.sites)) / (free.volume / len(free.sites))
            constants["shell"], strain["shell"] = found.a_angstrom, ratio ** (1.0 / 3.0) - 1.0
            break
    return {"initial_strain": strain, "own_lattice_angstrom": constants}


def in_vacuum(atoms: Atoms, *, vacuum: float) -> Atoms:
    """A copy in a rectangular periodic box with ``vacuum`` Å (above zero) between the dot and its images.

    Raises
    ------
    UsageError
        If the vacuum is not a finite length above zero.
    """
    if not (math.isfinite(vacuum) and vacuum > 0):
        raise UsageError(f"the vacuum is {vacuum:g} Å; expected a finite length above zero")
    boxed = atoms.copy()
    low, high = boxed.positions.min(axis=0), boxed.positions.max(axis=0)
    lengths = high - low + vacuum
    boxed.set_cell(np.diag(lengths))
    boxed.positions += lengths / 2 - (low + high) / 2
    boxed.pbc = True
    return boxed


def dot_report(atoms: Atoms, *, dot: DotSites, changes: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """The report of a free dot: :func:`qdip_struct.builders.atoms.regions.report` and the realised size.

    Parameters
    ----------
    atoms
        The dot in its box.
    dot
        The sites it was made from.
    changes
        What finishing its surface changed.
    seed
        Seed that was used.
    """
    return report(
        atoms,
        volume_fraction=dot.volume / abs(np.linalg.det(atoms.cell.array)),
        changes=changes,
        seed=seed,
        role="dot",
        shape=dot.shape.name,
        center=dot.center,
        termination={"name": dot.termination, "meaning": TERMINATIONS[dot.termination]},
        **lattice_facts({"dot": dot.crystal}),
        n_formula_units_dot=dot.n_units,
        equivalent_diameter_angstrom=(6.0 / math.pi * dot.volume) ** (1.0 / 3.0),
        extent_angstrom=np.ptp(atoms.positions, axis=0).tolist(),
    )


def scale_for(core: Crystal, *, form: DotForm, n_atoms: int) -> float:
    """Factor by which the shape must be scaled so that the cut holds as nearly ``n_atoms`` ions as it can.

    Raises
    ------
    UsageError
        If ``n_atoms`` is below 2 or above a tenth of :data:`MOST_IONS`.
    """
    if not 2 <= n_atoms <= MOST_IONS // 10:
        raise UsageError(f"a dot of {n_atoms} atoms cannot be cut; give 2 or more, at most {MOST_IONS // 10}")

    shape = form.body

    def count(factor: float) -> int:
        try:
            return len(cut_dot(core, form=replace(form, shape=shape.scaled(factor))).sites)
        except UsageError:
            return 0

    low, high = 0.0, (n_atoms * core.volume / len(core.sites) / shape.volume) ** (1.0 / 3.0)
    while count(high) < n_atoms:
        low, high = high, high * 1.3
    for _ in range(24):
        middle = (low + high) / 2.0
        low, high = (middle, high) if count(middle) < n_atoms else (low, middle)
    return low if low > 0 and n_atoms - count(low) < count(high) - n_atoms else high
