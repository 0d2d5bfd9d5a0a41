"""How each numeric statement of the five papers is recomputed with the package's public functions, by its id.

A statement is tried first with the numbers the paper gives, then under the other conditions that its text allows
(another denominator, another lattice constant). Whether it holds is judged in :mod:`qdip_struct.matching.published`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qdip_struct.matching.miller import pseudocubic_plane
from qdip_struct.matching.misfit import Denominator, LatticeCurve, misfit, misfit_window, zero_misfit
from qdip_struct.matching.planes import d_spacing, is_allowed, plane_angle, zone_product
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.elasticity import isotropic_moduli, known_moduli
from qdip_struct.materials.loading import dot_spacings, loading_from_fraction, loading_from_mass
from qdip_struct.materials.masses import molar_mass
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.properties import lattice_at
from qdip_struct.materials.strain_sharing import share_dot

TABLE_1A_FACTOR = 2.48838
"""Volume of MAPbI3 per volume of PbS and per mass ratio PbI2:PbS in Ning et al. 2015, Extended Data Table 1a."""

_MASS_RATIOS = (200, 100, 50, 20, 10, 5, 4, 3, 2, 1)
_VOLUME_RATIOS = (497.676, 248.838, 124.419, 49.7676, 24.8838, 12.4419, 9.95352, 7.46514, 4.97676, 2.48838)
_MEASURED_RATIOS = (0.00169, 0.00338, 0.00676, 0.01689, 0.03378, 0.06755, 0.08444, 0.11259, 0.16888, 0.33777)


@dataclass(frozen=True)
class Attempt:
    """Values computed under one named condition; the first attempt of a statement is the paper's own."""

    condition: str
    values: tuple[float, ...]
    possible: bool = True


def _percent(a_matrix: float, a_dot: float, denominator: Denominator = "dot") -> float:
    return 100.0 * float(misfit(a_matrix, a_dot=a_dot, denominator=denominator))


def _a(name: str, dataset: str) -> float:
    return get_crystal(name, dataset=dataset).a_angstrom


def _by_denominator(a_matrix: float, a_dot: float, what: str) -> list[Attempt]:
    denominators: tuple[Denominator, ...] = ("dot", "matrix", "mean")
    return [Attempt(f"over a_{d}, {what}", (_percent(a_matrix, a_dot, d),)) for d in denominators]


def _nai() -> list[Attempt]:
    sodium = _a("NaI", "xrd_298K")
    ning, measured = _a("PbS", "ning2015"), _a("PbS", "xrd_298K")
    return _by_denominator(sodium, ning, "a(PbS) 5.97") + _by_denominator(sodium, measured, "a(PbS) 5.936")


def _d(name: str, plane: tuple[int, int, int], dataset: str = "xrd_298K") -> float:
    return d_spacing(get_crystal(name, dataset=dataset), plane=plane)


def _cube_on_cube() -> list[Attempt]:
    parent = pseudocubic_plane(get_crystal("MAPbI3:tetragonal"), plane=(1, 1, 0))
    assert parent is not None
    return [Attempt("a_t = (1 1 0), b_t = (-1 1 0), c_t = (0 0 2) of the cube", (float(sum(i * i for i in parent)),))]


def _imposed() -> list[Attempt]:
    box = _a("MAPbI3", "pbe_cp2k")
    return [
        Attempt("6.325 Å of the box, dot 5.98725 Å relaxed in vacuum", (_percent(box, 23.949 / 4),)),
        Attempt("6.26 and 5.97 Å of the text", (_percent(_a("MAPbI3", "ning2015"), _a("PbS", "ning2015")),)),
        Attempt("6.325 Å of the box, dot 5.97 Å of the text", (_percent(box, _a("PbS", "ning2015")),)),
    ]


def _continuum() -> list[Attempt]:
    dot, found = isotropic_moduli(53.0, shear=25.0), []
    for shear, words in ((3.7, "G = 3.7 GPa"), (None, "G from Poisson's ratio 0.3")):
        matrix = isotropic_moduli(12.2, shear=shear)
        infinite = share_dot(0.05, dot=dot, matrix=matrix)
        fixed = share_dot(0.05, dot=dot, matrix=matrix, surroundings="fixed", volume_fraction=0.1091)
        found.append(Attempt(f"infinite matrix, {words}", (100.0 * infinite.dot_strain,)))
        found.append(Attempt(f"fixed box of 50.6 Å, {words}", (100.0 * fixed.dot_strain,)))
    return found


def _bulk_modulus() -> list[Attempt]:
    moduli = known_moduli("PbS")
    assert moduli is not None
    return [Attempt("C11 = 126, C12 = 16.2 GPa", (moduli.bulk,))]


def _table_factor() -> list[Attempt]:
    given = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1.0, densities={"dot": 7.60, "matrix": 4.107})
    crystal = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1.0, dataset="xrd_298K")
    assert given.factor is not None and crystal.factor is not None
    rows = tuple(volume / mass for volume, mass in zip(_VOLUME_RATIOS, _MASS_RATIOS, strict=True))
    return [
        Attempt("the table's own columns", rows),
        Attempt("densities 7.60 and 4.107 g/cm3", (given.factor,)),
        Attempt("crystal densities", (crystal.factor,)),
    ]


def _table_rows(of: Callable[[float], float]) -> tuple[float, ...]:
    return tuple(of(TABLE_1A_FACTOR * mass) for mass in _MASS_RATIOS)


def _percentage(ratio: float) -> float:
    return 100.0 / (1.0 + ratio)


def _caption() -> list[Attempt]:
    # As a mass ratio to the matrix itself the factor is ρ_dot/ρ_matrix.
    return [
        Attempt("first column is MAPbI3:PbS, as the caption says", (7.60 / TABLE_1A_FACTOR,)),
        Attempt(
            "first column is PbI2:PbS, as the header says",
            (7.60 * molar_mass("MAPbI3") / molar_mass("PbI2") / TABLE_1A_FACTOR,),
        ),
    ]


def _spacing() -> list[Attempt]:
    found = []
    for diameter in (40.0, 50.0, 60.0):
        spacing = dot_spacings(0.0020053, diameter=diameter)
        for name in ("simple_cubic_center", "wigner_seitz_center"):
            words = f"{diameter / 10:g}-nm dots, {name.replace('_', ' ')}"
            found.append(Attempt(words, (spacing[name] / 10.0,)))
    return found


def _garcia_volume() -> list[Attempt]:
    loading = loading_from_mass(
        "PbS", matrix="MAPbI2.5Br0.5", mass_ratio=1.33, mass_of="matrix", densities={"dot": 7.6, "matrix": 4.1}
    )
    return [Attempt("densities 7.6 and 4.1 g/cm3", (100.0 * loading.volume_fraction,))]


def _garcia_vegard() -> list[Attempt]:
    share = 0.5 / 3.0
    curve = LatticeCurve(first=_a("MAPbBr3", "xrd_298K"), second=_a("MAPbI3", "ning2015"))
    return [Attempt("Vegard between 6.26 and 5.93 Å", (_percent(float(curve.at(share)), _a("PbS", "ning2015")),))]


def _liu_curve() -> LatticeCurve:
    return LatticeCurve(first=_a("CsPbBr3", "liu2019"), second=_a("CsPbI3", "liu2019"))


def _liu_dots() -> tuple[tuple[str, float], ...]:
    return (
        ("a(PbS) 5.94 Å, Liu et al.", _a("PbS", "liu2019")),
        ("a(PbS) 5.97 Å, Ning et al.", _a("PbS", "ning2015")),
        ("a(PbS) 5.936 Å, diffraction", _a("PbS", "xrd_298K")),
    )


def _liu_misfits(*fractions: float) -> list[Attempt]:
    curve = _liu_curve()
    return [Attempt(words, tuple(_percent(float(curve.at(x)), a) for x in fractions)) for words, a in _liu_dots()]


def _liu_match() -> list[Attempt]:
    return [Attempt(w, tuple(100.0 * x for x in zero_misfit(_liu_curve(), lattice=a))) for w, a in _liu_dots()]


def _liu_window() -> list[Attempt]:
    (start, end), *_ = misfit_window(_liu_curve(), lattice=_a("PbS", "ning2015"), tolerance=0.005)
    return [Attempt("a(PbS) 5.97 Å, Ning et al.", (100.0 * start, 100.0 * end))]


def _liu_ends() -> list[Attempt]:
    values = tuple(lattice_at(get_crystal(f"{n}:cubic"), temperature=298.0)[0] for n in ("CsPbBr3", "CsPbI3"))
    return [Attempt("cubic cells at 413 and 634 K with linear expansion", values)]


def _shell() -> list[Attempt]:
    shell = mixed_lattice_constant("Cd0.333Zn0.667S:zincblende").a_angstrom
    bromide = _a("MAPbBr3", "xrd_298K")
    core = _a("CdSe", "xrd_298K")
    return [Attempt("Vegard, zinc blende", (shell, _percent(shell, bromide), _percent(core, bromide)))]


def _deng_misfit() -> list[Attempt]:
    bromide = _a("MAPbBr3", "xrd_298K")
    return [Attempt(words, (abs(_percent(bromide, a)),)) for words, a in _liu_dots()]


def _deng_dot_fringe() -> list[Attempt]:
    sulfide = get_crystal("PbS")
    plane = (0, 1, -1)
    allowed = is_allowed(sulfide, plane=plane)
    words = "" if allowed else ", a reflection that rock salt cannot show: the fringe belongs to the matrix"
    return [Attempt(f"d of PbS{words}", (d_spacing(sulfide, plane=plane),) * 2, possible=allowed)]


def _one(condition: str, *values: float) -> Callable[[], list[Attempt]]:
    return lambda: [Attempt(condition, values)]


RECOMPUTED: Mapping[str, Callable[[], Sequence[Attempt]]] = {
    "ning2015-mismatch-mapi": lambda: _by_denominator(_a("MAPbI3", "ning2015"), _a("PbS", "ning2015"), "6.26 and 5.97"),
    "ning2015-mismatch-nai": _nai,
    "ning2015-d224": lambda: [Attempt("8.849 and 12.642 Å", (_d("MAPbI3:tetragonal", (2, 2, 4)),))],
    "ning2015-d202": lambda: [Attempt("a(PbS) 5.97 Å", (_d("PbS", (2, 0, 2), "ning2015"),))],
    "ning2015-angle-mapi": lambda: [
        Attempt("8.849 and 12.642 Å", (plane_angle(get_crystal("MAPbI3"), one=(-2, 2, 4), other=(2, 2, 4)),))
    ],
    "ning2015-angle-pbs": lambda: [
        Attempt("cubic", (plane_angle(get_crystal("PbS"), one=(0, 2, 2), other=(2, 0, 2)),))
    ],
    "ning2015-zone-sign": lambda: [
        Attempt("zone [2 0 1] as printed", (float(zone_product((2, -2, 4), zone=(2, 0, 1))),)),
        Attempt("zone [2 0 -1], with an overbar", (float(zone_product((2, -2, 4), zone=(2, 0, -1))),)),
    ],
    "ning2015-zone-pbs": lambda: [
        Attempt("zone [1 1 -1]", tuple(float(zone_product(p, zone=(1, 1, -1))) for p in ((0, 2, 2), (2, 0, 2))))
    ],
    "ning2015-OR-cube-on-cube": _cube_on_cube,
    "ning2015-slab-cell": _one("26.88/(3·√2)", 26.88 / (3.0 * math.sqrt(2.0))),
    "ning2015-box": lambda: [Attempt("8 × 6.325 Å", (8.0 * _a("MAPbI3", "pbe_cp2k"),))],
    "ning2015-imposed": _imposed,
    "ning2015-strain": _one("24.069/23.949 - 1", _percent(24.069, 23.949)),
    "ning2015-pbpb-7": lambda: [Attempt("44.197/7 against 6.325 Å", (_percent(44.197 / 7, _a("MAPbI3", "pbe_cp2k")),))],
    "ning2015-elastic": _continuum,
    "ning2015-B": _bulk_modulus,
    "ning2015-T1a-k": _table_factor,
    "ning2015-T1a-inv": lambda: [Attempt("1/(2.48838·mass ratio)", _table_rows(lambda ratio: 1.0 / ratio))],
    "ning2015-T1a-pct": lambda: [Attempt("100/(1 + 2.48838·mass ratio)", _table_rows(_percentage))],
    "ning2015-T1a-rbs": lambda: [
        Attempt("measured/nominal", tuple(m * v for m, v in zip(_MEASURED_RATIOS, _VOLUME_RATIOS, strict=True)))
    ],
    "ning2015-T1a-caption": _caption,
    "ning2015-vol-quotes": lambda: [Attempt("row of mass ratio 10", (_percentage(TABLE_1A_FACTOR * 10),) * 3)],
    "ning2015-spacing": _spacing,
    "garcia_de_arquer2017-mass": lambda: [
        Attempt("PbI1.667Br0.333", (molar_mass("MAPbI2.5Br0.5") / molar_mass("PbI1.6667Br0.3333"),)),
        Attempt("PbI2", (molar_mass("MAPbI3") / molar_mass("PbI2"),)),
    ],
    "garcia_de_arquer2017-vol": _garcia_volume,
    "garcia_de_arquer2017-vegard": _garcia_vegard,
    "liu2019-vegard-endpoints": _liu_ends,
    "liu2019-x-pbs": _liu_match,
    "liu2019-eps-66": lambda: _liu_misfits(0.66, 0.67),
    "liu2019-CsPbBrI2": lambda: _liu_misfits(1.0 / 3.0),
    "liu2019-CsPbBr2I": lambda: _liu_misfits(2.0 / 3.0),
    "liu2019-x-pbse": lambda: [
        Attempt("Vegard", tuple(100.0 * x for x in zero_misfit(_liu_curve(), lattice=_a("PbSe", "liu2019"))))
    ],
    "liu2019-plqe-window": _liu_window,
    "liu2019-d111": lambda: [Attempt("a(PbS) 5.94 Å", (_d("PbS", (1, 1, 1), "liu2019"),))],
    "liu2019-d200": lambda: [Attempt("a(PbS) 5.94 Å", (_d("PbS", (2, 0, 0), "liu2019"),))],
    "liu2019-rcp": lambda: [Attempt("1 - 0.64", (100.0 * (1.0 - loading_from_fraction(0.64).volume_fraction),))],
    "baronnier2022-shell1": _one("60 + 20", 80.0),
    "baronnier2022-shell2": _shell,
    "deng2024-mismatch": _deng_misfit,
    "deng2024-d110": lambda: [Attempt("a(MAPbBr3) 5.93 Å", (_d("MAPbBr3", (0, 1, -1)),) * 2)],
    "deng2024-d110-pbs": _deng_dot_fringe,
    "deng2024-angle": lambda: [
        Attempt("cubic", (plane_angle(get_crystal("MAPbBr3"), one=(0, 1, -1), other=(1, 0, -1)),))
    ],
    "deng2024-mis-measured": _one("4.20/4.19 - 1", _percent(4.20, 4.19)),
}
"""What is computed for each statement, by the id in ``published_statements.yaml``."""
