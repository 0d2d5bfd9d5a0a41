"""The terminations of a plane: which layers a slab can end with, and their names (AX, BX2, generic labels)."""

from typing import Any

from numpy.typing import NDArray

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.slab.surface import SurfaceCell
from qdip_struct.matching.miller import plane_text

Array = NDArray[Any]


def terminations(surface: SurfaceCell) -> tuple[int, ...]:
    """Numbers of the layers that can be the topmost one, one of each kind.

    Sorted by name, then by the distances to the layers above and below, so that the origin of the crystal's cell does
    not matter.
    """
    layers = surface.layers
    first: dict[int, int] = {}
    for number, layer in enumerate(layers):
        first.setdefault(layer.kind, number)

    def order(number: int) -> tuple[str, float, float]:
        above = (layers[(number + 1) % len(layers)].height - layers[number].height) % surface.period
        below = (layers[number].height - layers[number - 1].height) % surface.period
        return layers[number].name, round(above, 3), round(below, 3)

    return tuple(sorted(first.values(), key=order))


def termination_names(surface: SurfaceCell) -> tuple[str, ...]:
    """Names of all terminations, ``NAME:2`` for a second kind of the same composition."""
    seen: dict[str, int] = {}
    names = []
    for number in terminations(surface):
        name = surface.layers[number].name
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return tuple(names)


def termination_named(surface: SurfaceCell, name: str | None) -> int:
    """Number of the layer that a termination's name means: ``AX``, ``BX2``, ``PbS``, or ``NAME:2`` for a second kind.

    A plane with one termination has that one whatever the name; ``None`` means the first.

    Raises
    ------
    UsageError
        If the plane has no such termination; the message lists those it has.
    """
    numbers = terminations(surface)
    if name is None or len(numbers) == 1:
        return numbers[0]
    wanted, _, which = name.partition(":")
    found = [k for k in numbers if wanted in (surface.layers[k].name, surface.layers[k].formula)]
    index = int(which) - 1 if which.isdigit() else 0 if not which else -1
    if not 0 <= index < len(found):
        raise UsageError(
            f"{surface.sites.name} {plane_text(surface.plane)} has no termination '{name}'; it has: "
            f"{', '.join(termination_names(surface))}"
        )
    return found[index]
