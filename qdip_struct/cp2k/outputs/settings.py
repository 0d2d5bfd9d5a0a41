"""What decides whether two energies may be combined, as a finished run printed it."""

import re
from collections.abc import Sequence
from typing import get_args

from qdip_struct.cp2k.outputs import blocks
from qdip_struct.cp2k.outputs.run import Settings, Spin
from qdip_struct.cp2k.outputs.segments import Segment


def settings_of(segment: Segment) -> Settings:
    """The settings of the run that wrote ``segment``; what it did not print stays ``None`` or empty."""

    def number(name: str, factor: float = 1.0) -> float | None:
        try:
            return float(segment.facts[name]) * factor
        except (KeyError, ValueError):
            return None

    def whole(name: str) -> int | None:
        value = number(name)
        return int(value) if value is not None and value.is_integer() else None

    basis: dict[str, str] = {}
    potential: dict[str, str] = {}
    if segment.kind_offsets:
        with segment.path.open("rb") as stream:
            for offset in segment.kind_offsets:
                names, potentials = blocks.read_kinds(stream, offset=offset)
                basis |= names
                potential |= potentials
    spins: tuple[Spin, ...] = get_args(Spin)
    spin = next((name for name in spins if name == segment.facts.get("spin")), None)
    smearing, kelvin = segment.facts.get("smearing"), segment.facts.get("smearing_kelvin")
    return Settings(
        functional="+".join(_functional(segment)) or None,
        basis=basis,
        potential=potential,
        cutoff_rydberg=number("cutoff", 2.0),
        rel_cutoff_rydberg=number("rel_cutoff", 2.0),
        kpoints=segment.kpoints,
        spin=spin,
        multiplicity=whole("multiplicity"),
        charge=whole("charge"),
        dispersion=_dispersion(segment.dispersion),
        smearing=f"{smearing} {kelvin} K" if smearing and kelvin else smearing,
        surface_dipole="surface_dipole" in segment.facts,
    )


def _functional(segment: Segment) -> list[str]:
    """Names of the functional's parts, with the fraction of exact exchange."""
    fraction = segment.facts.get("exact_exchange")
    return segment.functionals + ([f"HF({float(fraction):g})"] if fraction and _is_number(fraction) else [])


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+\.\d+", text) is not None


def _dispersion(lines: Sequence[str]) -> str | None:
    """The name of the van der Waals correction: its method and its damping, without literature and parameters."""
    if not lines:
        return None
    method = next((line for line in lines if line.startswith(("DFT-D", "DFTD", "rVV10", "LMKLL", "DRSLL"))), lines[0])
    damping = next((line.split(":")[0] for line in lines if "Damping" in line and "Factor" not in line), None)
    return f"{method}, {damping}" if damping else method
