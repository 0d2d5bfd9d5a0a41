"""A request for interfaces, in words: the fields are the options of ``qdip build interface``.

One request may ask for several interfaces: every termination, a scan of the registry, several gaps. They share one
height, so that film and substrate of one serve for all.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdip_struct.base.errors import UsageError
from qdip_struct.base.options import option
from qdip_struct.builders.parsing import InterfaceKind, Normal, StrainOn, numbers, shares_of, whole_numbers
from qdip_struct.materials import options as shared
from qdip_struct.materials.ions import charges_given
from qdip_struct.materials.options import Arrangement, MoleculeOrientation

if TYPE_CHECKING:
    from ase import Atoms

    from qdip_struct.builders.interface.interface import InterfaceCells
    from qdip_struct.builders.interface.interface_options import LateralCell, Placement, Stack
    from qdip_struct.builders.interface.joint import Joint
    from qdip_struct.materials.crystals import Crystal

_CRYSTAL = "NAME[:phase], a mixed formula or a structure file"


@dataclass(frozen=True, kw_only=True)
class InterfaceRequest:
    """What ``qdip build interface`` takes, as typed."""

    film: str = option(metavar="CRYSTAL", help=f"{_CRYSTAL}, of a crystal or a finished film with vacuum along c")
    substrate: str = option(metavar="CRYSTAL", help=_CRYSTAL)
    film_plane: str = shared.plane_option("film")
    film_layers: int = option(3, metavar="N", help="thickness of the film in monolayers")
    film_termination: str | None = option(
        None, metavar="NAME", shown="the cut without dipole of the widest gap", help="film layer in contact"
    )
    film_lattice: float | None = shared.lattice_option("film", scales_files=True)
    substrate_plane: str = shared.plane_option("substrate")
    substrate_layers: int = option(3, metavar="N", help="thickness of the substrate in monolayers")
    substrate_lattice: float | None = shared.lattice_option("substrate", scales_files=True)
    termination: str | None = option(
        None, metavar="NAME", shown="BX2 of a perovskite, else the cut without dipole of the widest gap",
        help="substrate layer in contact: AX, BX2, its formula, or all to build each",
    )  # fmt: skip
    registry: str = option(
        "continuation", metavar="NAME", help="continuation, metal, hollow, two fractions such as 0.5,0, or scan"
    )
    scan_divisions: int = option(4, metavar="N", help="grid steps along the cation square of a scan")
    gap: str | None = option(
        None, metavar="A[,A...]", unit="Å", shown="the ions touch",
        help="contact layer to contact layer, several for a scan",
    )  # fmt: skip
    match: int | None = option(
        None, metavar="N", shown="cube on cube", help="number in the list of 'qdip match' at these limits"
    )
    max_area: float = option(400.0, metavar="A2", unit="Å²", help="largest common cell")
    max_strain: float | None = option(
        None, metavar="F", shown="0.10, with --match 0.03", help="largest principal strain, fraction"
    )
    max_angle: float = option(1.0, metavar="DEG", unit="degree", help="largest change of the cell angle")
    lateral: str | None = option(
        None, metavar="A,B[,DEG]", help="impose the common cell: edges in Å and angle in degree"
    )
    strain_on: StrainOn = option("film", help="which crystal takes the strain; shared: by stiffness")
    normal: Normal = option("kept", help="spacings of a strained crystal along z: kept, or relaxed by its moduli")
    kind: InterfaceKind = option("slab", help="slab: vacuum, one interface; sandwich: no vacuum, two")
    contact: str | None = option(
        None, metavar="IONS", help="anions of the contact layer: Br, or shares such as Br0.5I0.5"
    )
    dataset: str | None = shared.dataset_option()
    temperature: float | None = shared.temperature_option()
    crystals: tuple[Path, ...] = shared.crystals_option()
    symprec: float = shared.symprec_option()
    repeat: str = shared.repeat_option()
    vacuum: float = shared.vacuum_option()
    a_site: str = shared.a_site_option()
    orientation: MoleculeOrientation = shared.orientation_option()
    arrangement: Arrangement = shared.arrangement_option()
    seed: int = shared.seed_option()
    layer_tolerance: float = shared.layer_tolerance_option()
    charges: str | None = shared.charges_option()


def requested_interfaces(request: InterfaceRequest, *, folder: Path = Path()) -> dict[str, "InterfaceCells"]:
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
    from qdip_struct.builders.interface.interface import place

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


def _plans(request: InterfaceRequest, folder: Path) -> "dict[str, tuple[Joint, Placement]]":
    """Every interface asked for: each termination, registry and gap."""
    from qdip_struct.builders.interface.interface_options import Placement
    from qdip_struct.builders.interface.registry import irreducible_shifts
    from qdip_struct.builders.slab.slab import surface_of
    from qdip_struct.builders.slab.stoichiometry import termination_names
    from qdip_struct.matching.planes import parse_plane

    terminations: tuple[str | None, ...] = (request.termination,)
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
                parts = [name.replace(":", "-")] if name and len(terminations) > 1 else []
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
def _joint(request: InterfaceRequest, folder: Path) -> "Joint":
    from qdip_struct.builders.atoms.cells import Occupation, refuse_unused
    from qdip_struct.builders.interface.joint import join

    film, substrate = (_crystal(request, part, folder) for part in ("film", "substrate"))
    refuse_unused(charges_given(request.charges), film, substrate)
    return join(
        film,
        substrate,
        stack=_stack(request),
        cell=_cell(request),
        occupation=Occupation(request.a_site, request.orientation, request.seed, request.arrangement),
        files=tuple(folder / path for path in request.crystals),
    )


def _crystal(request: InterfaceRequest, part: str, folder: Path) -> "Crystal | Atoms":
    from qdip_struct.builders.atoms.cells import material_of

    lattice = getattr(request, f"{part}_lattice")
    return material_of(
        getattr(request, part), dataset=request.dataset, temperature=request.temperature, lattice=lattice,
        charges=charges_given(request.charges), film=part == "film",
        files=tuple(folder / path for path in request.crystals), folder=folder, symprec=request.symprec,
    )  # fmt: skip


def _stack(request: InterfaceRequest) -> "Stack":
    from qdip_struct.builders.interface.interface_options import Stack
    from qdip_struct.matching.planes import parse_plane

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


def _cell(request: InterfaceRequest) -> "LateralCell":
    """The common cell; with --match the limits are those of 'qdip match', so that the number means the same cell."""
    from qdip_struct.builders.interface.interface_options import LateralCell

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
