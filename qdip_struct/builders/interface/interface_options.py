"""What is decided about an interface: the two slabs, their common lateral cell, how the film is placed.

Each group stands on its own and has defaults, so that a call names only what it changes:
``build_interface(film, substrate, stack=Stack(termination="AX"), placement=Placement(gap=3.2))``. Field names are those
of the options of ``qdip build interface``. Lengths in Å, areas in Å², angles in degree, strains as fractions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from qdip_struct.base.arrays import Array
from qdip_struct.base.errors import UsageError
from qdip_struct.builders.parsing import InterfaceKind, Normal, StrainOn
from qdip_struct.builders.slab.surface import LAYER_TOLERANCE_ANGSTROM
from qdip_struct.matching.planes import Plane

MOST_LAYERS = 200


@dataclass(frozen=True)
class Stack:
    """Which slabs are cut from the two crystals.

    Attributes
    ----------
    film_plane, substrate_plane
        Miller indices in the axes of each crystal's cell.
    film_layers, substrate_layers
        Thickness in monolayers.
    termination, film_termination
        Layer of the substrate, and of the film, that is in contact; see
        :func:`qdip_struct.builders.slab.stoichiometry.termination_named`. A plane with one termination has that one.
        Default: of the substrate the BX2 layer of a perovskite that has one, else the cut without dipole of the widest
        gap.
    contact
        Shares of the halides (or chalcogenides) of the substrate's contact layer, ``{"Br": 1.0}``, whatever its bulk.
    layer_tolerance
        Sites closer than this along the normal belong to one monolayer, Å.

    Raises
    ------
    UsageError
        If a thickness is not possible.
    """

    film_plane: Plane = (1, 0, 0)
    substrate_plane: Plane = (1, 0, 0)
    film_layers: int = 3
    substrate_layers: int = 3
    termination: str | None = None
    film_termination: str | None = None
    contact: Mapping[str, float] | None = None
    layer_tolerance: float = LAYER_TOLERANCE_ANGSTROM

    def __post_init__(self) -> None:
        """Check the numbers of layers."""
        check_layers(self.film_layers, what="the film's thickness")
        check_layers(self.substrate_layers, what="the substrate's thickness")


@dataclass(frozen=True)
class LateralCell:
    """The lateral cell that both crystals are brought into.

    Attributes
    ----------
    match
        Number in the list of common cells of :func:`qdip_struct.matching.coincidence.find_matches` within the limits,
        sorted by area, then strain. Default: see :func:`qdip_struct.builders.interface.joint.common_cells`.
    max_area, max_strain, max_angle
        Limits of that list: Å², largest principal strain, largest change of the cell angle in degree.
    repeat
        Lateral repeat of the common cell.
    lateral
        Edges (Å) and optionally the angle (degree, default 90) of a cell that is imposed on both crystals instead.
    strain_on
        Which crystal takes the lateral strain; ``shared`` divides it so that the elastic energy is least.
    normal
        Spacings of a strained crystal along z: ``kept`` as in its bulk, or ``relaxed`` by its elastic moduli
        (Poisson's effect).

    Raises
    ------
    UsageError
        If a choice is unknown, or the repeat or the imposed cell is not possible.
    """

    match: int | None = None
    max_area: float = 400.0
    max_strain: float = 0.10
    max_angle: float = 1.0
    repeat: tuple[int, int] = (1, 1)
    lateral: Sequence[float] | None = None
    strain_on: StrainOn = "film"
    normal: Normal = "kept"

    def __post_init__(self) -> None:
        """Check the choices and the imposed cell."""
        check_repeat(self.repeat)
        if self.strain_on not in get_args(StrainOn):
            raise UsageError(f"strain_on is '{self.strain_on}'; expected {', '.join(get_args(StrainOn))}")
        if self.normal not in get_args(Normal):
            raise UsageError(f"normal is '{self.normal}'; expected {', '.join(get_args(Normal))}")
        if self.lateral is not None:
            imposed_cell(self.lateral)


@dataclass(frozen=True)
class Placement:
    """How the film stands on the substrate, and what is around both.

    Attributes
    ----------
    registry
        Name or fractions, see :mod:`qdip_struct.builders.interface.registry`.
    gap
        Distance of the mean planes of the two contact layers, Å. Default: the ions touch as hard spheres of their
        six-coordinate radii (3.15 Å for Pb above Br, the optimum that CP2K gives for PbS on PbBr2-terminated CsPbBr3).
    kind
        ``slab``: vacuum above and below, one interface. ``sandwich``: no vacuum, two interfaces (its role is
        ``sandwich``, its work of adhesion is per 2A); the cell is sheared where that gives the second one the same
        registry.
    vacuum
        Empty length along z in the common cell, Å; not used by a sandwich.
    height
        Length of a slab's cell along z, Å, so that several gaps share one cell; the vacuum is then what is left.

    Raises
    ------
    UsageError
        If a length is not possible or the kind is unknown.
    """

    registry: str | tuple[float, float] = "continuation"
    gap: float | None = None
    kind: InterfaceKind = "slab"
    vacuum: float = 20.0
    height: float | None = None

    def __post_init__(self) -> None:
        """Check the lengths and the kind."""
        check_vacuum(self.vacuum)
        if self.gap is not None and not (math.isfinite(self.gap) and 0.5 <= self.gap <= 50.0):
            raise UsageError(f"the gap is {self.gap:g} Å; expected a length between 0.5 and 50 Å")
        if self.kind not in get_args(InterfaceKind):
            raise UsageError(f"kind is '{self.kind}'; expected {', '.join(get_args(InterfaceKind))}")


def check_layers(count: int, *, what: str) -> None:
    """Raise :class:`UsageError` unless ``count`` is a number of monolayers from 1 to 200."""
    if isinstance(count, bool) or int(count) != count or not 1 <= count <= MOST_LAYERS:
        raise UsageError(f"{what} is {count} monolayers; expected 1 to {MOST_LAYERS}")


def check_vacuum(vacuum: float) -> None:
    """Raise :class:`UsageError` unless ``vacuum`` is a length between 0 and 500 Å."""
    if not (math.isfinite(vacuum) and 0.0 < vacuum <= 500.0):
        raise UsageError(f"the vacuum is {vacuum:g} Å; expected a length between 0 and 500 Å")


def check_repeat(repeat: tuple[int, int]) -> None:
    """Raise :class:`UsageError` unless ``repeat`` is a pair of counts from 1 to 50."""
    if len(repeat) != 2 or any(int(n) != n or not 1 <= n <= 50 for n in repeat):
        raise UsageError(f"the lateral repeat is {tuple(repeat)}; expected two whole numbers from 1 to 50")


def imposed_cell(lateral: Sequence[float]) -> Array:
    """Lateral vectors, rows (2, 2) Å, of a cell with given edges (Å) and optionally the angle (degree, default 90).

    Raises
    ------
    UsageError
        If there are not two or three positive numbers or the angle is not between 20° and 160°.
    """
    values = [float(value) for value in lateral]
    if len(values) not in (2, 3) or not all(math.isfinite(value) and value > 0 for value in values):
        raise UsageError(
            f"the lateral cell is {list(lateral)}; expected two edges in Å and optionally the angle in degree"
        )
    a, b = values[:2]
    angle = values[2] if len(values) == 3 else 90.0
    if not 20.0 <= angle <= 160.0:
        raise UsageError(f"the angle of the lateral cell is {angle:g}°; expected 20 to 160")
    cosine = 0.0 if angle == 90.0 else math.cos(math.radians(angle))
    return np.array([[a, 0.0], [b * cosine, b * math.sqrt(1.0 - cosine * cosine)]])
