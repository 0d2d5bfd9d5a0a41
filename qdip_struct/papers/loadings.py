"""Statements about amounts: mass and volume ratios, densities, spacings of dots, counts of ions."""

from collections.abc import Callable, Mapping

from qdip_struct.builders.atoms.regions import formal_charges
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.loading import Loading, dot_spacings, loading_from_fraction, loading_from_mass
from qdip_struct.materials.masses import density, molar_mass
from qdip_struct.papers.recipe import Attempt, Recipe

TABLE_1A_FACTOR = 2.48838
"""Last row, second column of Ning et al. 2015, Extended Data Table 1a: MAPbI3 per PbS by volume at 1:1 by mass."""

_MASS_RATIOS = (200, 100, 50, 20, 10, 5, 4, 3, 2, 1)
_VOLUME_RATIOS = (497.676, 248.838, 124.419, 49.7676, 24.8838, 12.4419, 9.95352, 7.46514, 4.97676, 2.48838)
_MEASURED_RATIOS = (0.00169, 0.00338, 0.00676, 0.01689, 0.03378, 0.06755, 0.08444, 0.11259, 0.16888, 0.33777)
_DOT_DENSITY = 7.60


def _growth() -> float:
    return molar_mass("MAPbI3") / molar_mass("PbI2")


def _table_row(mass_ratio: float) -> Loading:
    """A row of the table, with the one density that its last row fixes (4.107 g/cm³)."""
    densities = {"dot": _DOT_DENSITY, "matrix": _DOT_DENSITY * _growth() / TABLE_1A_FACTOR}
    return loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=mass_ratio, densities=densities)


def _table(of: Callable[[Loading], float]) -> tuple[float, ...]:
    return tuple(of(_table_row(mass)) for mass in _MASS_RATIOS)


def _table_factor() -> list[Attempt]:
    given = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1.0, densities={"dot": _DOT_DENSITY, "matrix": 4.107})
    crystal = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1.0, dataset="xrd_298K")
    rows = tuple(
        loading_from_fraction(1.0 / (1.0 + volume)).volume_ratio / mass
        for volume, mass in zip(_VOLUME_RATIOS, _MASS_RATIOS, strict=True)
    )
    return [
        Attempt("the table's own columns", rows),
        Attempt("densities 7.60 and 4.107 g/cm3", (given.volume_ratio,)),
        Attempt("crystal densities", (crystal.volume_ratio,)),
    ]


def _measured_share() -> list[Attempt]:
    values = tuple(m * _table_row(mass).volume_ratio for m, mass in zip(_MEASURED_RATIOS, _MASS_RATIOS, strict=True))
    return [Attempt("measured/nominal", values)]


def _caption() -> list[Attempt]:
    # As a mass ratio to the matrix itself the factor is ρ_dot/ρ_matrix.
    return [
        Attempt("first column is MAPbI3:PbS, as the caption says", (_DOT_DENSITY / TABLE_1A_FACTOR,)),
        Attempt("first column is PbI2:PbS, as the header says", (_DOT_DENSITY * _growth() / TABLE_1A_FACTOR,)),
        Attempt("density of the crystal, for comparison", (density(get_crystal("MAPbI3:tetragonal")),)),
    ]


def _spacing() -> list[Attempt]:
    found = []
    for diameter in (40.0, 50.0, 60.0):
        spacing = dot_spacings(_table_row(200).volume_fraction, diameter=diameter)
        for name in ("simple_cubic_center", "wigner_seitz_center"):
            words = f"{diameter / 10:g}-nm dots, {name.replace('_', ' ')}"
            found.append(Attempt(words, (spacing[name] / 10.0,)))
    return found


def _garcia_mass() -> list[Attempt]:
    return [
        Attempt("PbI1.667Br0.333", (molar_mass("MAPbI2.5Br0.5") / molar_mass("PbI1.6667Br0.3333"),)),
        Attempt("PbI2", (_growth(),)),
    ]


def _garcia_volume() -> list[Attempt]:
    loading = loading_from_mass(
        "PbS", matrix="MAPbI2.5Br0.5", mass_ratio=1.33, mass_of="matrix", densities={"dot": 7.6, "matrix": 4.1}
    )
    return [Attempt("densities 7.6 and 4.1 g/cm3", (100.0 * loading.volume_fraction,))]


def _packing() -> list[Attempt]:
    loading = loading_from_fraction(0.64)
    return [Attempt("free volume at 64 % packing", (100.0 * loading.volume_ratio * loading.volume_fraction,))]


def _doping() -> list[Attempt]:
    thin, dense = (dot_spacings(f, diameter=100.0)["simple_cubic_center"] for f in (0.00025, 0.01))
    return [Attempt("dots per volume, from their spacings at 0.025 and 1 %", ((thin / dense) ** 3,))]


def _first_shell() -> list[Attempt]:
    metal, sulfur = (int(formal_charges(ions).sum()) for ions in (["Cd"] * 60 + ["Zn"] * 20, ["S"] * 100))
    return [Attempt("charge of 60 Cd and 20 Zn against 100 S", (-100.0 * metal / sulfur,))]


LOADINGS: Mapping[str, Recipe] = {
    "ning2015-T1a-k": Recipe((loading_from_fraction, loading_from_mass), _table_factor),
    "ning2015-T1a-inv": Recipe(
        (loading_from_mass,),
        lambda: [Attempt("1/volume ratio, density from the last row", _table(lambda row: 1.0 / row.volume_ratio))],
    ),
    "ning2015-T1a-pct": Recipe(
        (loading_from_mass,),
        lambda: [Attempt("volume fraction, density from the last row", _table(lambda r: 100.0 * r.volume_fraction))],
    ),
    "ning2015-T1a-rbs": Recipe((loading_from_mass,), _measured_share),
    "ning2015-T1a-caption": Recipe((molar_mass, density), _caption),
    "ning2015-vol-quotes": Recipe(
        (loading_from_mass,),
        lambda: [Attempt("row of mass ratio 10", (100.0 * _table_row(10).volume_fraction,) * 3)],
    ),
    "ning2015-spacing": Recipe((loading_from_mass, dot_spacings), _spacing),
    "garcia_de_arquer2017-mass": Recipe((molar_mass,), _garcia_mass),
    "garcia_de_arquer2017-vol": Recipe((loading_from_mass,), _garcia_volume),
    "liu2019-rcp": Recipe((loading_from_fraction,), _packing),
    "baronnier2022-doping": Recipe((dot_spacings,), _doping),
    "baronnier2022-shell1": Recipe((formal_charges,), _first_shell),
}
"""Recipes by the id of the statement."""
