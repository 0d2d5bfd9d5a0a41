"""The systems of the papers: what is built for each, and the paper's numbers against what is measured on the result.

The systems are in ``workflows/papers/systems.yaml``, as the words of ``qdip build`` and ``qdip inputs``. Numbers are
measured on the finished structure, not taken from what its builder says about it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qdip_struct.base.errors import DataError
from qdip_struct.base.files import shipped
from qdip_struct.builders.atoms.neighbours import minimum_distance
from qdip_struct.builders.atoms.regions import electrons_of, formal_charge_of
from qdip_struct.materials.datasets import load_yaml

if TYPE_CHECKING:
    from ase import Atoms

SHORTEST_ANGSTROM = 2.4
"""No two ions that are not of one molecule are closer than this in the systems of the papers."""

LAYER_ANGSTROM = 0.5
"""Lead ions whose heights differ by less are one layer."""


@dataclass(frozen=True)
class PaperNumber:
    """A number of the paper, and what was found when it was first checked.

    Attributes
    ----------
    what, of
        What is measured, and of which structure.
    stated, tolerance
        The paper's number and how far a measured one may be, in the unit that ``what`` names.
    """

    what: str
    of: str
    stated: float
    tolerance: float
    where: str
    verdict: Literal["holds", "differs"]


@dataclass(frozen=True)
class PaperItem:
    """Something that a paper shows and a command of this package makes again; ``paper`` is its short name."""

    id: str
    paper: str
    title: str


@dataclass(frozen=True)
class PaperSystem(PaperItem):
    """One system of a paper.

    Attributes
    ----------
    about
        What was chosen beyond the paper.
    build, out
        Words after ``qdip build``, and the file (or ``folder``) that they write.
    structures, inputs
        Names of the structures that get a CP2K input, and the words after ``qdip inputs``.
    """

    about: str
    build: str
    out: str
    structures: tuple[str, ...]
    inputs: str
    numbers: tuple[PaperNumber, ...]


@dataclass(frozen=True)
class Curve(PaperItem):
    """A misfit or energy curve of a paper, and the words after ``qdip`` that compute it."""

    words: str


@dataclass(frozen=True)
class Relaxed(PaperItem):
    """A relaxed dot that ships.

    Attributes
    ----------
    folder
        Folder of ``workflows`` its files are in.
    words
        Words after ``qdip`` that measure its strain.
    gauge
        The paper's strain (%) of a row of lead ions against the dot in vacuum.
    """

    folder: str
    words: str
    gauge: PaperNumber


@dataclass(frozen=True)
class StatedEnergy:
    """An energy per area of a paper and what it stands beside.

    Attributes
    ----------
    label, paper, where
        What it is, short name of the paper, place in it.
    key
        Its key in ``qdip energies --json``.
    stated, tolerance
        meV/Å².
    elements
        Those of the slabs, by role, for which the paper states it.
    """

    label: str
    key: str
    paper: str
    stated: float
    tolerance: float
    where: str
    elements: Mapping[str, str]

    def is_of(self, compositions: Mapping[str, Mapping[str, int]]) -> bool:
        """Whether slabs of these compositions, by role, consist of the paper's elements."""
        return all(set(compositions.get(role, {})) == set(names.split()) for role, names in self.elements.items())


@dataclass(frozen=True)
class Judged:
    """A number of the paper beside the one that was measured.

    Attributes
    ----------
    measured
        In its unit; ``None`` when the structure has none.
    verdict
        ``holds`` within the tolerance.
    """

    number: PaperNumber
    measured: float | None
    verdict: Literal["holds", "differs"]

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one on record."""
        return self.verdict == self.number.verdict


def paper_systems(only: Sequence[str] = ()) -> tuple[PaperSystem, ...]:
    """The shipped systems, or those of some papers.

    Raises
    ------
    DataError
        If the shipped file is damaged.
    """
    found = []
    for entry in _content("systems"):
        numbers = tuple(PaperNumber(**item) for item in entry["expect"])
        inputs = entry["inputs"]
        found.append(
            PaperSystem(
                **{key: " ".join(str(entry[key]).split()) for key in ("id", "paper", "title", "about", "build", "out")},
                structures=tuple(inputs["structures"]),
                inputs=inputs["words"],
                numbers=numbers,
            )
        )
    return tuple(system for system in found if not only or system.paper in only)


def paper_curves(only: Sequence[str] = ()) -> tuple[Curve, ...]:
    """The shipped curves, or those of some papers."""
    found = [Curve(**{key: " ".join(str(value).split()) for key, value in e.items()}) for e in _content("curves")]
    return tuple(curve for curve in found if not only or curve.paper in only)


def relaxed_dots(only: Sequence[str] = ()) -> tuple[Relaxed, ...]:
    """The relaxed dots that ship, or those of some papers."""
    found = []
    for entry in _content("strains"):
        words = {key: " ".join(str(entry[key]).split()) for key in ("id", "paper", "title", "folder", "words")}
        found.append(Relaxed(**words, gauge=PaperNumber(what="gauge_percent", of=entry["id"], **entry["gauge"])))
    return tuple(dot for dot in found if not only or dot.paper in only)


def stated_energies(only: Sequence[str] = ()) -> tuple[StatedEnergy, ...]:
    """The papers' energies, or those of some papers."""
    found = [StatedEnergy(**entry) for entry in load_yaml(shipped("workflows", "papers", "systems.yaml"))["energies"]]
    return tuple(energy for energy in found if not only or energy.paper in only)


def _content(key: str) -> list[dict[str, Any]]:
    path = shipped("workflows", "papers", "systems.yaml")
    entries: list[dict[str, Any]] = load_yaml(path).get(key, [])
    for entry in entries:
        if not {"id", "paper", "title"} <= set(entry):
            raise DataError(f"{path}: an entry of '{key}' lacks id, paper or title")
    return entries


def measure(atoms: "Atoms") -> dict[str, float | None]:
    """What the papers state about their structures, measured on one.

    Returns
    -------
    dict
        ``n_atoms``; ``edge_angstrom`` of the first cell vector; ``formal_charge`` (e); ``electrons``;
        ``shortest_distance_angstrom`` between ions; ``lead_layers`` along z; ``vacuum_angstrom`` along z, the height of
        the cell that holds no atom; ``diameter_angstrom`` of the sphere that holds as much rock salt as the dots have
        ions, and ``volume_fraction`` of the cell (``None`` without a dot).
    """
    heights = np.sort(atoms.positions[:, 2])
    lead = np.sort(atoms.positions[atoms.symbols == "Pb", 2])
    volume = _dot_volume(atoms)
    return {
        "n_atoms": float(len(atoms)),
        "edge_angstrom": float(np.linalg.norm(atoms.cell[0])),
        "formal_charge": float(formal_charge_of(atoms)["total"]),
        "electrons": float(electrons_of(atoms)),
        "shortest_distance_angstrom": minimum_distance(atoms),
        "lead_layers": float(np.sum(np.diff(lead) > LAYER_ANGSTROM) + 1) if len(lead) else 0.0,
        "vacuum_angstrom": float(np.linalg.norm(atoms.cell[2]) - (heights[-1] - heights[0])),
        "diameter_angstrom": None if volume is None else (6.0 * volume / math.pi) ** (1.0 / 3.0),
        "volume_fraction": None if volume is None else float(volume / atoms.get_volume()),
    }


def _dot_volume(atoms: "Atoms") -> float | None:
    """Ions of the dots times the cube of their bond length, Å³: the volume per ion of rock salt."""
    if not atoms.has("dot"):
        return None
    dot = atoms[atoms.get_array("dot") >= 0]
    bond = minimum_distance(dot)
    return None if bond is None else len(dot) * bond**3


def compare_numbers(
    numbers: Sequence[PaperNumber], *, measured: Mapping[str, Mapping[str, float | None]]
) -> tuple[Judged, ...]:
    """The paper's numbers beside those of the structures, by the structure's name.

    Raises
    ------
    DataError
        If a number asks for a structure or a quantity that is not there.
    """
    found = []
    for number in numbers:
        if number.of not in measured or number.what not in measured[number.of]:
            raise DataError(f"nothing was measured as '{number.what}' of '{number.of}'")
        value = measured[number.of][number.what]
        near = value is not None and abs(value - number.stated) <= number.tolerance + 1e-9
        found.append(Judged(number, value, "holds" if near else "differs"))
    return tuple(found)


def faults(measured: Mapping[str, float | None]) -> tuple[str, ...]:
    """Why a structure is not fit to be computed: charged, an odd number of electrons, or two ions too close."""
    found = []
    if measured["formal_charge"]:
        found.append(f"its formal charge is {measured['formal_charge']:+.0f} e, not 0")
    if (measured["electrons"] or 0.0) % 2:
        found.append(f"it has an odd number of valence electrons, {measured['electrons']:.0f}")
    shortest = measured["shortest_distance_angstrom"]
    if shortest is not None and shortest < SHORTEST_ANGSTROM:
        found.append(f"two ions are {shortest:.3f} Å apart, less than {SHORTEST_ANGSTROM} Å")
    return tuple(found)
