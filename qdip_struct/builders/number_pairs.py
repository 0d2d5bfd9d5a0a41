"""Reading ``name=number`` lists such as ``dot=7.60,matrix=4.107`` from the command line."""

from collections.abc import Sequence

from qdip_struct.base.errors import UsageError


def number_pairs(text: str | None, *, keys: Sequence[str], option: str) -> dict[str, float]:
    """The pairs as a mapping; empty for ``None``.

    Raises
    ------
    UsageError
        If a part is not ``name=number``, the name is unknown or given twice.
    """
    found: dict[str, float] = {}
    for part in (text or "").split(",") if text else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in keys or name in found:
            raise UsageError(f"cannot read '{part}' in {option}; expected {','.join(f'{key}=NUMBER' for key in keys)}")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"'{value}' in {option} is not a number") from None
    return found
