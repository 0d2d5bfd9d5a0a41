"""How each statement of a paper is recomputed: the public functions that do it, and what comes out.

In the order of the statements' subjects: lattices (misfit, match compositions, spacings, angles, zones, forbidden
reflections); stiffness, strain, interface energy and the size of the box that was computed; amounts (mass and volume
ratios, densities, spacings of dots, counts of ions); light (transfer efficiencies, absorption edges, exciton peaks,
X-rays).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdip_struct.analysis.energies.comparability import EnergyRun
from qdip_struct.analysis.energies.energies import combine_group
from qdip_struct.base.units import MEV_PER_EV
from qdip_struct.builders.atoms.cells import Occupation
from qdip_struct.builders.atoms.regions import formal_charges
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.matching.misfit import Denominator, LatticeCurve, misfit, misfit_window, zero_misfit
from qdip_struct.matching.nets import surface_net
from qdip_struct.matching.planes import d_spacing, is_allowed, plane_angle, pseudocubic_plane, zone_product
from qdip_struct.materials.crystals import scaled
from qdip_struct.materials.elasticity import density, isotropic_moduli, known_moduli, molar_mass
from qdip_struct.materials.loading import Loading, dot_spacings, loading_from_fraction, loading_from_mass
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.strain_sharing import share_dot
from qdip_struct.materials.structure_files import crystal_named
from qdip_struct.papers.transfer import photon_energy, photon_wavelength, transfer_efficiency


@dataclass(frozen=True)
class Attempt:
    """Values computed under one named condition; the first attempt of a statement is the paper's own.

    Attributes
    ----------
    values
        In the statement's unit and order.
    possible
        False where the physics forbids what the numbers would allow (a forbidden reflection).
    """

    condition: str
    values: tuple[float, ...]
    possible: bool = True


@dataclass(frozen=True)
class Recipe:
    """The functions that answer a statement, and the call that uses them.

    Attributes
    ----------
    functions
        Public functions of the package that the numbers pass through.
    compute
        Gives the attempts, the paper's own condition first.
    """

    functions: tuple[Callable[..., Any], ...]
    compute: Callable[[], Sequence[Attempt]]

    @property
    def how(self) -> tuple[str, ...]:
        """Names of the functions inside the package, for example ``matching.misfit.misfit``."""
        return tuple(f"{f.__module__.removeprefix('qdip_struct.')}.{f.__qualname__}" for f in self.functions)


GAUGE_FREE, GAUGE_EMBEDDED, GAUGE_MATRIX = 23.949, 24.069, 44.197
"""Rows of Pb in Ning et al. 2015, Extended Data Fig. 7 (Å): four, four and seven lattice constants long."""


def misfit_percent(a_matrix: float, a_dot: float, denominator: Denominator = "dot") -> float:
    """Misfit in percent."""
    return 100.0 * float(misfit(a_matrix, a_dot=a_dot, denominator=denominator))


def lattice_of(name: str, dataset: str) -> float:
    """(Pseudo-)cubic lattice constant of a crystal of a data set, Å."""
    return crystal_named(name, dataset=dataset).a_angstrom


def _by_denominator(
    a_matrix: float, a_dot: float, what: str, *, denominators: tuple[Denominator, ...] = ("dot", "matrix", "mean")
) -> list[Attempt]:
    return [Attempt(f"over a_{d}, {what}", (misfit_percent(a_matrix, a_dot, d),)) for d in denominators]


def _mapi() -> list[Attempt]:
    lattices = lattice_of("MAPbI3", "ning2015"), lattice_of("PbS", "ning2015")
    return _by_denominator(*lattices, "6.26 and 5.97 Å", denominators=("matrix", "dot", "mean"))


def _nai() -> list[Attempt]:
    sodium = lattice_of("NaI", "xrd_298K")
    ning, measured = lattice_of("PbS", "ning2015"), lattice_of("PbS", "xrd_298K")
    return _by_denominator(sodium, ning, "a(PbS) 5.97 Å") + _by_denominator(sodium, measured, "a(PbS) 5.936 Å")


def _d(name: str, plane: tuple[int, int, int], dataset: str = "xrd_298K", *, temperature: float | None = None) -> float:
    return d_spacing(crystal_named(name, dataset=dataset, temperature=temperature), plane=plane)


def _angle(name: str, one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    return plane_angle(crystal_named(name), one=one, other=other)


def _zone_sign() -> list[Attempt]:
    return [
        Attempt("zone [2 0 1] as printed", (float(zone_product((2, -2, 4), zone=(2, 0, 1))),)),
        Attempt("zone [2 0 -1], with an overbar", (float(zone_product((2, -2, 4), zone=(2, 0, -1))),)),
    ]


def _zone_of_the_dot() -> list[Attempt]:
    products = tuple(float(zone_product(plane, zone=(1, 1, -1))) for plane in ((0, 2, 2), (2, 0, 2)))
    return [Attempt("zone [1 1 -1]", products)]


def _cube_on_cube() -> list[Attempt]:
    parent = pseudocubic_plane(crystal_named("MAPbI3:tetragonal"), plane=(1, 1, 0))
    squares = math.nan if parent is None else float(sum(index * index for index in parent))
    return [Attempt("a_t = (1 1 0), b_t = (-1 1 0), c_t = (0 0 2) of the cube", (squares,))]


def _slab_cell() -> list[Attempt]:
    found = []
    for words, dataset in (("cubic constant 6.325 Å of the box", "pbe_cp2k"), ("6.26 Å of the text", "ning2015")):
        crystal = scaled(crystal_named("MAPbI3:tetragonal"), lattice=lattice_of("MAPbI3", dataset))
        net = surface_net(crystal, plane=(1, 1, 0))
        found.append(Attempt(f"3 × √(area of the primitive (110) net), {words}", (3.0 * math.sqrt(net.area),)))
    return found


def _box() -> list[Attempt]:
    return [Attempt("8 × 6.325 Å", (8.0 * lattice_of("MAPbI3", "pbe_cp2k"),))]


def _imposed() -> list[Attempt]:
    box = lattice_of("MAPbI3", "pbe_cp2k")
    return [
        Attempt("6.325 Å of the box, dot 5.98725 Å relaxed in vacuum", (misfit_percent(box, GAUGE_FREE / 4),)),
        Attempt(
            "6.26 and 5.97 Å of the text",
            (misfit_percent(lattice_of("MAPbI3", "ning2015"), lattice_of("PbS", "ning2015")),),
        ),
        Attempt("6.325 Å of the box, dot 5.97 Å of the text", (misfit_percent(box, lattice_of("PbS", "ning2015")),)),
    ]


def _gauge_of_the_dot() -> list[Attempt]:
    return [Attempt("24.069/23.949 - 1", (misfit_percent(GAUGE_EMBEDDED, GAUGE_FREE),))]


def _gauge_of_the_matrix() -> list[Attempt]:
    value = misfit_percent(GAUGE_MATRIX / 7, lattice_of("MAPbI3", "pbe_cp2k"))
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
    return [Attempt(words, tuple(misfit_percent(float(curve.at(x)), a) for x in fractions)) for words, a in _sulfides()]


def _liu_match() -> list[Attempt]:
    return [Attempt(w, tuple(100.0 * x for x in zero_misfit(_liu_curve(), lattice=a))) for w, a in _sulfides()]


def _liu_selenide() -> list[Attempt]:
    fractions = zero_misfit(_liu_curve(), lattice=lattice_of("PbSe", "liu2019"))
    return [Attempt("Vegard, a(PbSe) 6.12 Å", tuple(100.0 * x for x in fractions))]


def _liu_window() -> list[Attempt]:
    (start, end), *_ = misfit_window(_liu_curve(), lattice=lattice_of("PbS", "ning2015"), tolerance=0.005)
    return [Attempt("a(PbS) 5.97 Å, Ning et al.", (100.0 * start, 100.0 * end))]


def _liu_ends() -> list[Attempt]:
    values = tuple(crystal_named(f"{n}:cubic", temperature=298.0).a_angstrom for n in ("CsPbBr3", "CsPbI3"))
    return [Attempt("cubic cells at 413 and 634 K with linear expansion", values)]


def _shell() -> list[Attempt]:
    shell = mixed_lattice_constant("Cd0.333Zn0.667S:zincblende").a_angstrom
    bromide, core = lattice_of("MAPbBr3", "xrd_298K"), lattice_of("CdSe", "xrd_298K")
    return [Attempt("Vegard, zinc blende", (shell, misfit_percent(shell, bromide), misfit_percent(core, bromide)))]


def _deng_misfit() -> list[Attempt]:
    bromide = lattice_of("MAPbBr3", "xrd_298K")
    return [Attempt(words, (abs(misfit_percent(bromide, a)),)) for words, a in _sulfides()]


def _deng_dot_fringe() -> list[Attempt]:
    sulfide, plane = crystal_named("PbS"), (0, 1, -1)
    allowed = is_allowed(sulfide, plane=plane)
    words = "" if allowed else ", a reflection that rock salt cannot show: the fringe belongs to the matrix"
    return [Attempt(f"d of PbS{words}", (d_spacing(sulfide, plane=plane),) * 2, possible=allowed)]


def _garcia_vegard() -> list[Attempt]:
    curve = LatticeCurve(first=lattice_of("MAPbBr3", "xrd_298K"), second=lattice_of("MAPbI3", "ning2015"))
    value = misfit_percent(float(curve.at(0.5 / 3.0)), lattice_of("PbS", "ning2015"))
    return [Attempt("Vegard between 6.26 and 5.93 Å", (value,))]


LATTICES: Mapping[str, Recipe] = {
    "ning2015-mismatch-mapi": Recipe((crystal_named, misfit), _mapi),
    "ning2015-mismatch-nai": Recipe((crystal_named, misfit), _nai),
    "ning2015-d224": Recipe(
        (crystal_named, d_spacing),
        lambda: [Attempt("8.849 and 12.642 Å", (_d("MAPbI3:tetragonal", (2, 2, 4), temperature=293.0),))],
    ),
    "ning2015-d202": Recipe(
        (crystal_named, d_spacing), lambda: [Attempt("a(PbS) 5.97 Å", (_d("PbS", (2, 0, 2), "ning2015"),))]
    ),
    "ning2015-angle-mapi": Recipe(
        (crystal_named, plane_angle),
        lambda: [Attempt("8.849 and 12.642 Å", (_angle("MAPbI3", (-2, 2, 4), (2, 2, 4)),))],
    ),
    "ning2015-angle-pbs": Recipe(
        (crystal_named, plane_angle), lambda: [Attempt("cubic", (_angle("PbS", (0, 2, 2), (2, 0, 2)),))]
    ),
    "ning2015-zone-sign": Recipe((zone_product,), _zone_sign),
    "ning2015-zone-pbs": Recipe((zone_product,), _zone_of_the_dot),
    "ning2015-OR-cube-on-cube": Recipe((crystal_named, pseudocubic_plane), _cube_on_cube),
    "ning2015-slab-cell": Recipe((crystal_named, scaled, surface_net), _slab_cell),
    "ning2015-box": Recipe((crystal_named,), _box),
    "ning2015-imposed": Recipe((crystal_named, misfit), _imposed),
    "ning2015-strain": Recipe((misfit,), _gauge_of_the_dot),
    "ning2015-pbpb-7": Recipe((crystal_named, misfit), _gauge_of_the_matrix),
    "garcia_de_arquer2017-vegard": Recipe((crystal_named, LatticeCurve.at, misfit), _garcia_vegard),
    "liu2019-vegard-endpoints": Recipe((crystal_named,), _liu_ends),
    "liu2019-x-pbs": Recipe((crystal_named, zero_misfit), _liu_match),
    "liu2019-eps-66": Recipe((crystal_named, LatticeCurve.at, misfit), lambda: _liu_misfits(0.66, 0.67)),
    "liu2019-CsPbBrI2": Recipe((crystal_named, LatticeCurve.at, misfit), lambda: _liu_misfits(1.0 / 3.0)),
    "liu2019-CsPbBr2I": Recipe((crystal_named, LatticeCurve.at, misfit), lambda: _liu_misfits(2.0 / 3.0)),
    "liu2019-x-pbse": Recipe((crystal_named, zero_misfit), _liu_selenide),
    "liu2019-plqe-window": Recipe((crystal_named, misfit_window), _liu_window),
    "liu2019-d111": Recipe(
        (crystal_named, d_spacing), lambda: [Attempt("a(PbS) 5.94 Å", (_d("PbS", (1, 1, 1), "liu2019"),))]
    ),
    "liu2019-d200": Recipe(
        (crystal_named, d_spacing), lambda: [Attempt("a(PbS) 5.94 Å", (_d("PbS", (2, 0, 0), "liu2019"),))]
    ),
    "baronnier2022-shell2": Recipe((mixed_lattice_constant, crystal_named, misfit), _shell),
    "deng2024-mismatch": Recipe((crystal_named, misfit), _deng_misfit),
    "deng2024-d110": Recipe(
        (crystal_named, d_spacing), lambda: [Attempt("a(MAPbBr3) 5.93 Å", (_d("MAPbBr3", (0, 1, -1)),) * 2)]
    ),
    "deng2024-d110-pbs": Recipe((crystal_named, d_spacing, is_allowed), _deng_dot_fringe),
    "deng2024-angle": Recipe(
        (crystal_named, plane_angle), lambda: [Attempt("cubic", (_angle("MAPbBr3", (0, 1, -1), (1, 0, -1)),))]
    ),
    "deng2024-mis-measured": Recipe((misfit,), lambda: [Attempt("4.20/4.19 - 1", (misfit_percent(4.20, 4.19),))]),
}
"""Recipes by the id of the statement."""


SLAB_AREA = 26.88**2
"""Lateral cell of the slabs of Ning et al. 2015, Å²."""


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
    return [] if moduli is None else [Attempt("C11 = 126, C12 = 16.2 GPa", (moduli.bulk,))]


def _interface_energy() -> list[Attempt]:
    """The paper's surface and adsorption energies, carried by slabs of its area through the sums of ``energies``."""
    return [
        Attempt(f"γ(PbS) = {gamma:g}, γ(MAPbI3) = 9, E_ad = 12 meV/Å²", (_combined(gamma, 9.0, 12.0),))
        for gamma in (9.0, 12.0)
    ]


def _combined(film: float, substrate: float, adsorption: float) -> float:
    unit = SLAB_AREA / MEV_PER_EV
    parts = {
        "film": ({"Pb": 1, "S": 1}, 2.0 * film * unit),
        "film_bulk": ({"Pb": 1, "S": 1}, 0.0),
        "substrate": ({"Cs": 1, "Pb": 1, "I": 3}, 2.0 * substrate * unit),
        "substrate_bulk": ({"Cs": 1, "Pb": 1, "I": 3}, 0.0),
        "interface": ({"Cs": 1, "Pb": 2, "S": 1, "I": 3}, (2.0 * film + 2.0 * substrate - adsorption) * unit),
    }
    side = float(np.sqrt(SLAB_AREA))
    runs = [
        EnergyRun(role, role, "ning2015", "done", energy, composition, np.diag([side, side, 150.0]), {})
        for role, (composition, energy) in parts.items()
    ]
    result, _ = combine_group("ning2015", runs)
    return float("nan") if result is None or not result.interface else result.interface[0].value


def _atoms_in_the_box() -> list[Attempt]:
    found = []
    for a_site, words in (("molecule", "methylammonium as a molecule"), ("Cs", "one ion on the A site")):
        dot, matrix = crystal_named("PbS"), crystal_named("MAPbI3:cubic")
        built = embed_dot(
            dot, matrix, form=DotForm(diameter=30.0), cells=(8, 8, 8), lattice=6.325, occupation=Occupation(a_site)
        )
        found.append(Attempt(words, (float(built.report["n_atoms"]),)))
    return found


STRAINS: Mapping[str, Recipe] = {
    "ning2015-Einter": Recipe((combine_group,), _interface_energy),
    "ning2015-natoms": Recipe((embed_dot,), _atoms_in_the_box),
    "ning2015-elastic": Recipe((isotropic_moduli, share_dot), _continuum),
    "ning2015-B": Recipe((known_moduli,), _bulk_modulus),
}
"""Recipes by the id of the statement."""


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
    crystal = loading_from_mass("PbS", matrix="MAPbI3", mass_ratio=1.0, temperature=293.0)
    rows = tuple(
        loading_from_fraction(1.0 / (1.0 + volume)).volume_ratio / mass
        for volume, mass in zip(_VOLUME_RATIOS, _MASS_RATIOS, strict=True)
    )
    return [
        Attempt("the table's own columns", rows),
        Attempt("densities 7.60 and 4.107 g/cm3", (given.volume_ratio,)),
        Attempt("crystal densities at 293 K", (crystal.volume_ratio,)),
    ]


def _measured_share() -> list[Attempt]:
    values = tuple(m * _table_row(mass).volume_ratio for m, mass in zip(_MEASURED_RATIOS, _MASS_RATIOS, strict=True))
    return [Attempt("measured/nominal", values)]


def _caption() -> list[Attempt]:
    # As a mass ratio to the matrix itself the factor is ρ_dot/ρ_matrix.
    return [
        Attempt("first column is MAPbI3:PbS, as the caption says", (_DOT_DENSITY / TABLE_1A_FACTOR,)),
        Attempt("first column is PbI2:PbS, as the header says", (_DOT_DENSITY * _growth() / TABLE_1A_FACTOR,)),
        Attempt(
            "density of the crystal at 293 K, for comparison",
            (density(crystal_named("MAPbI3:tetragonal", temperature=293.0)),),
        ),
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


LIGHT_RECIPES: Mapping[str, Recipe] = {
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
