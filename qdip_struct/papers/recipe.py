"""How one statement of a paper is recomputed: the public functions that do it, and what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """Values computed under one named condition; the first attempt of a statement is the paper's own.

    Attributes
    ----------
    condition
        What was assumed.
    values
        In the statement's unit and order.
    possible
        False where the physics forbids what the numbers would allow (a forbidden reflection).
    """

    condition: str
    values: tuple[float, ...]
    possible: bool = True


@dataclass(frozen=True)
class Recipe:
    """The functions that answer a statement, and the call that uses them.

    Attributes
    ----------
    functions
        Public functions of the package that the numbers pass through.
    compute
        Gives the attempts, the paper's own condition first.
    """

    functions: tuple[Callable[..., Any], ...]
    compute: Callable[[], Sequence[Attempt]]

    @property
    def how(self) -> tuple[str, ...]:
        """Names of the functions inside the package, for example ``matching.misfit.misfit``."""
        return tuple(f"{f.__module__.removeprefix('qdip_struct.')}.{f.__qualname__}" for f in self.functions)
