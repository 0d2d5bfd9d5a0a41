"""Options that several requests and commands share, each declared once; lengths in Å.

A field cannot stand in two classes, and a base class would put its fields first, which the order of written documents
does not allow everywhere: so the functions here make the fields. :class:`CrystalOptions`, :class:`FileOptions`
and :class:`OutputOptions` are for commands that have no request of their own.

Light on purpose, as :mod:`qdip_struct.base.options` is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qdip_struct.base.options import Place, option, whole_from_zero

MoleculeOrientation = Literal["antiparallel", "parallel", "random"]
Arrangement = Literal["random", "sqs"]
CellVector = Literal["a", "b", "c"]
DEFAULT_DATASET = "xrd_298K"
SYMPREC_ANGSTROM = 0.01
"""Sites of a file that an operation brings so close to each other are images, unless another tolerance is given."""


def dataset_option() -> Any:
    """Data set of the lattice constants."""
    return option(
        None, metavar="NAME", shown=f"{DEFAULT_DATASET}, see 'qdip materials'", help="data set of the lattice constants"
    )


def temperature_option() -> Any:
    """Temperature to which the lattice constants of a data set are brought, K."""
    return option(
        None, metavar="K", shown="that of the data set", help="temperature of the lattice constants in kelvin"
    )


def crystals_option() -> Any:
    """A user's files of crystals."""
    return option((), metavar="FILE", help="YAML file that adds crystals and their properties; repeatable")


def lattice_option(whose: str = "", *, scales_files: bool = False) -> Any:
    """(Pseudo-)cubic lattice constant in the place of the data set's, of what, and whether files are scaled to it."""
    whose = f" of the {whose}" if whose else ""
    files = "; the structure of a file is scaled isotropically" if scales_files else ""
    return option(None, metavar="A", unit="Å", help=f"(pseudo-)cubic lattice constant{whose}{files}")


def a_site_option() -> Any:
    """What stands on the A sites of molecules."""
    return option("molecule", metavar="ION", help="molecule, or one ion such as Cs in the place of MA and FA")


def orientation_option() -> Any:
    """How molecules are turned."""
    return option("antiparallel", help="of molecules")


def arrangement_option(whose: str = "") -> Any:
    """How the ions of a mixture are placed, and of what; bodies that are cut from one have theirs at random."""
    whose = f" in the {whose}" if whose else ""
    return option("sqs", help=f"of alloys{whose}: sqs is special quasi-random")


def seed_option() -> Any:
    """What decides where nothing else does."""
    return option(
        0, metavar="N", read=whole_from_zero,
        help="decides what symmetry leaves open: alloys, random orientations, which of equal sites change",
    )  # fmt: skip


def charges_option() -> Any:
    """Charges of ions in the place of what the composition gives."""
    return option(
        None, metavar="ION=N,...", unit="e", shown="from the composition",
        help="charges of elements, and of molecules that are not known, by formula: Sn=4,C12H14N=1",
    )  # fmt: skip


def vacuum_option(length: float = 20.0, *, where: str = "along z") -> Any:
    """An empty length, and where it lies."""
    return option(length, metavar="A", unit="Å", help=f"empty length {where}")


def repeat_option() -> Any:
    """Lateral repeat of a slab or an interface."""
    return option("1,1", metavar="N,M", help="lateral repeat of the smallest lateral cell")


def layer_tolerance_option() -> Any:
    """Up to which distance along the normal sites are one monolayer."""
    return option(0.5, metavar="A", unit="Å", help="sites this close along the normal are one monolayer")


def cell_option(*, only: Place | None = None) -> Any:
    """Cell of a structure whose file has none."""
    return option(
        None, metavar="A,B,C[,DEG,DEG,DEG]", only=only,
        help="cell of a structure whose file has none: edges in Å, angles in degree where they are not 90",
    )  # fmt: skip


def symprec_option() -> Any:
    """Up to which distance the sites of a file have their symmetry."""
    return option(
        SYMPREC_ANGSTROM, metavar="A", unit="Å",
        help="structure files: sites this near to where a symmetry has them are brought there",
    )  # fmt: skip


def plane_option(whose: str = "") -> Any:
    """Miller indices, and of what."""
    return option("100", metavar="HKL", help=f"Miller indices{f' of the {whose}' if whose else ''}")


@dataclass(frozen=True, kw_only=True)
class CrystalOptions:
    """What commands ask about crystals that are given by name."""

    dataset: str = option(DEFAULT_DATASET, metavar="NAME", help="data set of the lattice constants")
    temperature: float | None = temperature_option()
    crystals: tuple[Path, ...] = crystals_option()
    max_area: float = option(400.0, metavar="A2", unit="Å²", help="largest area of a coincidence cell, inclusive")
    max_strain: float = option(0.03, metavar="F", help="largest principal strain of a coincidence cell")
    spacing: float | None = option(None, metavar="A", unit="Å", help="a measured fringe: which phase can show it")
    tolerance: float = option(0.05, metavar="A", unit="Å", help="of the fringe")
    d_min: float = option(1.5, metavar="A", unit="Å", help="smallest spacing that is listed")
    wavelength: float = option(1.54184, metavar="A", unit="Å, Cu Kα", help="of the powder lines")
    cell: str | None = cell_option()
    symprec: float = symprec_option()


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """What commands ask about structures that are given as files."""

    charges: str | None = charges_option()


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What commands ask about the cell of a result, and the files they write beside it."""

    axis: CellVector = option("c", help="cell vector across the layers")
    csv: Path | None = option(None, metavar="FILE", help="also a table: CSV")
    plot: Path | None = option(None, metavar="FILE", help="also a figure: png, svg or pdf")
