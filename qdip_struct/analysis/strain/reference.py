"""What a strain is held against: the unstrained lattice of each phase, and what isotropic elasticity predicts.

A reference is a lattice constant given by the user, that of a data set, or the one measured on another structure (the
same dot relaxed in vacuum). Numbers of different data sets are never mixed. The prediction for a dot in a matrix,
uniform strain inside and A + B/r³ outside, is that of :func:`qdip_struct.materials.strain_sharing.share_dot`; here it
meets the numbers of a strain map. Lengths in Å, strains as fractions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qdip_struct.analysis.strain.phases import Phases, find_phases
from qdip_struct.analysis.strain.strain import StrainMap, strain_map
from qdip_struct.analysis.strain.sublattice import MetalSublattice, perovskite, rocksalt, sublattice_of, zincblende
from qdip_struct.base.arrays import Floats
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.elasticity import Moduli, mixed_moduli
from qdip_struct.materials.ions import IONS
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.strain_sharing import DotSharing, share_dot

if TYPE_CHECKING:
    from ase import Atoms

Lengths = float | Sequence[float]


def references_of(
    phases: Phases,
    *,
    lattices: Mapping[str, Lengths] | None = None,
    structures: Mapping[str, str] | None = None,
    dataset: str | None = None,
    temperature: float | None = None,
    files: Sequence[Path] = (),
) -> dict[str, MetalSublattice]:
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
        A perovskite named with its phase is measured against the pseudo-cubic cell of that phase, three lengths and
        three angles, else against the cube of its volume.
    dataset, temperature
        Data set of the constants that are not given, and their temperature (K, default that of the data set).
    files
        User's files of crystals.

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
        references[phase] = _reference(
            phase, spec, given.get(phase, given.get(role)), dataset=dataset, temperature=temperature, files=files
        )
    return references


def _reference(
    phase: str,
    spec: str,
    lengths: Lengths | None,
    *,
    dataset: str | None,
    temperature: float | None,
    files: Sequence[Path],
) -> MetalSublattice:
    if lengths is not None and np.ndim(lengths) > 0 and parse_formula(spec).family != "perovskite":
        raise UsageError(f"{phase} takes one lattice constant, not {np.size(lengths)}")
    formula = parse_formula(spec)
    cation = formula.sublattices[0].species[0]
    try:
        at = temperature if lengths is None else None
        mixed = mixed_lattice_constant(formula, dataset=dataset, temperature=at, files=files)
    except UsageError as error:
        if lengths is None:
            raise UsageError(f"no lattice constant for {phase} ({error}); give one with --reference-lattice") from error
        if formula.family == "perovskite":
            return perovskite(phase, lengths)
        build = zincblende if IONS[cation].coordination == 4 else rocksalt
        return build(phase, float(np.asarray(lengths)))
    crystal = mixed.terms[0][0]
    if formula.family == "perovskite" and lengths is not None:
        return perovskite(phase, lengths)
    a = mixed.a_angstrom if lengths is None else float(np.asarray(lengths))
    built = sublattice_of(crystal, lattice=a, cell=bool(formula.phase))
    if lengths is not None:
        return replace(built, name=phase, source="given")
    return replace(
        built, name=phase, source=mixed.source, temperature_kelvin=mixed.temperature_kelvin, warnings=mixed.warnings
    )


def measured_reference(
    atoms: "Atoms", *, phase: str, start: MetalSublattice, source: str
) -> tuple[MetalSublattice, float]:
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
    reference = replace(
        start.enlarged(float(local.mean()) / start.lattice_angstrom),
        lattice_angstrom=float(local.mean()),
        source=f"mean over {local.size} cations of {source}",
        temperature_kelvin=None,
        warnings=(),
    )
    return reference, float(local.std(ddof=1)) if local.size > 1 else 0.0


@dataclass(frozen=True, eq=False)
class Continuum:
    """Prediction of the isotropic inclusion for the structure at hand.

    Attributes
    ----------
    misfit
        f = (a_matrix − a_dot)/a_dot of the two reference lattices; positive stretches the dot.
    volume_fraction
        φ of the dot, by cations times reference volume per cation.
    radius_angstrom
        Radius of the sphere of the dot's volume, Å.
    fixed, infinite
        Strains with a fixed outer boundary at φ, and in a matrix without end.
    """

    misfit: float
    volume_fraction: float
    radius_angstrom: float
    fixed: DotSharing
    infinite: DotSharing
    dot: Moduli
    matrix: Moduli

    def to_dict(self) -> dict[str, Any]:
        """JSON keys; ``dot_strain`` is that of the fixed periodic cell."""
        return {
            "dot_strain": self.fixed.dot_strain,
            "dot_strain_infinite_matrix": self.infinite.dot_strain,
            "misfit": self.misfit,
            "volume_fraction": self.volume_fraction,
            "radius_angstrom": self.radius_angstrom,
            "moduli_gpa": {
                moduli.name: {"bulk": moduli.bulk, "shear": moduli.shear, "source": moduli.source}
                | ({"assumption": moduli.assumption} if moduli.assumption else {})
                for moduli in (self.dot, self.matrix)
            },
        }


def predict(
    strain: StrainMap, *, dot: str, matrix: str, moduli: Mapping[str, Moduli],
    structures: Mapping[str, str] | None = None, files: Sequence[Path] = (),
) -> tuple[Continuum | None, str]:  # fmt: skip
    """Prediction for the two phases of a strain map, or ``None`` and the reason why there is none.

    Parameters
    ----------
    strain
        Map of the whole structure: its cations give the volume fraction, its references the misfit.
    dot, matrix
        Phases.
    moduli
        Role ("dot", "matrix") → moduli; default the shipped ones.
    structures, files
        Phase → crystal whose moduli are taken, and user's files of properties.
    """
    words = structures or {}
    inner = moduli.get("dot") or mixed_moduli(words.get(dot, dot), files=files)
    outer = moduli.get("matrix") or mixed_moduli(words.get(matrix, matrix), files=files)
    missing = [name for name, known in ((dot, inner), (matrix, outer)) if known is None]
    if inner is None or outer is None:
        return None, f"no elastic moduli for {' and '.join(missing)}; give them with --moduli"
    a_dot, a_matrix = (strain.references[name].lattice_angstrom for name in (dot, matrix))
    per_cation = {name: strain.references[name].volume_per_cation_angstrom3 for name in (dot, matrix)}
    volume = {name: per_cation[name] * int((strain.phase == name).sum()) for name in (dot, matrix)}
    fraction = volume[dot] / (volume[dot] + volume[matrix])
    misfit = (a_matrix - a_dot) / a_dot
    return (
        Continuum(
            misfit=misfit,
            volume_fraction=fraction,
            radius_angstrom=float((3.0 * volume[dot] / (4.0 * np.pi)) ** (1 / 3)),
            fixed=share_dot(misfit, dot=inner, matrix=outer, surroundings="fixed", volume_fraction=fraction),
            infinite=share_dot(misfit, dot=inner, matrix=outer),
            dot=inner,
            matrix=outer,
        ),
        "",
    )


def continuum_curve(sharing: DotSharing, *, radius: float, distances: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, radial and hoop strain of the isotropic inclusion at the given distances (Å) from its centre.

    Inside ``radius`` all three are the uniform strain of the dot; outside ε_rr = A − 2β(R/r)³, ε_θθ = A + β(R/r)³,
    each against the lattice of its own phase.
    """
    uniform = (sharing.matrix_radial_strain + 2.0 * sharing.matrix_hoop_strain) / 3.0
    beta = sharing.matrix_hoop_strain - uniform
    decay = (radius / np.maximum(distances, radius)) ** 3
    inside = distances < radius
    radial = np.where(inside, sharing.dot_strain, uniform - 2.0 * beta * decay)
    hoop = np.where(inside, sharing.dot_strain, uniform + beta * decay)
    return (radial + 2.0 * hoop) / 3.0, radial, hoop
