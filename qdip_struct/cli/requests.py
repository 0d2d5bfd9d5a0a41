"""From parsed options to a request: the fields of a request are options of its command, name by name."""

import argparse
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def request_of(args: argparse.Namespace, request: type[T]) -> T:
    """The request that the options of a command describe; repeated options become tuples."""
    kind: Any = request
    values = {item.name: getattr(args, item.name) for item in fields(kind)}
    return request(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
