"""What stands on the sites of a crystal where its formula leaves a choice: the A site, turned molecules, the seed."""

from dataclasses import dataclass
from typing import get_args

from qdip_struct.base.errors import UsageError
from qdip_struct.builders.atoms.molecules import Orientation, check_seed


@dataclass(frozen=True)
class Occupation:
    """How the sites of a crystal are filled.

    Attributes
    ----------
    a_site
        ``molecule`` keeps MA and FA whole; an ion of charge +1 such as ``Cs`` stands in their place.
    orientation
        How molecules are turned, see :func:`qdip_struct.builders.atoms.molecules.orientations`.
    seed
        Whole number that decides what symmetry leaves open: random orientations, mixed sites, equal border sites.

    Raises
    ------
    UsageError
        If the rule is unknown or the seed is no whole number from 0.
    """

    a_site: str = "molecule"
    orientation: Orientation = "antiparallel"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what can be checked without a crystal."""
        if self.orientation not in get_args(Orientation):
            raise UsageError(f"unknown orientation '{self.orientation}'; known: {', '.join(get_args(Orientation))}")
        check_seed(self.seed)
