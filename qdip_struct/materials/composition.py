"""Formulas with mixed sites (``CsPb(Br,I)3``, ``MAPbI2.5Br0.5``, ``Pb(S,Se)``): read, written, fixed, taken apart."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from qdip_struct.base.errors import UsageError
from qdip_struct.materials.ions import CHALCOGENS, DIVALENT, FORMULA_MOLECULES, HALIDES, MONOVALENT

_SPECIES, _AMOUNT = "|".join((*FORMULA_MOLECULES, "[A-Z][a-z]?")), r"\d*\.?\d*"
_TOKEN = re.compile(rf"\((?P<group>[^()]*)\)(?P<count>{_AMOUNT})|(?P<species>{_SPECIES})(?P<amount>{_AMOUNT})")
_PART = re.compile(rf"\s*({_SPECIES})\s*({_AMOUNT})\s*$")
_AMOUNT_TOLERANCE = 0.011


@dataclass(frozen=True)
class Sublattice:
    """One sublattice and who sits on it.

    Attributes
    ----------
    label
        ``A``, ``B``, ``X`` of a perovskite ABX₃; ``cation``, ``anion`` of a binary.
    species
        One or more species, in the order written.
    fractions
        Site fractions that add up to 1, or ``None`` when they are free (``(Br,I)``).
    count
        Sites per formula unit (3 for X, else 1).
    """

    label: str
    species: tuple[str, ...]
    fractions: tuple[float, ...] | None
    count: int

    @property
    def free(self) -> bool:
        """Whether the fractions are still to be chosen."""
        return self.fractions is None

    def text(self) -> str:
        """The part of the formula, for example ``Br2.25I0.75`` or ``(Br,I)3``."""
        if self.fractions is None:
            return f"({','.join(self.species)}){self.count if self.count > 1 else ''}"
        parts = []
        for species, fraction in zip(self.species, self.fractions, strict=True):
            amount = round(fraction * self.count, 4)
            if amount > 0.0:
                parts.append(species if amount == 1.0 else f"{species}{amount:g}")
        return "".join(parts)


@dataclass(frozen=True)
class Formula:
    """A parsed formula: a perovskite ABX₃ or a binary, with any site mixed.

    Attributes
    ----------
    family
        ``perovskite`` or ``binary``.
    sublattices
        In the order A, B, X or cation, anion.
    phase
        Phase written after a colon (``CsPb(Br,I)3:gamma``), else empty.
    """

    family: Literal["perovskite", "binary"]
    sublattices: tuple[Sublattice, ...]
    phase: str = ""

    @property
    def text(self) -> str:
        """The formula as text that :func:`parse_formula` reads again."""
        return "".join(sublattice.text() for sublattice in self.sublattices)

    @property
    def occupancies(self) -> dict[str, dict[str, float]]:
        """Shares of the species on each mixed sublattice whose shares are given: ``{"X": {"Br": 0.67, "I": 0.33}}``."""
        return {
            site.label: dict(zip(site.species, site.fractions, strict=True))
            for site in self.sublattices
            if site.fractions is not None and len(site.species) > 1
        }

    @property
    def free(self) -> tuple[Sublattice, ...]:
        """Sublattices whose fractions are free, in formula order."""
        return tuple(sublattice for sublattice in self.sublattices if sublattice.free)

    def at(self, fractions: Mapping[str, Sequence[float]]) -> "Formula":
        """Fix free sublattices: ``{"X": (0.75, 0.25)}``, fractions in the order of the species.

        Raises
        ------
        UsageError
            If a label is not free, or fractions are negative or do not add up to 1.
        """
        wanted = dict(fractions)
        fixed = []
        for sublattice in self.sublattices:
            values = wanted.pop(sublattice.label, None)
            if values is not None:
                if not sublattice.free:
                    raise UsageError(f"site {sublattice.label} of {self.text} is not free")
                sublattice = replace(sublattice, fractions=_fractions(values, sublattice.species, self.text))
            fixed.append(sublattice)
        if wanted:
            raise UsageError(f"{self.text} has no site '{next(iter(wanted))}'")
        return replace(self, sublattices=tuple(fixed))

    def end_members(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Names of the pure compounds (``CsPbBr3``) with the index of the species on each sublattice."""
        members = []
        for choice in itertools.product(*(range(len(s.species)) for s in self.sublattices)):
            name = "".join(
                s.species[index] + (str(s.count) if s.count > 1 else "")
                for s, index in zip(self.sublattices, choice, strict=True)
            )
            members.append((name, choice))
        return tuple(members)

    def weights(self) -> tuple[tuple[str, float], ...]:
        """End members with their weights (products of the site fractions), zero weights left out.

        Raises
        ------
        UsageError
            If a sublattice is still free.
        """
        found = []
        for name, choice in self.end_members():
            weight = 1.0
            for sublattice, index in zip(self.sublattices, choice, strict=True):
                if sublattice.fractions is None:
                    raise UsageError(
                        f"{self.text} leaves {','.join(sublattice.species)} open; give amounts, as in "
                        f"{_example(self, sublattice)}"
                    )
                weight *= sublattice.fractions[index]
            if weight > 0.0:
                found.append((name, weight))
        return tuple(found)


def parse_formula(text: str) -> Formula:
    """Read a formula; ``(Br,I)`` without amounts leaves the site free, ``CdZnS`` means ``(Cd,Zn)S``.

    Raises
    ------
    UsageError
        If it is neither a perovskite ABX₃ nor a binary of known ions, or amounts do not fill a site.
    """
    body, _, phase = text.strip().partition(":")
    tokens: list[tuple[str, float | None, int | None]] = []
    position = group = 0
    counts: dict[int, float] = {}
    body = body.replace(" ", "")
    while position < len(body):
        match = _TOKEN.match(body, position)
        if match is None:
            raise UsageError(
                f"cannot read '{body[position:]}' in the formula '{text}'; expected ions such as Cs, MA, Pb, S, Br, I"
            )
        position = match.end()
        if match["species"]:
            tokens.append((match["species"], float(match["amount"]) if match["amount"] else None, None))
            continue
        group += 1
        counts[group] = float(match["count"] or 1.0)
        for part in match["group"].split(","):
            piece = _PART.match(part)
            if piece is None:
                raise UsageError(f"cannot read '{part}' in the formula '{text}'")
            tokens.append((piece[1], float(piece[2]) if piece[2] else None, group))
    if not tokens:
        raise UsageError("the formula is empty; expected for example PbS or 'CsPb(Br,I)3'")
    labels = _labels([species for species, _, _ in tokens], text)
    family: Literal["perovskite", "binary"] = "perovskite" if "X" in labels.values() else "binary"
    order = ("A", "B", "X") if family == "perovskite" else ("cation", "anion")
    sublattices = []
    for label in order:
        own = [token for token in tokens if labels[token[0]] == label]
        sublattices.append(_sublattice(label, own, counts, 3 if label == "X" else 1, text))
    return Formula(family=family, sublattices=tuple(sublattices), phase=phase.strip())


def _labels(species: Sequence[str], text: str) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for name in species:
        if name in MONOVALENT:
            kinds[name] = "monovalent"
        elif name in DIVALENT:
            kinds[name] = "divalent"
        elif name in CHALCOGENS:
            kinds[name] = "chalcogen"
        elif name in HALIDES:
            kinds[name] = "halide"
        else:
            known = ", ".join((*MONOVALENT, *DIVALENT, *CHALCOGENS, *HALIDES))
            raise UsageError(f"unknown species '{name}' in '{text}'; known: {known}")
    present = set(kinds.values())
    if present == {"monovalent", "divalent", "halide"}:
        names = {"monovalent": "A", "divalent": "B", "halide": "X"}
    elif present in ({"divalent", "chalcogen"}, {"monovalent", "halide"}):
        names = {"monovalent": "cation", "divalent": "cation", "chalcogen": "anion", "halide": "anion"}
    else:
        raise UsageError(f"'{text}' is neither a perovskite ABX3 nor a binary such as PbS or NaI")
    return {name: names[kind] for name, kind in kinds.items()}


def _sublattice(
    label: str,
    tokens: Sequence[tuple[str, float | None, int | None]],
    counts: Mapping[int, float],
    count: int,
    text: str,
) -> Sublattice:
    species = tuple(token[0] for token in tokens)
    if len(set(species)) != len(species):
        raise UsageError(f"'{text}' names a species twice on site {label}")
    groups = {token[2] for token in tokens}
    amounts = [token[1] for token in tokens]
    if len(groups) == 1 and None not in groups:
        group_count = counts[next(iter(g for g in groups if g is not None))]
        if abs(group_count - count) > _AMOUNT_TOLERANCE:
            raise UsageError(f"site {label} of '{text}' holds {group_count:g} per formula unit, expected {count}")
        if len(species) > 1 and all(amount is None for amount in amounts):
            return Sublattice(label, species, None, count)
        filled = [1.0 if amount is None else amount for amount in amounts]
        return Sublattice(label, species, _fractions(filled, species, text), count)
    if len(groups) > 1:
        raise UsageError(f"write the species of site {label} of '{text}' together, in one pair of brackets or none")
    if len(species) > 1 and count == 1 and all(amount is None for amount in amounts):
        return Sublattice(label, species, None, count)
    filled = [1.0 if amount is None else amount for amount in amounts]
    if abs(sum(filled) - count) > _AMOUNT_TOLERANCE * count:
        raise UsageError(f"site {label} of '{text}' holds {sum(filled):g} per formula unit, expected {count}")
    total = sum(filled)
    return Sublattice(label, species, _fractions([amount / total for amount in filled], species, text), count)


def _fractions(values: Sequence[float], species: Sequence[str], text: str) -> tuple[float, ...]:
    if len(values) != len(species):
        raise UsageError(f"{len(values)} fractions for {len(species)} species ({', '.join(species)}) of '{text}'")
    if any(not math.isfinite(value) or value < 0.0 for value in values):
        raise UsageError(f"the fractions of {', '.join(species)} in '{text}' must be 0 or larger")
    total = math.fsum(values)
    if abs(total - 1.0) > _AMOUNT_TOLERANCE:
        raise UsageError(f"the fractions of {', '.join(species)} in '{text}' add up to {total:g}, expected 1")
    return tuple(value / total for value in values) if abs(total - 1.0) > 1e-12 else tuple(map(float, values))


def _example(formula: Formula, sublattice: Sublattice) -> str:
    share = 1.0 / len(sublattice.species)
    values = [round(share, 2)] * (len(sublattice.species) - 1)
    return formula.at({sublattice.label: (*values, 1.0 - sum(values))}).text
