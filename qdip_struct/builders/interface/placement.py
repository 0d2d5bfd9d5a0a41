"""Putting one slab on another: the height at which they touch, the cell that closes a sandwich, one list of atoms."""

from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from qdip_struct.builders.atoms.cells import SiteCell, to_atoms
from qdip_struct.builders.interface.joint import Joint
from qdip_struct.builders.interface.registry import film_position, touching_gap

Array = NDArray[Any]


def joined_atoms(first: Atoms, second: Atoms) -> Atoms:
    """Both structures in the first one's cell; molecules of the second are numbered on."""
    both = first.copy()
    second = second.copy()
    molecule = second.get_array("molecule")
    second.set_array(
        "molecule", np.where(molecule >= 0, molecule + first.get_array("molecule").max(initial=-1) + 1, -1)
    )
    phase = np.concatenate([first.get_array("phase"), second.get_array("phase")])
    both.extend(second)
    both.arrays["phase"] = phase
    return both


def touching_height(below: Atoms, above: Atoms, *, lateral: Array, depth: float = 5.0) -> float:
    """Gap in Å at which the facing layers of two slabs touch as hard spheres.

    Parameters
    ----------
    below, above
        The two slabs.
    lateral
        Common lateral vectors, rows (2, 2) Å.
    depth
        Atoms within this of each facing surface take part, Å.
    """
    near_below = below.positions[:, 2] > below.positions[:, 2].max() - depth
    near_above = above.positions[:, 2] < above.positions[:, 2].min() + depth
    return touching_gap(
        np.array(below.get_chemical_symbols())[near_below],
        below.positions[near_below],
        np.array(above.get_chemical_symbols())[near_above],
        above.positions[near_above],
        lateral=lateral,
    )


def closing_vector(
    joint: Joint, film: SiteCell, below: Atoms, above: Atoms, *, registry: str | tuple[float, float],
    gap: float | None, lateral: Array,
) -> Array:  # fmt: skip
    """Third cell vector (3,) Å of a sandwich: the substrate's image above the film in the mirrored registry.

    Parameters
    ----------
    joint
        Both slabs in one lateral cell.
    film
        Sites of the film where it stands sideways.
    below, above
        Atoms of substrate and film where they stand.
    registry, gap
        As for the first interface; without a gap the ions touch here too.
    lateral
        Common lateral vectors, rows (2, 2) Å.
    """
    flipped = np.array([1.0, 1.0, -1.0])
    substrate = joint.substrate
    last = int(joint.substrate_layer.max())
    shift, _ = film_position(
        registry,
        below=substrate.take(np.arange(len(substrate)), positions=substrate.positions * flipped),
        below_layer=last - joint.substrate_layer,
        above=film.take(np.arange(len(film)), positions=film.positions * flipped),
        above_layer=int(joint.film_layer.max()) - joint.film_layer,
        lateral=lateral,
        nearest=True,
    )
    # The film would have to move by `shift` over the substrate; instead the substrate's image moves by −shift.
    image = below.copy()
    image.positions[:, :2] -= shift
    start = above.copy()
    image.positions, start.positions = image.positions * flipped, start.positions * flipped
    raised = float(above.positions[:, 2].min() - to_atoms(film, region="film").positions[:, 2].min())
    planes = (
        substrate.positions[joint.substrate_layer == 0, 2].mean(),
        film.positions[joint.film_layer == joint.film_layer.max(), 2].mean() + raised,
    )
    start.positions[:, 2] += planes[1] - planes[0]
    used = touching_height(image, start, lateral=lateral) if gap is None else gap
    height = planes[1] + used - planes[0]
    return np.array([-shift[0], -shift[1], height]) + 0.0
