"""What a strain is held against: the unstrained lattice of each phase, and what isotropic elasticity predicts.

A reference is a lattice constant or a crystal given by the user, that of which the builder says that the structure was
made, that of a data set, or the one measured on another structure (the same dot relaxed in vacuum). Numbers of
different data sets are never mixed. The prediction for a dot in a matrix, uniform strain inside and A + B/r³ outside,
is that of :func:`qdip_struct.materials.strain_sharing.share_dot`; here it meets the numbers of a strain map. Lengths in
Å, strains as fractions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from qdip_struct.analysis.strain.phases import Phases, find_phases
from qdip_struct.analysis.strain.strain import StrainMap, strain_map
from qdip_struct.analysis.strain.sublattice import MetalSublattice, perovskite, rocksalt, sublattice_of, zincblende
from qdip_struct.base.arrays import Floats
from qdip_struct.base.documents import Number, Positive
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import sha256
from qdip_struct.builders.atoms.cells import conventional
from qdip_struct.builders.atoms.store import read_sidecar, sidecar_of
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.crystals import FILE_DATASET, Crystal, scaled
from qdip_struct.materials.elasticity import Moduli, known_moduli, mixed_moduli
from qdip_struct.materials.ions import IONS
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.sites import Site
from qdip_struct.materials.strain_sharing import DotSharing, share_dot
from qdip_struct.materials.structure_files import crystal_of

if TYPE_CHECKING:
    from ase import Atoms

Lengths = float | Sequence[float]


@dataclass(frozen=True)
class OwnCrystal:
    """What a part of a structure was built from, as the builder says.

    Attributes
    ----------
    crystal
        The crystal in a user's file, at its own lattice constant; ``None`` for a named one, or where nothing is left of
        it.
    lattice_angstrom
        Own cubic lattice constant, Å; ``None`` where the crystal is not cubic.
    source
        Where this is from.
    word
        The crystal as it was named to the builder.
    missing
        Why there is no crystal, where there should be one.
    """

    crystal: Crystal | None
    lattice_angstrom: float | None
    source: str
    word: str = ""
    missing: str = ""


def built_from(structure: Path) -> dict[str, OwnCrystal]:
    """Own crystal of each part of a structure (dot, shell, matrix, film, substrate), from its sidecar.

    Without a sidecar, or with that of another structure, there is none.
    """
    said = _sidecar(structure)
    return built_as_said(said, where=sidecar_of(structure)) if said else {}


def built_as_said(said: Mapping[str, Any], *, where: Path) -> dict[str, OwnCrystal]:
    """Own crystal of each part, from what the builder said.

    A crystal of the user's is made from its sites as they were said, else read from its file again, by the path that
    was given, or beside ``where``, if it has not changed since.

    Parameters
    ----------
    said
        The content of a sidecar, or what ``run.json`` has of it.
    where
        The file it stands in.
    """
    try:
        told = msgspec.convert(said, _Built)
    except msgspec.ValidationError:
        return {}
    own, files, words = told.own_lattice_angstrom, told.provenance.input_sha256, told.provenance.parameters
    alone = [part for part in _ROLES if "material" in files and part not in told.lattice_angstrom]
    named = [part for part in _ROLES if part in files]
    found = {}
    for part in dict.fromkeys((*told.lattice_angstrom, *own, *named, *alone)):
        used = told.lattice_angstrom.get(part)
        a = own.get(part) or used
        key = part if part in words else "material"
        edges = told.lattice_edges_angstrom.get(part)
        angles = told.lattice_angles_degree.get(part, (90.0, 90.0, 90.0))
        cubic = (edges is None or max(edges) - min(edges) < 1e-6) and angles == (90.0, 90.0, 90.0)
        word = str(words.get(key, ""))
        whence = word if key in files else told.lattice_source.get(part)
        crystal, missing = None, ""
        if edges is not None and a is not None and used is not None and part in told.crystal_sites:
            lengths = (edges[0] * a / used, edges[1] * a / used, edges[2] * a / used)
            crystal = _crystal_said(told.crystal_sites[part], lengths, angles, a=a, name=Path(word).stem)
        elif key in files and part != "shell":
            crystal = _unchanged(word, files[key], beside=where.parent)
            if crystal is None:
                missing = f"{word}, of which it was built, is gone or has changed"
            elif (constant := own.get(part)) is not None:
                crystal = scaled(crystal, lattice=constant)
        found[part] = OwnCrystal(crystal, a if cubic else None, f"{whence}, from {where.name}", word, missing)
    return found


def said_of_crystals(structure: Path) -> dict[str, Any]:
    """What the sidecar of a structure says of the crystals of its parts, for that of its strain map."""
    return {key: value for key, value in _sidecar(structure).items() if key in _KEYS}


def _sidecar(structure: Path) -> dict[str, Any]:
    """The sidecar of a structure; empty without one, or where it speaks of another structure."""
    try:
        _, said = read_sidecar(structure)
    except DataError:
        return {}
    others = said.get("other_formats")
    hashes = {said.get("structure_sha256"), *(others.values() if isinstance(others, Mapping) else ())}
    return said if said and sha256(structure.read_bytes()) in hashes else {}


_ROLES = ("dot", "matrix", "film", "substrate")
_Three = tuple[Positive, Positive, Positive]


class _Origin(msgspec.Struct, frozen=True):
    parameters: dict[str, Any] = {}
    input_sha256: dict[str, str] = {}


class _Built(msgspec.Struct, frozen=True):
    """What a builder says of the crystals of its parts, by part."""

    lattice_angstrom: dict[str, Positive] = {}
    own_lattice_angstrom: dict[str, Positive | None] = {}
    lattice_edges_angstrom: dict[str, _Three] = {}
    lattice_angles_degree: dict[str, _Three] = {}
    lattice_source: dict[str, str | None] = {}
    crystal_sites: dict[str, list[tuple[str, str, Number, Number, Number]]] = {}
    provenance: _Origin = _Origin()


_KEYS = frozenset(_Built.__struct_fields__) - {"provenance"}


def _crystal_said(
    sites: Sequence[tuple[str, str, float, float, float]],
    lengths: tuple[float, float, float],
    angles: tuple[float, float, float],
    *,
    a: float,
    name: str,
) -> Crystal:
    """The crystal of which a builder said the sites, its edges (Å), angles (degree) and lattice constant ``a`` (Å)."""
    cell = Crystal(
        name=name, phase="file", structure_type="other", space_group="", lengths=lengths, angles=angles,
        temperature_kelvin=None, dataset=FILE_DATASET, source=name, doi=None, verified=False,
        sites=tuple(Site(label, species, (x, y, z)) for label, species, x, y, z in sites), n_formula_units=1,
    )  # fmt: skip
    return replace(cell, n_formula_units=max(1, round(cell.volume / a**3)))


def _unchanged(word: str, digest: str, *, beside: Path) -> Crystal | None:
    """The crystal in the file that a word names, if it is there with the SHA-256 it had."""
    for path in (Path(word), beside / word, beside / Path(word).name):
        if path.is_file() and sha256(path.read_bytes()) == digest:
            try:
                return conventional(crystal_of(str(path.resolve())), path=path)
            except (DataError, UsageError):
                return None
    return None


def references_of(
    phases: Phases,
    *,
    lattices: Mapping[str, Lengths] | None = None,
    structures: Mapping[str, str | Crystal] | None = None,
    built: Mapping[str, OwnCrystal] | None = None,
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
        Role or phase → crystal to take its structure and constants from, where the name alone is not enough:
        "CdS:wurtzite", or a crystal of the user's. A perovskite named with its phase is measured against the pseudo-
        cubic cell of that phase, three lengths and three angles, else against the cube of its volume.
    built
        Role → what the part was built from; a named crystal of it gives way to ``dataset`` or ``temperature``.
    dataset, temperature
        Data set of the constants that are not given, and their temperature (K, default that of the data set).
    files
        User's files of crystals.

    Raises
    ------
    UsageError
        If a name in ``lattices`` or ``structures`` is neither a role nor a phase, or a constant is neither given nor
        known.
    """
    given, crystals = dict(lattices or {}), dict(structures or {})
    known = {*phases.roles, *phases.roles.values()}
    unknown = [name for name in (*given, *crystals) if name not in known]
    if unknown:
        raise UsageError(f"no phase or role '{unknown[0]}' in this structure; known: {', '.join(sorted(known))}")
    references = {}
    for phase, role in phases.roles.items():
        spec = crystals.get(phase, crystals.get(role))
        lengths = given.get(phase, given.get(role))
        own = (built or {}).get(role)
        as_built = spec is None and lengths is None and own is not None and dataset is None and temperature is None
        if spec is None and own is not None and own.crystal is not None:
            spec, as_built = replace(own.crystal, source=own.source), False
        try:
            references[phase] = (
                _as_built(phase, own, files)
                if as_built and own is not None
                else _reference(phase, spec or phase, lengths, dataset=dataset, temperature=temperature, files=files)
            )
        except UsageError as error:
            if own is None or not own.missing:
                raise
            raise UsageError(f"{error}; {own.missing}") from error
    return references


def _as_built(phase: str, own: OwnCrystal, files: Sequence[Path]) -> MetalSublattice:
    """The data set's crystal, at the own lattice constant that the builder gave it where that is another."""
    spec = own.word if own.word.partition(":")[0] == phase else phase
    try:
        known = _reference(phase, spec, None, dataset=None, temperature=None, files=files)
    except UsageError:
        if own.lattice_angstrom is None:
            raise
        known = _reference(phase, phase, own.lattice_angstrom, dataset=None, temperature=None, files=files)
    a = own.lattice_angstrom
    if a is None or (known.source != "given" and abs(known.lattice_angstrom / a - 1.0) < 1e-6):
        return known
    return replace(
        known.enlarged(a / known.lattice_angstrom), lattice_angstrom=a, source=own.source, temperature_kelvin=None,
        warnings=(),
    )  # fmt: skip


def _reference(
    phase: str,
    spec: str | Crystal,
    lengths: Lengths | None,
    *,
    dataset: str | None,
    temperature: float | None,
    files: Sequence[Path],
) -> MetalSublattice:
    if isinstance(spec, Crystal):
        if lengths is not None and np.ndim(lengths) > 0:
            raise UsageError(f"{phase} is measured against {spec.source}: it takes one lattice constant, not three")
        a = None if lengths is None else float(np.asarray(lengths))
        found = sublattice_of(spec, lattice=a, cell=True)
        return replace(found, name=phase, source=f"{spec.source}, at the given constant" if a else spec.source)
    try:
        formula = parse_formula(spec)
    except UsageError as error:
        binary = re.fullmatch(r"[A-Z][a-z]?[A-Z][a-z]?", phase)
        if lengths is not None and np.ndim(lengths) == 0 and binary:
            return zincblende(phase, float(np.asarray(lengths)))
        raise UsageError(
            f"the crystal of {phase} is not known here; give its file with --crystal {phase}=FILE"
        ) from error
    if lengths is not None and np.ndim(lengths) > 0 and formula.family != "perovskite":
        raise UsageError(f"{phase} takes one lattice constant, not {np.size(lengths)}")
    cation = formula.sublattices[0].species[0]
    try:
        at = temperature if lengths is None else None
        mixed = mixed_lattice_constant(formula, dataset=dataset, temperature=at, files=files)
    except UsageError as error:
        if lengths is None:
            raise UsageError(
                f"no lattice constant for {phase} ({error}); give one with --reference-lattice, or its file with "
                f"--crystal {phase}=FILE"
            ) from error
        if formula.family == "perovskite":
            return perovskite(phase, lengths)
        build = zincblende if IONS[cation].coordination == 4 else rocksalt
        return build(phase, float(np.asarray(lengths)))
    crystal = mixed.terms[0][0]
    a = mixed.a_angstrom if lengths is None else float(np.prod(lengths) ** (1 / np.size(lengths)))
    if formula.family == "perovskite" and lengths is not None and crystal.structure_type == "perovskite":
        return perovskite(phase, lengths)
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
    structures: Mapping[str, str | Crystal] | None = None, files: Sequence[Path] = (),
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
    inner = moduli.get("dot") or _moduli_of(dot, words.get(dot, dot), files)
    outer = moduli.get("matrix") or _moduli_of(matrix, words.get(matrix, matrix), files)
    missing = [name for name, known in ((dot, inner), (matrix, outer)) if known is None]
    if inner is None or outer is None:
        return None, f"no elastic moduli for {' and '.join(missing)}; give them with --moduli"
    if other := [name for name in (dot, matrix) if not strain.references[name].cubic]:
        return None, f"{' and '.join(other)} is not cubic: there is no one misfit for a prediction"
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


def _moduli_of(phase: str, spec: str | Crystal, files: Sequence[Path]) -> Moduli | None:
    try:
        return mixed_moduli(phase if isinstance(spec, Crystal) else spec, files=files)
    except UsageError:
        return known_moduli(phase, files=files)


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
