"""Statements about lattices: misfit, match compositions, spacings, angles, zones, forbidden reflections."""

import math
from collections.abc import Mapping

from qdip_struct.matching.miller import pseudocubic_plane
from qdip_struct.matching.misfit import Denominator, LatticeCurve, misfit, misfit_window, zero_misfit
from qdip_struct.matching.nets import surface_net
from qdip_struct.matching.planes import d_spacing, is_allowed, plane_angle, zone_product
from qdip_struct.materials.crystals import scaled
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.properties import lattice_at
from qdip_struct.papers.recipe import Attempt, Recipe

GAUGE_FREE, GAUGE_EMBEDDED, GAUGE_MATRIX = 23.949, 24.069, 44.197
"""Rows of Pb in Ning et al. 2015, Extended Data Fig. 7 (Å): four, four and seven lattice constants long."""


def percent(a_matrix: float, a_dot: float, denominator: Denominator = "dot") -> float:
    """Misfit in percent."""
    return 100.0 * float(misfit(a_matrix, a_dot=a_dot, denominator=denominator))


def lattice_of(name: str, dataset: str) -> float:
    """(Pseudo-)cubic lattice constant of a crystal of a data set, Å."""
    return get_crystal(name, dataset=dataset).a_angstrom


def _by_denominator(
    a_matrix: float, a_dot: float, what: str, *, denominators: tuple[Denominator, ...] = ("dot", "matrix", "mean")
) -> list[Attempt]:
    return [Attempt(f"over a_{d}, {what}", (percent(a_matrix, a_dot, d),)) for d in denominators]


def _mapi() -> list[Attempt]:
    lattices = lattice_of("MAPbI3", "ning2015"), lattice_of("PbS", "ning2015")
    return _by_denominator(*lattices, "6.26 and 5.97 Å", denominators=("matrix", "dot", "mean"))


def _nai() -> list[Attempt]:
    sodium = lattice_of("NaI", "xrd_298K")
    ning, measured = lattice_of("PbS", "ning2015"), lattice_of("PbS", "xrd_298K")
    return _by_denominator(sodium, ning, "a(PbS) 5.97 Å") + _by_denominator(sodium, measured, "a(PbS) 5.936 Å")


def _d(name: str, plane: tuple[int, int, int], dataset: str = "xrd_298K") -> float:
    return d_spacing(get_crystal(name, dataset=dataset), plane=plane)


def _angle(name: str, one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    return plane_angle(get_crystal(name), one=one, other=other)


def _zone_sign() -> list[Attempt]:
    return [
        Attempt("zone [2 0 1] as printed", (float(zone_product((2, -2, 4), zone=(2, 0, 1))),)),
        Attempt("zone [2 0 -1], with an overbar", (float(zone_product((2, -2, 4), zone=(2, 0, -1))),)),
    ]


def _zone_of_the_dot() -> list[Attempt]:
    products = tuple(float(zone_product(plane, zone=(1, 1, -1))) for plane in ((0, 2, 2), (2, 0, 2)))
    return [Attempt("zone [1 1 -1]", products)]


def _cube_on_cube() -> list[Attempt]:
    parent = pseudocubic_plane(get_crystal("MAPbI3:tetragonal"), plane=(1, 1, 0))
    squares = math.nan if parent is None else float(sum(index * index for index in parent))
    return [Attempt("a_t = (1 1 0), b_t = (-1 1 0), c_t = (0 0 2) of the cube", (squares,))]


def _slab_cell() -> list[Attempt]:
    found = []
    for words, dataset in (("cubic constant 6.325 Å of the box", "pbe_cp2k"), ("6.26 Å of the text", "ning2015")):
        crystal = scaled(get_crystal("MAPbI3:tetragonal"), lattice=lattice_of("MAPbI3", dataset))
        net = surface_net(crystal, plane=(1, 1, 0))
        found.append(Attempt(f"3 × √(area of the primitive (110) net), {words}", (3.0 * math.sqrt(net.area),)))
    return found


def _box() -> list[Attempt]:
    return [Attempt("8 × 6.325 Å", (8.0 * lattice_of("MAPbI3", "pbe_cp2k"),))]


def _imposed() -> list[Attempt]:
    box = lattice_of("MAPbI3", "pbe_cp2k")
    return [
        Attempt("6.325 Å of the box, dot 5.98725 Å relaxed in vacuum", (percent(box, GAUGE_FREE / 4),)),
        Attempt(
            "6.26 and 5.97 Å of the text",
            (percent(lattice_of("MAPbI3", "ning2015"), lattice_of("PbS", "ning2015")),),
        ),
        Attempt("6.325 Å of the box, dot 5.97 Å of the text", (percent(box, lattice_of("PbS", "ning2015")),)),
    ]


def _gauge_of_the_dot() -> list[Attempt]:
    return [Attempt("24.069/23.949 - 1", (percent(GAUGE_EMBEDDED, GAUGE_FREE),))]


def _gauge_of_the_matrix() -> list[Attempt]:
    value = percent(GAUGE_MATRIX / 7, lattice_of("MAPbI3", "pbe_cp2k"))
    return [Attempt("44.197/7 against 6.325 Å", (value,))]


def _liu_curve() -> LatticeCurve:
    return LatticeCurve(first=lattice_of("CsPbBr3", "liu2019"), second=lattice_of("CsPbI3", "liu2019"))


def _sulfides() -> tuple[tuple[str, float], ...]:
    return (
        ("a(PbS) 5.94 Å, Liu et al.", lattice_of("PbS", "liu2019")),
        ("a(PbS) 5.97 Å, Ning et al.", lattice_of("PbS", "ning2015")),
        ("a(PbS) 5.936 Å, diffraction", lattice_of("PbS", "xrd_298K")),
    )


def _liu_misfits(*fractions: float) -> list[Attempt]:
    curve = _liu_curve()
    return [Attempt(words, tuple(percent(float(curve.at(x)), a) for x in fractions)) for words, a in _sulfides()]


def _liu_match() -> list[Attempt]:
    return [Attempt(w, tuple(100.0 * x for x in zero_misfit(_liu_curve(), lattice=a))) for w, a in _sulfides()]


def _liu_selenide() -> list[Attempt]:
    fractions = zero_misfit(_liu_curve(), lattice=lattice_of("PbSe", "liu2019"))
    return [Attempt("Vegard, a(PbSe) 6.12 Å", tuple(100.0 * x for x in fractions))]


def _liu_window() -> list[Attempt]:
    (start, end), *_ = misfit_window(_liu_curve(), lattice=lattice_of("PbS", "ning2015"), tolerance=0.005)
    return [Attempt("a(PbS) 5.97 Å, Ning et al.", (100.0 * start, 100.0 * end))]


def _liu_ends() -> list[Attempt]:
    values = tuple(lattice_at(get_crystal(f"{n}:cubic"), temperature=298.0)[0] for n in ("CsPbBr3", "CsPbI3"))
    return [Attempt("cubic cells at 413 and 634 K with linear expansion", values)]


def _shell() -> list[Attempt]:
    shell = mixed_lattice_constant("Cd0.333Zn0.667S:zincblende").a_angstrom
    bromide, core = lattice_of("MAPbBr3", "xrd_298K"), lattice_of("CdSe", "xrd_298K")
    return [Attempt("Vegard, zinc blende", (shell, percent(shell, bromide), percent(core, bromide)))]


def _deng_misfit() -> list[Attempt]:
    bromide = lattice_of("MAPbBr3", "xrd_298K")
    return [Attempt(words, (abs(percent(bromide, a)),)) for words, a in _sulfides()]


def _deng_dot_fringe() -> list[Attempt]:
    sulfide, plane = get_crystal("PbS"), (0, 1, -1)
    allowed = is_allowed(sulfide, plane=plane)
    words = "" if allowed else ", a reflection that rock salt cannot show: the fringe belongs to the matrix"
    return [Attempt(f"d of PbS{words}", (d_spacing(sulfide, plane=plane),) * 2, possible=allowed)]


def _garcia_vegard() -> list[Attempt]:
    curve = LatticeCurve(first=lattice_of("MAPbBr3", "xrd_298K"), second=lattice_of("MAPbI3", "ning2015"))
    value = percent(float(curve.at(0.5 / 3.0)), lattice_of("PbS", "ning2015"))
    return [Attempt("Vegard between 6.26 and 5.93 Å", (value,))]


LATTICES: Mapping[str, Recipe] = {
    "ning2015-mismatch-mapi": Recipe((get_crystal, misfit), _mapi),
    "ning2015-mismatch-nai": Recipe((get_crystal, misfit), _nai),
    "ning2015-d224": Recipe(
        (get_crystal, d_spacing), lambda: [Attempt("8.849 and 12.642 Å", (_d("MAPbI3:tetragonal", (2, 2, 4)),))]
    ),
    "ning2015-d202": Recipe(
        (get_crystal, d_spacing), lambda: [Attempt("a(PbS) 5.97 Å", (_d("PbS", (2, 0, 2), "ning2015"),))]
    ),
    "ning2015-angle-mapi": Recipe(
        (get_crystal, plane_angle),
        lambda: [Attempt("8.849 and 12.642 Å", (_angle("MAPbI3", (-2, 2, 4), (2, 2, 4)),))],
    ),
    "ning2015-angle-pbs": Recipe(
        (get_crystal, plane_angle), lambda: [Attempt("cubic", (_angle("PbS", (0, 2, 2), (2, 0, 2)),))]
    ),
    "ning2015-zone-sign": Recipe((zone_product,), _zone_sign),
    "ning2015-zone-pbs": Recipe((zone_product,), _zone_of_the_dot),
    "ning2015-OR-cube-on-cube": Recipe((get_crystal, pseudocubic_plane), _cube_on_cube),
    "ning2015-slab-cell": Recipe((get_crystal, scaled, surface_net), _slab_cell),
    "ning2015-box": Recipe((get_crystal,), _box),
    "ning2015-imposed": Recipe((get_crystal, misfit), _imposed),
    "ning2015-strain": Recipe((misfit,), _gauge_of_the_dot),
    "ning2015-pbpb-7": Recipe((get_crystal, misfit), _gauge_of_the_matrix),
    "garcia_de_arquer2017-vegard": Recipe((get_crystal, LatticeCurve.at, misfit), _garcia_vegard),
    "liu2019-vegard-endpoints": Recipe((get_crystal, lattice_at), _liu_ends),
    "liu2019-x-pbs": Recipe((get_crystal, zero_misfit), _liu_match),
    "liu2019-eps-66": Recipe((get_crystal, LatticeCurve.at, misfit), lambda: _liu_misfits(0.66, 0.67)),
    "liu2019-CsPbBrI2": Recipe((get_crystal, LatticeCurve.at, misfit), lambda: _liu_misfits(1.0 / 3.0)),
    "liu2019-CsPbBr2I": Recipe((get_crystal, LatticeCurve.at, misfit), lambda: _liu_misfits(2.0 / 3.0)),
    "liu2019-x-pbse": Recipe((get_crystal, zero_misfit), _liu_selenide),
    "liu2019-plqe-window": Recipe((get_crystal, misfit_window), _liu_window),
    "liu2019-d111": Recipe(
        (get_crystal, d_spacing), lambda: [Attempt("a(PbS) 5.94 Å", (_d("PbS", (1, 1, 1), "liu2019"),))]
    ),
    "liu2019-d200": Recipe(
        (get_crystal, d_spacing), lambda: [Attempt("a(PbS) 5.94 Å", (_d("PbS", (2, 0, 0), "liu2019"),))]
    ),
    "baronnier2022-shell2": Recipe((mixed_lattice_constant, get_crystal, misfit), _shell),
    "deng2024-mismatch": Recipe((get_crystal, misfit), _deng_misfit),
    "deng2024-d110": Recipe(
        (get_crystal, d_spacing), lambda: [Attempt("a(MAPbBr3) 5.93 Å", (_d("MAPbBr3", (0, 1, -1)),) * 2)]
    ),
    "deng2024-d110-pbs": Recipe((get_crystal, d_spacing, is_allowed), _deng_dot_fringe),
    "deng2024-angle": Recipe(
        (get_crystal, plane_angle), lambda: [Attempt("cubic", (_angle("MAPbBr3", (0, 1, -1), (1, 0, -1)),))]
    ),
    "deng2024-mis-measured": Recipe((misfit,), lambda: [Attempt("4.20/4.19 - 1", (percent(4.20, 4.19),))]),
}
"""Recipes by the id of the statement."""
