"""What decides whether two energies may be combined, as a finished run printed it."""

from collections.abc import Sequence

from qdip_struct.cp2k import blocks
from qdip_struct.cp2k.run import Settings
from qdip_struct.cp2k.segments import Segment


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
    spin = segment.facts.get("spin")
    return Settings(
        functional="+".join(segment.functionals) or None,
        basis=basis,
        potential=potential,
        cutoff_rydberg=number("cutoff", 2.0),
        rel_cutoff_rydberg=number("rel_cutoff", 2.0),
        kpoints=segment.kpoints,
        spin=None if spin is None else ("UKS" if spin == "UKS" else "RKS"),
        multiplicity=whole("multiplicity"),
        charge=whole("charge"),
        dispersion=_dispersion(segment.dispersion),
        surface_dipole="surface_dipole" in segment.facts,
    )


def _dispersion(lines: Sequence[str]) -> str | None:
    """The name of the van der Waals correction: its method and its damping, without literature and parameters."""
    if not lines:
        return None
    method = next((line for line in lines if line.startswith(("DFT-D", "DFTD", "rVV10", "LMKLL", "DRSLL"))), lines[0])
    damping = next((line.split(":")[0] for line in lines if "Damping" in line and "Factor" not in line), None)
    return f"{method}, {damping}" if damping else method
