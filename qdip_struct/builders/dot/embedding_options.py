"""What is decided about a dot in a matrix: its form, how it is put in, what makes the whole neutral.

Each group stands on its own and has defaults, so that a call names only what it changes:
``embed_dot(dot, matrix, form=DotForm("cube", diameter=18.0), balance=Balance("report"))``. Field names are those of the
options of ``qdip build embed``. Lengths in Å.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.dot.arrangement import Arrangement
from qdip_struct.builders.dot.neutrality import NEUTRAL, Neutral, Rule
from qdip_struct.builders.dot.parent import CENTERS, Termination
from qdip_struct.builders.dot.shapes import Shape, make_shape
from qdip_struct.builders.dot.shell import Shell

Array = NDArray[Any]
Center = Literal[
    "auto", "metal", "anion", "a-site", "bond", "void", "anion-y", "anion-z", "metal-yz", "metal-xz", "metal-xy"
]
Mode = Literal["auto", "coherent", "insert"]
CENTER_NAMES = ("auto", *CENTERS)


@dataclass(frozen=True)
class DotForm:
    """What is cut from the crystal of the dot.

    Attributes
    ----------
    shape
        Outer shape of the core, or the name of one; a shell comes on top of it.
    diameter
        Å, for a shape given by its name, see :func:`qdip_struct.builders.dot.shapes.make_shape`.
    center
        Which point of the crystal lies in the centre, see :data:`qdip_struct.builders.dot.parent.CENTERS`; ``auto`` is
        the metal or the A site, whichever gives the volume asked for more closely. A box whose edges are whole lattice
        constants gets exactly these, from atom to atom.
    termination
        Border rule, see :data:`qdip_struct.builders.dot.parent.TERMINATIONS`; crystals other than rock salt know
        ``site`` only. Default: ``BX2`` for rock salt in a matrix of metal corners, else ``site``.
    shell
        Shell around the core.

    Raises
    ------
    UsageError
        If the centre is unknown.
    """

    shape: str | Shape = "sphere"
    diameter: float = 30.0
    center: Center = "auto"
    termination: Termination | None = None
    shell: Shell | None = None

    def __post_init__(self) -> None:
        """Check the name of the centre."""
        if self.center not in CENTER_NAMES:
            raise UsageError(f"unknown center '{self.center}'; known: {', '.join(CENTER_NAMES)}")

    @property
    def body(self) -> Shape:
        """The outer shape of the core."""
        return make_shape(self.shape, diameter=self.diameter) if isinstance(self.shape, str) else self.shape


@dataclass(frozen=True, eq=False)
class Seat:
    """How dots are put into the matrix.

    Attributes
    ----------
    mode
        ``coherent``: one parent lattice. ``insert``: the dot keeps its own lattice and orientation, and the cavity
        grows until no pair is too close (:mod:`qdip_struct.builders.atoms.contacts`). ``auto``: coherent where
        possible, and insert where a rotation or a dot lattice is asked for.
    dot_lattice
        Lattice constant of the dot in Å; default that of the matrix when both lie on one parent lattice and the
        rotation (0°, 90° about ⟨100⟩, ...) carries it onto itself, else the dot's own.
    rotate
        Rotation (3, 3) of the dot, from the orientation in which its axes lie along the matrix's parent lattice.
    absolute
        Whether the rotation starts from the box axes instead.
    positions
        Centre of each dot in fractions of the box, or a rule (:mod:`qdip_struct.builders.dot.arrangement`); each moves
        to the nearest point of the kind that lies in the centre of the dot.

    Raises
    ------
    UsageError
        If the mode is unknown.
    """

    mode: Mode = "auto"
    dot_lattice: float | None = None
    rotate: Array | None = None
    absolute: bool = False
    positions: Sequence[Sequence[float]] | Arrangement = ((0.5, 0.5, 0.5),)

    def __post_init__(self) -> None:
        """Check the mode."""
        if self.mode not in get_args(Mode):
            raise UsageError(f"unknown mode '{self.mode}'; known: {', '.join(get_args(Mode))}")


@dataclass(frozen=True)
class Balance:
    """What makes dot and matrix together neutral.

    Attributes
    ----------
    neutral
        One of :data:`qdip_struct.builders.dot.neutrality.NEUTRAL`.
    rule
        ``swap`` or ``vacancy``, see :mod:`qdip_struct.builders.dot.neutrality`.

    Raises
    ------
    UsageError
        If one of them is unknown.
    """

    neutral: Neutral = "strict"
    rule: Rule = "swap"

    def __post_init__(self) -> None:
        """Check both names."""
        if self.neutral not in NEUTRAL:
            raise UsageError(f"unknown neutral '{self.neutral}'; known: {', '.join(NEUTRAL)}")
        if self.rule not in get_args(Rule):
            raise UsageError(f"unknown rule '{self.rule}'; known: {', '.join(get_args(Rule))}")
