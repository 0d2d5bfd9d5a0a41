"""Everything that ``qdip strain`` answers for one structure or trajectory, as one document and one table of cations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from qdip_struct.analysis.strain import measures
from qdip_struct.analysis.strain.averages import Change, RegionMean, change_between, frame_average, region_means
from qdip_struct.analysis.strain.bonds import find_bonds, octahedral_tilts
from qdip_struct.analysis.strain.gauge import AXES, Line, lines
from qdip_struct.analysis.strain.phases import Phases, find_phases
from qdip_struct.analysis.strain.profiles import ProfilePoint, StrainLayer, layer_profile, radial_strain
from qdip_struct.analysis.strain.reference import (
    Continuum,
    Lengths,
    OwnCrystal,
    measured_reference,
    predict,
    references_of,
)
from qdip_struct.analysis.strain.strain import StrainMap, strain_map
from qdip_struct.analysis.strain.sublattice import MetalSublattice
from qdip_struct.base.arrays import Floats
from qdip_struct.base.documents import Count, Number, Positive, ResultDocument, Text, Word
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.elasticity import Moduli

if TYPE_CHECKING:
    from ase import Atoms


class _MeanStrain(msgspec.Struct, frozen=True):
    n: Count
    mean: Number | None
    stderr: Number | None


class _RegionStrain(_MeanStrain, frozen=True):
    std: Number | None


class _PhaseReference(msgspec.Struct, frozen=True):
    reference_lattice_angstrom: Positive
    reference_source: Text


class _Prediction(msgspec.Struct, frozen=True):
    dot_strain: Number
    dot_strain_infinite_matrix: Number
    misfit: Number
    volume_fraction: Number


class StrainDocument(ResultDocument, frozen=True, kw_only=True):
    """What :meth:`StrainSummary.to_dict` gives and ``qdip strain`` writes, as far as a page shows it.

    Attributes
    ----------
    measure, structure
        Name of the strain measure, and the file that was measured.
    regions, to_reference
        By region: mean strain, and its change against the dot in vacuum.
    profile
        Across the border of a dot.
    phases
        Reference lattice of each.
    continuum, continuum_reason
        Prediction of isotropic elasticity, or why there is none.
    undefined
        Cations without a strain.
    """

    KIND = COMMAND = "strain"
    KNOWN_BY = frozenset({"measure", "regions", "profile", "continuum_reason"})

    measure: Word
    regions: dict[Word, _RegionStrain]
    profile: Any
    continuum_reason: Text | None
    structure: Text = ""
    phases: dict[Word, _PhaseReference] = msgspec.field(default_factory=dict)
    to_reference: dict[Word, _MeanStrain] | None = None
    continuum: _Prediction | None = None
    undefined: Count | None = None


@dataclass(frozen=True, eq=False)
class StrainSummary:
    """Strain of a structure, all of it in the measure that is named.

    Attributes
    ----------
    atoms, measure, n_frames
        The (last) structure, the name of the strain measure, how many structures were averaged.
    phases, strain, tensor
        Phase of every cation, the map of the m cations, and their tensors (m, 3, 3).
    regions, to_reference
        By region: mean strain, and its change against the dot in vacuum.
    lines, reference_lines
        Rows of cations, and those of the dot in vacuum, Å.
    profile, layers
        Across the border of a dot, or layer by layer of a slab.
    continuum, continuum_reason
        Prediction of isotropic elasticity, or why there is none.
    """

    atoms: "Atoms"
    measure: str
    phases: Phases
    strain: StrainMap
    tensor: Floats
    regions: dict[str, RegionMean]
    lines: list[Line]
    reference_lines: list[Line]
    to_reference: dict[str, Change]
    profile: list[ProfilePoint]
    layers: list[StrainLayer]
    continuum: Continuum | None
    continuum_reason: str
    n_frames: int

    def of_role(self, role: str) -> str | None:
        """Phase that plays a role, the most numerous if there are several."""
        names = [name for name, own in self.phases.roles.items() if own == role]
        return max(names, key=lambda name: int((self.phases.labels == name).sum())) if names else None

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``qdip strain``."""
        free = {(line.phase, line.direction): line for line in self.reference_lines}
        rows = []
        for line in self.lines:
            row = asdict(line)
            other = free.get((line.phase, line.direction))
            if other is not None:
                row["reference_length_angstrom"] = other.length_angstrom
                row["strain_to_reference"] = line.lattice_angstrom / other.lattice_angstrom - 1.0
            rows.append(row)
        symbols = np.asarray(self.atoms.get_chemical_symbols())
        tilts = octahedral_tilts(self.atoms, self.strain)
        return {
            "measure": self.measure,
            "n_frames": self.n_frames,
            "phases": {
                name: {
                    "role": role,
                    "n": int((self.phases.labels == name).sum()),
                    "reference_lattice_angstrom": self.strain.references[name].lattice_angstrom,
                    "reference_source": self.strain.references[name].source,
                    "reference_cell_angstrom": self.strain.references[name].lengths,
                    "reference_angles_degree": self.strain.references[name].angles,
                    "undefined": int((~self.strain.defined[self.strain.phase == name]).sum()),
                    "temperature_kelvin": self.strain.references[name].temperature_kelvin,
                    "lattice_warnings": list(self.strain.references[name].warnings),
                    "orientation_degree": float(measures.rotation_degree(self.strain.orientations[name][None])[0]),
                }
                for name, role in self.phases.roles.items()
            },
            "phase_origin": self.phases.origin,
            "regions": {name: asdict(region) for name, region in self.regions.items()},
            "to_reference": {name: asdict(change) for name, change in self.to_reference.items()},
            "lines": rows,
            "continuum": None if self.continuum is None else self.continuum.to_dict(),
            "continuum_reason": self.continuum_reason or None,
            "undefined": int((~self.strain.defined).sum()),
            "undefined_indices": self.strain.sites[~self.strain.defined].tolist(),
            "undecided": len(self.phases.undecided),
            "without_phase": self.phases.strangers,
            "profile": [asdict(point) for point in self.profile],
            "layers": [asdict(layer) for layer in self.layers],
            "bonds": find_bonds(self.atoms).summary(symbols),
            "tilts": {
                "n": len(tilts.sites),
                "mean_degree": float(tilts.magnitude().mean()) if len(tilts.sites) else None,
                "rms_degree": np.sqrt((tilts.angles**2).mean(axis=0)) if len(tilts.sites) else None,
                "phase_factor": tilts.phase_factor if len(tilts.sites) else None,
            },
        }

    def labelled(self) -> "Atoms":
        """The structure with its map as arrays, for OVITO and for later commands.

        ``strain`` (n, 6, Voigt xx yy zz yz xz xy), ``strain_mean``, ``strain_shear``, ``strain_rotation`` (degree),
        ``strain_residual`` and ``strain_lattice`` (Å), NaN on atoms that carry no strain; ``strain_neighbours``;
        ``bond_count`` and ``bond_length`` (mean, Å) of the metal-anion bonds of every atom.
        """
        labelled: Atoms = self.atoms.copy()
        n, sites = len(labelled), self.strain.sites
        columns: dict[str, NDArray[Any]] = {
            "strain": measures.voigt(self.tensor),
            "strain_mean": measures.mean_strain(self.tensor),
            "strain_shear": measures.shear_strain(self.tensor),
            "strain_rotation": self.strain.rotation_degree,
            "strain_residual": self.strain.residual,
            "strain_lattice": self.strain.lattice_angstrom(),
        }
        for name, values in columns.items():
            whole = np.full((n, *values.shape[1:]), np.nan)
            whole[sites] = values
            labelled.arrays[name] = whole
        neighbours = np.zeros(n, dtype=int)
        neighbours[sites] = self.strain.neighbours
        labelled.arrays["strain_neighbours"] = neighbours
        bonds = find_bonds(labelled)
        labelled.arrays["bond_count"], labelled.arrays["bond_length"] = bonds.coordination(), bonds.mean_length()
        return labelled

    def csv(self) -> str:
        """One row per cation; lengths in Å, rotation in degree, empty where undefined."""
        header = (
            "index,symbol,phase,x,y,z,strain_mean,strain_shear,strain_1,strain_2,strain_3,rotation_degree,"
            "lattice_angstrom,residual_angstrom,neighbours"
        )
        principal = measures.principal_strains(self.tensor)
        values = np.column_stack(
            (
                measures.mean_strain(self.tensor),
                measures.shear_strain(self.tensor),
                principal,
                self.strain.rotation_degree,
                self.strain.lattice_angstrom(),
                self.strain.residual,
            )
        )
        out = [f"# measure: {self.measure}", header]
        for row, site in enumerate(self.strain.sites.tolist()):
            place = ",".join(f"{x:.6f}" for x in self.atoms.positions[site])
            numbers = ",".join("" if np.isnan(x) else f"{x:.8f}" for x in values[row])
            out.append(
                f"{site},{self.atoms.symbols[site]},{self.strain.phase[row]},{place},{numbers},"
                f"{self.strain.neighbours[row]}"
            )
        return "\n".join(out) + "\n"


def summarise(
    frames: Sequence["Atoms"],
    *,
    lattices: Mapping[str, Lengths] | None = None,
    structures: Mapping[str, str | Crystal] | None = None,
    built: Mapping[str, OwnCrystal] | None = None,
    dataset: str | None = None,
    temperature: float | None = None,
    files: Sequence[Path] = (),
    vacuum_dot: "Atoms | None" = None,
    measure: str = "engineering",
    directions: Sequence[Sequence[float]] = tuple(AXES.values()),
    moduli: Mapping[str, Moduli] | None = None,
    bin_width: float = 3.0,
) -> StrainSummary:
    """Strain of a structure, or the average over the frames of a trajectory.

    Parameters
    ----------
    frames
        One structure, or several frames of the same atoms in the same order.
    lattices, structures, built, dataset, temperature, files
        See :func:`qdip_struct.analysis.strain.reference.references_of`.
    vacuum_dot
        The same dot relaxed in vacuum: its mean lattice constant becomes the dot's reference (unless given in
        ``lattices``) and its lines the reference of the dot's lines.
    measure
        Strain measure.
    directions
        Of the line gauge.
    moduli
        Role → moduli for the continuum prediction; default the shipped ones.
    bin_width
        Of the radial profile, Å.

    Raises
    ------
    UsageError, DataError
        As the functions it calls.
    """
    if not frames:
        raise UsageError("no structure to measure")
    last = frames[-1]
    phases = find_phases(last)
    references = references_of(
        phases,
        lattices=lattices,
        structures=structures,
        built=built,
        dataset=dataset,
        temperature=temperature,
        files=files,
    )
    dots = [name for name, role in phases.roles.items() if role == "dot"]
    free = None
    if vacuum_dot is not None:
        if not dots:
            raise UsageError("a vacuum reference needs a dot in the structure; none was found")
        given = set(lattices or {})
        references, free = _against_vacuum(vacuum_dot, dots=dots, references=references, given=given)
    maps = [strain_map(frame, phases=phases.labels, references=references) for frame in frames]
    strain = maps[-1]
    if not any(one.defined.any() for one in maps):
        raise DataError(_why_undefined(strain))
    groups = _groups(last, phases, strain)
    per_frame = [_regions(one, groups, measure) for one in maps]
    to_reference: dict[str, Change] = {}
    if free is not None:
        for names in groups:
            to_reference.update(change_between(strain, free, phase=dots[0], groups=names, measure=measure))
    matrices = [name for name, role in phases.roles.items() if role == "matrix"]
    continuum, reason = None, "no dot in a matrix"
    if dots and matrices:
        continuum, reason = predict(
            strain,
            dot=dots[0],
            matrix=matrices[0],
            moduli=moduli or {},
            structures=_by_phase(structures, phases),
            files=files,
        )
    return StrainSummary(
        atoms=last,
        measure=measure,
        phases=phases,
        strain=strain,
        tensor=strain.tensor(measure) if len(maps) == 1 else frame_average(maps, measure=measure)[0],
        regions={name: _over_frames([frame[name] for frame in per_frame]) for name in per_frame[-1]},
        lines=lines(last, strain, directions=directions),
        reference_lines=[] if vacuum_dot is None or free is None else lines(vacuum_dot, free, directions=directions),
        to_reference=to_reference,
        profile=radial_strain(last, strain, dot=dots[0], width=bin_width, measure=measure) if dots else [],
        layers=[] if dots else layer_profile(last, strain, measure=measure),
        continuum=continuum,
        continuum_reason=reason,
        n_frames=len(maps),
    )


def _by_phase(structures: Mapping[str, str | Crystal] | None, phases: Phases) -> dict[str, str | Crystal]:
    """Crystals by phase of those given by role or phase."""
    given = structures or {}
    return {
        name: given[name if name in given else role]
        for name, role in phases.roles.items()
        if name in given or role in given
    }


def _why_undefined(strain: StrainMap) -> str:
    """Why no cation of a structure has a strain, in a sentence."""
    reasons = []
    for name in dict.fromkeys(strain.phase.tolist()):
        own, reference = strain.phase == name, strain.references[name]
        most = int(strain.neighbours[own].max())
        reasons.append(
            f"of {int(own.sum())} cations of {name} each has at most {most} of the {len(set(reference.variants[0]))} "
            f"neighbours of the reference ({reference.source}) in place"
        )
    return (
        f"no cation has a strain, for which it needs three neighbours that are not in one plane: {'; '.join(reasons)}; "
        "if it is another phase, name it with --crystal NAME:phase or --crystal NAME=FILE"
    )


def _against_vacuum(
    vacuum_dot: "Atoms", *, dots: Sequence[str], references: Mapping[str, MetalSublattice], given: set[str]
) -> tuple[dict[str, MetalSublattice], StrainMap]:
    """References with the mean lattice of the dot in vacuum for each dot not ``given``, and the map of that dot."""
    measured = dict(references)
    for name in dots:
        if not {name, "dot"} & given:
            measured[name] = measured_reference(
                vacuum_dot, phase=name, start=references[name], source="the dot in vacuum"
            )[0]
    phases = find_phases(vacuum_dot)
    own = np.where(np.isin(phases.labels, dots), phases.labels, "")
    return measured, strain_map(vacuum_dot, phases=own, references=measured)


def _groups(atoms: "Atoms", phases: Phases, strain: StrainMap) -> list[NDArray[np.str_]]:
    """Ways to group the cations: by role, and inside each role by core and interface where the builder said so."""
    role = phases.role_of()[strain.sites]
    if not atoms.has("region"):
        return [role]
    region = np.asarray(atoms.arrays["region"], dtype=str)[strain.sites]
    if not (region == "interface").any():
        return [role]
    return [role, np.char.add(role, np.where(region == "interface", "_interface", "_core"))]


def _regions(strain: StrainMap, groups: list[NDArray[np.str_]], measure: str) -> dict[str, RegionMean]:
    found: dict[str, RegionMean] = {}
    for names in groups:
        found.update(region_means(strain, groups=names, measure=measure))
    return found


def _over_frames(frames: Sequence[RegionMean]) -> RegionMean:
    """Average of a region over frames; its error from the scatter of the frames."""
    if len(frames) == 1:
        return frames[0]
    columns = {key: np.array([getattr(frame, key) for frame in frames]) for key in asdict(frames[0])}
    return RegionMean(
        n=int(columns["n"].min()),
        mean=float(columns["mean"].mean()),
        stderr=float(columns["mean"].std(ddof=1) / np.sqrt(len(frames))),
        std=float(columns["std"].mean()),
        noise_bias=float(columns["noise_bias"].mean()),
        noise_angstrom=float(columns["noise_angstrom"].mean()),
        undefined=int(columns["undefined"].max()),
    )
