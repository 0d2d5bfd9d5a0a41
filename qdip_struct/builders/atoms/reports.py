"""Reports of the cells of one build, each made when it is first asked for: a look at many builds needs none of them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Reports(Mapping[str, Mapping[str, Any]]):
    """Reports by role; ``makers`` make one each, from structures that must not change before."""

    def __init__(self, makers: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, role: str) -> Mapping[str, Any]:
        if role not in self._made:
            self._made[role] = self._makers[role]()
        return self._made[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
