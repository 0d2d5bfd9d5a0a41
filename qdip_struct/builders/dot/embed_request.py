"""A request for dots in a matrix, in words: the fields are the options of ``qdip build embed``. Lengths in Å."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.material import Material
from qdip_struct.builders.atoms.molecules import Orientation
from qdip_struct.builders.atoms.occupation import Occupation
from qdip_struct.builders.atoms.orientation import parse_rotation
from qdip_struct.builders.dot.arrangement import Arrangement
from qdip_struct.builders.dot.dot_request import FormRequest, requested_form
from qdip_struct.builders.dot.embed import Embedded, embed_dot
from qdip_struct.builders.dot.embedding_options import Balance, DotForm, Mode, Seat
from qdip_struct.builders.dot.neutrality import Neutral, Rule
from qdip_struct.builders.dot.parent import Termination, on_parent_lattice
from qdip_struct.builders.parsing import body_of, numbers, refuse_given, whole_numbers


@dataclass(frozen=True, kw_only=True)
class EmbedRequest(FormRequest):
    """What ``qdip build embed`` takes, as typed.

    Attributes
    ----------
    dot, matrix
        ``NAME[:phase]``, a mixture, or a structure file.
    cells
        Conventional cells of the matrix, ``N,N,N``.
    lattice
        (Pseudo-)cubic lattice constant of the matrix, Å.
    a_site, orientation, seed
        See :class:`qdip_struct.builders.atoms.occupation.Occupation`.
    dot_lattice
        Lattice constant of the dot, Å, or ``own``.
    rotate, mode
        See :func:`qdip_struct.builders.atoms.orientation.parse_rotation`,
        :class:`qdip_struct.builders.dot.embedding_options.Seat`.
    neutral, rule
        See :class:`qdip_struct.builders.dot.embedding_options.Balance`.
    interface_depth
        Atoms this near to the other side are labelled ``interface``, Å.
    array, random, volume_fraction
        Several dots: ``N,N,N``; how many; up to which part of the volume.
    spacing
        Least matrix between random dots, Å.
    dataset
        Of the lattice constants.
    """

    dot: str
    matrix: str
    cells: str = "8,8,8"
    lattice: float | None = None
    a_site: str = "molecule"
    orientation: Orientation = "antiparallel"
    dot_lattice: str | None = None
    rotate: str | None = None
    mode: Mode = "auto"
    neutral: Neutral = "strict"
    rule: Rule = "swap"
    interface_depth: float = 3.5
    array: str | None = None
    random: int | None = None
    volume_fraction: float | None = None
    spacing: float = 0.0
    dataset: str | None = None
    seed: int = 0


def requested_embedding(request: EmbedRequest, *, folder: Path = Path()) -> Embedded:
    """Put the dots of a request into its matrix.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where relative names of structure files start.

    Raises
    ------
    UsageError
        If an option is not possible.
    """
    dot, matrix = (body_of(word, dataset=request.dataset, folder=folder) for word in (request.dot, request.matrix))
    turn, absolute = _rotation(request.rotate, dot=dot, matrix=matrix)
    lattice = _dot_lattice(request.dot_lattice, dot=dot)
    return embed_dot(
        dot,
        matrix,
        form=_form(request, dot=dot, matrix=matrix),
        cells=whole_numbers(request.cells, what="--cells"),
        lattice=request.lattice,
        seat=Seat(request.mode, lattice, turn, absolute, _positions(request)),
        balance=Balance(request.neutral, request.rule),
        occupation=Occupation(request.a_site, request.orientation, request.seed),
        interface_depth=request.interface_depth,
    )


def _rotation(text: str | None, *, dot: Material | Atoms, matrix: Material | Atoms) -> tuple[Any, bool]:
    if text is None:
        return None, False
    crystals = [body.crystal if isinstance(body, Material) else None for body in (dot, matrix)]
    return parse_rotation(text, dot=crystals[0], matrix=crystals[1])


def _dot_lattice(text: str | None, *, dot: Material | Atoms) -> float | None:
    if text is None:
        return None
    if not isinstance(dot, Material):
        raise UsageError("a dot from a file has its lattice; leave --dot-lattice out")
    return dot.crystal.a_angstrom if text == "own" else numbers(text, what="--dot-lattice", count=1)[0]


def _form(request: EmbedRequest, *, dot: Material | Atoms, matrix: Material | Atoms) -> DotForm:
    """What is cut; a number of ions counts those of the dot at the lattice constant it will have."""
    if not isinstance(dot, Material):
        unused = ("diameter", "edges", "atoms", "energies", "facets", "termination", "shell")
        refuse_given(request, dict.fromkeys(unused), where="with a dot from a file, which has its size")
        return requested_form(request)
    core = dot
    counted: Termination = "site"
    if isinstance(matrix, Material) and on_parent_lattice(dot.crystal) and on_parent_lattice(matrix.crystal):
        counted = "BX2" if matrix.crystal.structure_type == "perovskite" else "site"
        if request.rotate is None and request.dot_lattice is None:
            core = dot.at(lattice=request.lattice or matrix.crystal.a_angstrom)
    return requested_form(request, core=core, counted=counted)


def _positions(request: EmbedRequest) -> Sequence[Sequence[float]] | Arrangement:
    asked = [name for name in ("array", "random", "volume_fraction") if getattr(request, name) is not None]
    if len(asked) > 1:
        raise UsageError("give one of --array, --random and --volume-fraction")
    if request.spacing and not {"random", "volume_fraction"} & set(asked):
        raise UsageError("--spacing belongs to random dots: --random N or --volume-fraction F")
    if not asked:
        return ((0.5, 0.5, 0.5),)
    if request.array is not None:
        x, y, z = whole_numbers(request.array, what="--array", count=3)
        return Arrangement("array", counts=(x, y, z))
    return Arrangement("random", n=request.random, volume_fraction=request.volume_fraction, spacing=request.spacing)
