"""The unstrained lattice that each phase is measured against, and where its constant comes from.

A reference is a lattice constant given by the user, that of a data set, or the one measured on another structure (the
same dot relaxed in vacuum). Numbers of different data sets are never mixed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qdip_struct.analysis.strain.phases import Phases, find_phases
from qdip_struct.analysis.strain.strain import strain_map
from qdip_struct.analysis.strain.sublattice import Sublattice, perovskite, rocksalt, sublattice_of, zincblende
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant

if TYPE_CHECKING:
    from ase import Atoms

Lengths = float | Sequence[float]


def references_of(
    phases: Phases,
    *,
    lattices: Mapping[str, Lengths] | None = None,
    structures: Mapping[str, str] | None = None,
    dataset: str | None = None,
) -> dict[str, Sublattice]:
    """Reference sublattice of every phase.

    Parameters
    ----------
    phases
        From :func:`qdip_struct.analysis.strain.phases.find_phases`.
    lattices
        Role ("dot", "matrix") or phase ("PbS") → lattice constant in Å, or three pseudo-cubic lengths along x, y, z.
        Phases without an entry take the data set's.
    structures
        Phase → crystal to take its structure and constants from, where the name alone is not enough: "CdS:wurtzite".
    dataset
        Data set of the constants that are not given.

    Raises
    ------
    UsageError
        If a name in ``lattices`` is neither a role nor a phase, or a constant is neither given nor known.
    """
    given = dict(lattices or {})
    known = {*phases.roles, *phases.roles.values()}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(f"no phase or role '{unknown[0]}' in this structure; known: {', '.join(sorted(known))}")
    references = {}
    for phase, role in phases.roles.items():
        spec = (structures or {}).get(phase, phase)
        references[phase] = _reference(phase, spec, given.get(phase, given.get(role)), dataset=dataset)
    return references


def _reference(phase: str, spec: str, lengths: Lengths | None, *, dataset: str | None) -> Sublattice:
    if lengths is not None and np.ndim(lengths) > 0 and parse_formula(spec).family != "perovskite":
        raise UsageError(f"{phase} takes one lattice constant, not {np.size(lengths)}")
    formula = parse_formula(spec)
    cation = formula.sublattices[0].species[0]
    try:
        mixed = mixed_lattice_constant(formula, dataset=dataset)
    except UsageError as error:
        if lengths is None:
            raise UsageError(f"no lattice constant for {phase} ({error}); give one with --reference-lattice") from error
        if formula.family == "perovskite":
            return perovskite(phase, lengths)
        build = zincblende if cation in ("Cd", "Zn", "Hg") else rocksalt
        return build(phase, float(np.asarray(lengths)))
    crystal = mixed.terms[0][0]
    if formula.family == "perovskite" and lengths is not None:
        return perovskite(phase, lengths)
    a = mixed.a_angstrom if lengths is None else float(np.asarray(lengths))
    built = sublattice_of(crystal, lattice=a)
    return replace(built, name=phase, source="given" if lengths is not None else mixed.source)


def measured_reference(atoms: "Atoms", *, phase: str, start: Sublattice, source: str) -> tuple[Sublattice, float]:
    """Take the mean lattice constant of a phase in another structure as the reference.

    Parameters
    ----------
    atoms
        The other structure, for example the same dot relaxed in vacuum.
    phase
        The phase to measure.
    start
        A sublattice near enough to match (within 25 % of the lattice constant).
    source
        What the reference will be called.

    Returns
    -------
    Sublattice, float
        The reference, and the standard deviation of the local lattice constant over the cations in Å.

    Raises
    ------
    DataError
        If the structure holds no cation of that phase with a defined strain.
    """
    found = find_phases(atoms)
    labels = np.where(found.labels == phase, found.labels, "")
    if not (labels != "").any():
        raise DataError(f"{source} holds no {phase}; it holds {', '.join(found.roles)}")
    local = strain_map(atoms, phases=labels, references={phase: start}).lattice_angstrom()
    local = local[np.isfinite(local)]
    if not local.size:
        raise DataError(f"{source}: no cation of {phase} has enough neighbours for a lattice constant")
    scale = float(local.mean()) / start.lattice_angstrom
    variants = tuple(tuple((x * scale, y * scale, z * scale) for x, y, z in rows) for rows in start.variants)
    reference = replace(
        start,
        lattice_angstrom=float(local.mean()),
        variants=variants,
        match_radius_angstrom=start.match_radius_angstrom * scale,
        source=f"mean over {local.size} cations of {source}",
    )
    return reference, float(local.std(ddof=1)) if local.size > 1 else 0.0
