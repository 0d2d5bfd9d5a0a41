"""A request for interfaces, in words: the fields are the options of ``qdip build interface``.

One request may ask for several interfaces: every termination, a scan of the registry, several gaps. They share one
height, so that film and substrate of one serve for all.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.cells import Arrangement, Occupation
from qdip_struct.builders.atoms.molecules import MoleculeOrientation
from qdip_struct.builders.interface.interface import InterfaceCells, place
from qdip_struct.builders.interface.interface_options import InterfaceKind, LateralCell, Placement, Stack, StrainOn
from qdip_struct.builders.interface.joint import Joint, join
from qdip_struct.builders.interface.registry import irreducible_shifts
from qdip_struct.builders.interface.stiffness import Normal
from qdip_struct.builders.parsing import numbers, shares_of, whole_numbers
from qdip_struct.builders.slab.slab import surface_of
from qdip_struct.builders.slab.stoichiometry import termination_names
from qdip_struct.matching.planes import parse_plane
from qdip_struct.materials.crystals import Crystal
from qdip_struct.materials.structure_files import crystal_of


@dataclass(frozen=True)
class InterfaceRequest:
    """What ``qdip build interface`` takes, as typed.

    Attributes
    ----------
    film, substrate
        ``NAME[:phase]``, a mixed formula or a structure file.
    film_plane, substrate_plane
        Miller indices.
    film_layers, substrate_layers
        Monolayers.
    film_termination, termination
        Layers in contact; ``all`` builds every one of the substrate.
    film_lattice, substrate_lattice
        (Pseudo-)cubic lattice constants, Å.
    registry, scan_divisions
        Name, two fractions, or ``scan`` with that many grid steps.
    gap
        Contact layer to contact layer, Å; several separated by commas.
    match, max_area, max_strain, max_angle
        Number in the list of ``qdip match`` and its limits: Å², fraction, degree.
    lateral
        Imposed cell: edges (Å) and angle (degree).
    strain_on, normal, repeat
        See :class:`qdip_struct.builders.interface.interface_options.LateralCell`.
    kind
        ``slab`` or ``sandwich``.
    contact
        Anions of the contact layer, with shares.
    dataset
        Of the lattice constants.
    vacuum
        Empty length along z, Å.
    a_site, orientation, seed
        See :class:`qdip_struct.builders.atoms.cells.Occupation`.
    arrangement
        Of the ions of a mixture.
    layer_tolerance
        Sites this close along the normal are one monolayer, Å.
    """

    film: str
    substrate: str
    film_plane: str = "100"
    film_layers: int = 3
    film_termination: str | None = None
    film_lattice: float | None = None
    substrate_plane: str = "100"
    substrate_layers: int = 3
    substrate_lattice: float | None = None
    termination: str = "BX2"
    registry: str = "continuation"
    scan_divisions: int = 4
    gap: str | None = None
    match: int | None = None
    max_area: float = 400.0
    max_strain: float | None = None
    max_angle: float = 1.0
    lateral: str | None = None
    strain_on: StrainOn = "film"
    normal: Normal = "kept"
    kind: InterfaceKind = "slab"
    contact: str | None = None
    dataset: str | None = None
    repeat: str = "1,1"
    vacuum: float = 20.0
    a_site: str = "molecule"
    orientation: MoleculeOrientation = "antiparallel"
    arrangement: Arrangement = "sqs"
    seed: int = 0
    layer_tolerance: float = 0.5


def requested_interfaces(request: InterfaceRequest, *, folder: Path = Path()) -> dict[str, InterfaceCells]:
    """Build every interface of a request.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where relative names of structure files start.

    Returns
    -------
    dict
        Interfaces by a short name that tells them apart (``BX2_0.5,0_gap3.15``); the name of a single one is empty.

    Raises
    ------
    UsageError
        If an option is not possible.
    """
    plans = _plans(request, folder)
    built = {name: place(joint, placement=placement) for name, (joint, placement) in plans.items()}
    if len(built) > 1 and request.kind == "slab":
        # Cells that are compared have one height, that of the thickest, so that film and substrate serve for all.
        height = max(float(cells.interface.cell.array[2, 2]) for cells in built.values())
        built = {
            name: place(joint, placement=replace(placement, height=height))
            for name, (joint, placement) in plans.items()
        }
    return built


def _plans(request: InterfaceRequest, folder: Path) -> dict[str, tuple[Joint, Placement]]:
    """Every interface asked for: each termination, registry and gap."""
    terminations: tuple[str, ...] = (request.termination,)
    if request.termination == "all":
        surface = surface_of(
            _crystal(request, "substrate", folder),
            plane=parse_plane(request.substrate_plane),
            a_site=request.a_site,
            layer_tolerance=request.layer_tolerance,
        )
        terminations = termination_names(surface)
    gaps: tuple[float | None, ...] = (None,) if request.gap is None else numbers(request.gap, what="--gap")
    plans = {}
    for name in terminations:
        joint = _joint(_joining(replace(request, termination=name)), folder)
        registries: list[Any] = [registry_of(request.registry)]
        if request.registry == "scan":
            registries = [shift.fraction for shift in irreducible_shifts(joint, divisions=request.scan_divisions)]
        for registry in registries:
            for gap in gaps:
                parts = [name.replace(":", "-")] if len(terminations) > 1 else []
                parts += [f"{registry[0]:g},{registry[1]:g}"] if request.registry == "scan" else []
                parts += [f"gap{gap:g}"] if gap is not None and len(gaps) > 1 else []
                placement = Placement(registry=registry, gap=gap, kind=request.kind, vacuum=request.vacuum)
                plans["_".join(parts)] = joint, placement
    return plans


def _joining(request: InterfaceRequest) -> InterfaceRequest:
    """The request without what only places the film: equal ones share the two slabs in their common cell."""
    blank = InterfaceRequest(film="", substrate="")
    placing = ("registry", "scan_divisions", "gap", "vacuum", "kind")
    return replace(request, **{name: getattr(blank, name) for name in placing})


@lru_cache(maxsize=64)
def _joint(request: InterfaceRequest, folder: Path) -> Joint:
    return join(
        _crystal(request, "film", folder),
        _crystal(request, "substrate", folder),
        stack=_stack(request),
        cell=_cell(request),
        occupation=Occupation(request.a_site, request.orientation, request.seed, request.arrangement),
    )


def _crystal(request: InterfaceRequest, part: str, folder: Path) -> Crystal | Atoms:
    lattice = getattr(request, f"{part}_lattice")
    return crystal_of(getattr(request, part), dataset=request.dataset, lattice=lattice, folder=folder)


def _stack(request: InterfaceRequest) -> Stack:
    return Stack(
        film_plane=parse_plane(request.film_plane),
        substrate_plane=parse_plane(request.substrate_plane),
        film_layers=request.film_layers,
        substrate_layers=request.substrate_layers,
        termination=request.termination,
        film_termination=request.film_termination,
        contact=None if request.contact is None else shares_of(request.contact),
        layer_tolerance=request.layer_tolerance,
    )


def _cell(request: InterfaceRequest) -> LateralCell:
    """The common cell; with --match the limits are those of 'qdip match', so that the number means the same cell."""
    first, second = whole_numbers(request.repeat, what="--repeat", count=2)
    return LateralCell(
        match=request.match,
        max_area=request.max_area,
        max_strain=request.max_strain if request.max_strain is not None else 0.10 if request.match is None else 0.03,
        max_angle=request.max_angle,
        repeat=(first, second),
        lateral=None if request.lateral is None else numbers(request.lateral, what="--lateral"),
        strain_on=request.strain_on,
        normal=request.normal,
    )


def registry_of(text: str) -> str | tuple[float, float]:
    """A registry's name, or two fractions of the cation square such as ``0.5,0``, else :class:`UsageError`."""
    if not any(character.isdigit() for character in text):
        return text
    values = numbers(text, what="--registry")
    if len(values) != 2:
        raise UsageError(f"--registry is '{text}'; expected a name or two fractions such as 0.5,0")
    return values[0], values[1]
