"""Statements about light: transfer efficiencies, absorption edges, exciton peaks, X-rays."""

from collections.abc import Mapping

from qdip_struct.papers.photons import photon_energy, photon_wavelength
from qdip_struct.papers.recipe import Attempt, Recipe
from qdip_struct.papers.transfer import transfer_efficiency

TABLE_1B: Mapping[str, tuple[float, ...]] = {
    "0.0040": (10553400, 476450, 2378155940, 872728455, 0.008, 0.0220, 0.351),
    "0.0080": (6152760, 448548, 3203109586, 1321620214, 0.005, 0.0103, 0.396),
    "0.0197": (11752660, 838076, 2378155940, 872728455, 0.011, 0.0254, 0.347),
    "0.0386": (4893860, 475011, 3203109586, 1321620214, 0.015, 0.0323, 0.385),
    "0.0744": (11586780, 1175544, 3203109586, 1321620214, 0.023, 0.0492, 0.368),
    "0.0913": (13070740, 1359321, 3203109586, 1321620214, 0.024, 0.0508, 0.391),
    "0.1181": (4870700, 586011, 3203109586, 1321620214, 0.080, 0.1327, 0.342),
    "0.1673": (3940820, 307583, 3203109586, 1321620214, 0.067, 0.1126, 0.355),
    "0.2867": (2239240, 256204, 3203109586, 1321620214, 0.164, 0.2652, 0.407),
}
"""Ning et al. 2015, Extended Data Table 1b, by volume fraction: PL short, PL long (counts), I short, I long (counts),
A of the dots long, A of the dots short, A of the matrix short (fractions)."""


def transfer_of_row(row: str) -> float:
    """Transfer efficiency (fraction) of a row of the table by equation 3."""
    emission_short, emission_long, photons_short, photons_long, dot_long, dot_short, matrix = TABLE_1B[row]
    return transfer_efficiency(
        emission_short=emission_short,
        emission_long=emission_long,
        photons_short=photons_short,
        photons_long=photons_long,
        dot_absorption_long=dot_long,
        dot_absorption_short=dot_short,
        matrix_absorption_short=matrix,
    )


def _transfer(row: str) -> Recipe:
    condition = "equation 3, absorptions as printed"
    return Recipe((transfer_efficiency,), lambda: [Attempt(condition, (100.0 * transfer_of_row(row),))])


def _energies(*wavelengths: float) -> list[Attempt]:
    return [Attempt("E = h·c/λ", tuple(photon_energy(wavelength) for wavelength in wavelengths))]


def _blueshift() -> list[Attempt]:
    found = []
    for low, high, words in ((1.06, 1.08, "as printed"), (1.055, 1.085, "the farthest that round to these")):
        shift = photon_wavelength(low) - photon_wavelength(high)
        found.append(Attempt(f"{low:g} to {high:g} eV, {words}", (shift,)))
    return found


def _offsets() -> list[Attempt]:
    dot = photon_energy(1240.0)
    return [
        Attempt("gap 1.6 eV of the matrix less the exciton at 1,240 nm", (1.6 - dot,)),
        Attempt("cut-off at 800 nm less the exciton at 1,240 nm", (photon_energy(800.0) - dot,)),
    ]


LIGHT: Mapping[str, Recipe] = {
    **{f"ning2015-T1b-{row}": _transfer(row) for row in TABLE_1B},
    "ning2015-blueshift": Recipe((photon_wavelength,), _blueshift),
    "ning2015-edge": Recipe((photon_energy,), lambda: _energies(770.0)),
    "deng2024-edges": Recipe((photon_energy,), lambda: _energies(550.0, 1200.0)),
    "liu2019-xray": Recipe(
        (photon_wavelength,), lambda: [Attempt("λ = h·c/E of 100.329 keV", (10.0 * photon_wavelength(100329.0),))]
    ),
    "garcia_de_arquer2017-offsets": Recipe((photon_energy,), _offsets),
    "garcia_de_arquer2017-gap": Recipe((photon_energy,), lambda: _energies(1240.0, 1400.0)),
}
"""Recipes by the id of the statement."""
