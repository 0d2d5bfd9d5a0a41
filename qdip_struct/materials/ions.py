"""The ions of this field, one record each: what every other module knows about an element or a molecular ion.

To add an ion, add its record here.

A Python table and not a YAML file, so that commands that need no structure start without reading one.

Molecules are known by their groups, a heavy atom with the hydrogens on it each, for isomers share a formula: ethyl- and
dimethylammonium are both C2H8N. One that is not in the table has its Hill formula as its name, and the user gives its
charge.

Sources. Ionic radii: six-coordinate ones of R. D. Shannon, Acta Cryst. A 32, 751 (1976), doi:10.1107/S0567739476001551,
as pymatgen has them (the paper itself was not read); Sn2+, which is not in it, after its distance to anions. MA, and FA
like it: G. Kieslich, S. Sun and A. K. Cheetham, Chem. Sci. 5, 4712 (2014), doi:10.1039/C4SC02211D, from memory.
Masses: standard atomic weights (IUPAC 2021, abridged). Electrons: GTH-PBE potentials, as CP2K's data files have them.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

from qdip_struct.base.errors import DataError, UsageError

SiteClass = Literal["A", "B", "chalcogenide", "halide"]


@dataclass(frozen=True, eq=False)
class Ion:
    """One ion, an atom that occurs in molecules only, or a molecule; neutral molecules have the charge 0.

    Attributes
    ----------
    name
        Element symbol, or the name of a molecular ion.
    charge
        Oxidation state, e; ``None`` for atoms that are no ions themselves.
    site
        Where it sits in a perovskite or a binary: A, B (every metal that is not A), chalcogenide, halide; ``None`` for
        others.
    formula
        Whether formulas and crystals may hold it.
    number
        Atomic number; 0 for a molecule.
    mass_g_per_mol
        Of an atom; of a molecule see :attr:`mass`.
    gth_pbe_electrons
        Electrons that its default GTH-PBE potential leaves in the calculation.
    radius
        Ionic radius, Å.
    contact, touching
        Radius where there is no ionic one, Å: as a generous limit of what is too close, and for hard spheres.
    anion_cutoff
        Farther anions are no neighbours of this cation, Å: beyond the first shell even with thermal motion.
    coordination
        Anions around this cation: 6 in rock salt and perovskite, 4 in zinc blende.
    groups
        Heavy atoms of a molecule, each with its hydrogens: ``{"CH3": 1, "NH3": 1}``.
    word
        What the field calls a molecule beside its short name.
    """

    name: str
    charge: int | None
    site: SiteClass | None = None
    formula: bool = field(default=False, kw_only=True)
    number: int = field(default=0, kw_only=True)
    mass_g_per_mol: float = field(default=0.0, kw_only=True)
    gth_pbe_electrons: int = field(default=0, kw_only=True)
    radius: float | None = field(default=None, kw_only=True)
    contact: float | None = field(default=None, kw_only=True)
    touching: float | None = field(default=None, kw_only=True)
    anion_cutoff: float | None = field(default=None, kw_only=True)
    coordination: int | None = field(default=None, kw_only=True)
    groups: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    word: str = field(default="", kw_only=True)

    @cached_property
    def atoms(self) -> dict[str, int]:
        """Atoms of a molecule, carbon and hydrogen first, then by symbol; empty for one atom."""
        return _atoms_of(self.groups)

    @property
    def mass(self) -> float:
        """Mass of the neutral atom or molecule, g/mol."""
        total = self.mass_g_per_mol
        # In this order and one by one: the last bit stands in printed tables.
        for name, count in self.atoms.items():
            total += count * IONS[name].mass_g_per_mol
        return total

    @property
    def scattering_electrons(self) -> int:
        """Scattering power at zero angle: of an atom its own electrons, of a molecular ion those it has."""
        return self.number or sum(n * IONS[name].number for name, n in self.atoms.items()) - (self.charge or 0)


def _atoms_of(groups: Mapping[str, int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for group, count in groups.items():
        for symbol, n in re.findall(r"([A-Z][a-z]?)(\d*)", group):
            counts[symbol] += count * int(n or 1)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (name not in ("C", "H"), name))}


def _ions() -> tuple[Ion, ...]:
    """The table, in the order in which ions are listed to users."""
    # fmt: off
    return (
        Ion("Cs", 1, "A", formula=True, number=55, mass_g_per_mol=132.905452, gth_pbe_electrons=9, radius=1.67),
        Ion("Rb", 1, "A", formula=True, number=37, mass_g_per_mol=85.4678, gth_pbe_electrons=9, radius=1.52),
        Ion("K", 1, "A", formula=True, number=19, mass_g_per_mol=39.0983, gth_pbe_electrons=9, radius=1.38),
        Ion("Na", 1, "A", formula=True, number=11, mass_g_per_mol=22.989769, gth_pbe_electrons=9, radius=1.02),
        Ion("MA", 1, "A", formula=True, radius=2.17, groups={"CH3": 1, "NH3": 1},
            word="methylammonium"),
        Ion("FA", 1, "A", formula=True, radius=2.17, groups={"CH": 1, "NH2": 2},
            word="formamidinium"),
        Ion("Li", 1, "A", number=3, mass_g_per_mol=6.94, gth_pbe_electrons=3, radius=0.76),
        Ion("Pb", 2, "B", formula=True, number=82, mass_g_per_mol=207.2, gth_pbe_electrons=4, radius=1.19,
            anion_cutoff=4.2, coordination=6),
        Ion("Sn", 2, "B", formula=True, number=50, mass_g_per_mol=118.71, gth_pbe_electrons=4, radius=1.18,
            anion_cutoff=4.2, coordination=6),
        Ion("Cd", 2, "B", formula=True, number=48, mass_g_per_mol=112.414, gth_pbe_electrons=12, radius=0.95,
            anion_cutoff=3.6, coordination=4),
        Ion("Zn", 2, "B", formula=True, number=30, mass_g_per_mol=65.38, gth_pbe_electrons=12, radius=0.74,
            anion_cutoff=3.4, coordination=4),
        Ion("Hg", 2, "B", formula=True, number=80, mass_g_per_mol=200.592, gth_pbe_electrons=12, radius=1.02,
            anion_cutoff=3.8, coordination=4),
        Ion("Ge", 2, "B", number=32, mass_g_per_mol=72.630, gth_pbe_electrons=4, radius=0.73),
        Ion("Mg", 2, "B", number=12, mass_g_per_mol=24.305, gth_pbe_electrons=10, radius=0.72),
        Ion("Ca", 2, "B", number=20, mass_g_per_mol=40.078, gth_pbe_electrons=10, radius=1.00),
        Ion("Sr", 2, "B", number=38, mass_g_per_mol=87.62, gth_pbe_electrons=10, radius=1.18),
        Ion("Ba", 2, "B", number=56, mass_g_per_mol=137.327, gth_pbe_electrons=10, radius=1.35),
        Ion("Ag", 1, "B", number=47, mass_g_per_mol=107.8682, gth_pbe_electrons=11, radius=1.15),
        Ion("Cu", 1, "B", number=29, mass_g_per_mol=63.546, gth_pbe_electrons=11, radius=0.77),
        Ion("Al", 3, "B", number=13, mass_g_per_mol=26.981538, gth_pbe_electrons=3, radius=0.535),
        Ion("Ga", 3, "B", number=31, mass_g_per_mol=69.723, gth_pbe_electrons=13, radius=0.62),
        Ion("In", 3, "B", number=49, mass_g_per_mol=114.818, gth_pbe_electrons=13, radius=0.80),
        Ion("Sb", 3, "B", number=51, mass_g_per_mol=121.760, gth_pbe_electrons=5, radius=0.76),
        Ion("Bi", 3, "B", number=83, mass_g_per_mol=208.98040, gth_pbe_electrons=5, radius=1.03),
        Ion("Be", 2, "B", number=4, mass_g_per_mol=9.01218, gth_pbe_electrons=4, radius=0.45),
        Ion("B", 3, "B", number=5, mass_g_per_mol=10.81, gth_pbe_electrons=3, radius=0.27),
        Ion("Si", 4, "B", number=14, mass_g_per_mol=28.085, gth_pbe_electrons=4, radius=0.4),
        Ion("Sc", 3, "B", number=21, mass_g_per_mol=44.9559, gth_pbe_electrons=11, radius=0.745),
        Ion("Ti", 4, "B", number=22, mass_g_per_mol=47.867, gth_pbe_electrons=12, radius=0.605),
        Ion("V", 5, "B", number=23, mass_g_per_mol=50.9415, gth_pbe_electrons=13, radius=0.54),
        Ion("Cr", 3, "B", number=24, mass_g_per_mol=51.9961, gth_pbe_electrons=14, radius=0.615),
        Ion("Mn", 2, "B", number=25, mass_g_per_mol=54.938, gth_pbe_electrons=15, radius=0.83),
        Ion("Fe", 3, "B", number=26, mass_g_per_mol=55.845, gth_pbe_electrons=16, radius=0.645),
        Ion("Co", 2, "B", number=27, mass_g_per_mol=58.9332, gth_pbe_electrons=17, radius=0.745),
        Ion("Ni", 2, "B", number=28, mass_g_per_mol=58.6934, gth_pbe_electrons=18, radius=0.69),
        Ion("Y", 3, "B", number=39, mass_g_per_mol=88.9058, gth_pbe_electrons=11, radius=0.9),
        Ion("Zr", 4, "B", number=40, mass_g_per_mol=91.224, gth_pbe_electrons=12, radius=0.72),
        Ion("Nb", 5, "B", number=41, mass_g_per_mol=92.9064, gth_pbe_electrons=13, radius=0.64),
        Ion("Mo", 6, "B", number=42, mass_g_per_mol=95.95, gth_pbe_electrons=14, radius=0.59),
        Ion("Ru", 4, "B", number=44, mass_g_per_mol=101.07, gth_pbe_electrons=16, radius=0.62),
        Ion("Rh", 3, "B", number=45, mass_g_per_mol=102.906, gth_pbe_electrons=17, radius=0.665),
        Ion("Pd", 2, "B", number=46, mass_g_per_mol=106.42, gth_pbe_electrons=18, radius=0.86),
        Ion("Hf", 4, "B", number=72, mass_g_per_mol=178.49, gth_pbe_electrons=12, radius=0.71),
        Ion("Ta", 5, "B", number=73, mass_g_per_mol=180.948, gth_pbe_electrons=13, radius=0.64),
        Ion("W", 6, "B", number=74, mass_g_per_mol=183.84, gth_pbe_electrons=14, radius=0.6),
        Ion("Re", 7, "B", number=75, mass_g_per_mol=186.207, gth_pbe_electrons=15, radius=0.53),
        Ion("Os", 4, "B", number=76, mass_g_per_mol=190.23, gth_pbe_electrons=16, radius=0.63),
        Ion("Ir", 4, "B", number=77, mass_g_per_mol=192.217, gth_pbe_electrons=17, radius=0.625),
        Ion("Pt", 4, "B", number=78, mass_g_per_mol=195.084, gth_pbe_electrons=18, radius=0.625),
        Ion("Au", 1, "B", number=79, mass_g_per_mol=196.967, gth_pbe_electrons=11, radius=1.37),
        Ion("Tl", 1, "A", number=81, mass_g_per_mol=204.38, gth_pbe_electrons=13, radius=1.5),
        Ion("La", 3, "B", number=57, mass_g_per_mol=138.905, gth_pbe_electrons=11, radius=1.032),
        Ion("Ce", 4, "B", number=58, mass_g_per_mol=140.116, gth_pbe_electrons=12, radius=0.87),
        Ion("Pr", 3, "B", number=59, mass_g_per_mol=140.908, gth_pbe_electrons=13, radius=0.99),
        Ion("Nd", 3, "B", number=60, mass_g_per_mol=144.242, gth_pbe_electrons=14, radius=0.983),
        Ion("Sm", 3, "B", number=62, mass_g_per_mol=150.36, gth_pbe_electrons=16, radius=0.958),
        Ion("Eu", 2, "B", number=63, mass_g_per_mol=151.964, gth_pbe_electrons=17, radius=1.17),
        Ion("Gd", 3, "B", number=64, mass_g_per_mol=157.25, gth_pbe_electrons=18, radius=0.938),
        Ion("Tb", 3, "B", number=65, mass_g_per_mol=158.925, gth_pbe_electrons=19, radius=0.923),
        Ion("Dy", 3, "B", number=66, mass_g_per_mol=162.5, gth_pbe_electrons=20, radius=0.912),
        Ion("Ho", 3, "B", number=67, mass_g_per_mol=164.93, gth_pbe_electrons=21, radius=0.901),
        Ion("Er", 3, "B", number=68, mass_g_per_mol=167.259, gth_pbe_electrons=22, radius=0.89),
        Ion("Tm", 3, "B", number=69, mass_g_per_mol=168.934, gth_pbe_electrons=23, radius=0.88),
        Ion("Yb", 3, "B", number=70, mass_g_per_mol=173.054, gth_pbe_electrons=24, radius=0.868),
        Ion("Lu", 3, "B", number=71, mass_g_per_mol=174.967, gth_pbe_electrons=25, radius=0.861),
        Ion("S", -2, "chalcogenide", formula=True, number=16, mass_g_per_mol=32.06, gth_pbe_electrons=6, radius=1.84),
        Ion("Se", -2, "chalcogenide", formula=True, number=34, mass_g_per_mol=78.971, gth_pbe_electrons=6, radius=1.98),
        Ion("Te", -2, "chalcogenide", formula=True, number=52, mass_g_per_mol=127.60, gth_pbe_electrons=6, radius=2.21),
        Ion("O", -2, "chalcogenide", number=8, mass_g_per_mol=15.999, gth_pbe_electrons=6, radius=1.40),
        Ion("F", -1, "halide", formula=True, number=9, mass_g_per_mol=18.998403, gth_pbe_electrons=7, radius=1.33),
        Ion("Cl", -1, "halide", formula=True, number=17, mass_g_per_mol=35.45, gth_pbe_electrons=7, radius=1.81),
        Ion("Br", -1, "halide", formula=True, number=35, mass_g_per_mol=79.904, gth_pbe_electrons=7, radius=1.96),
        Ion("I", -1, "halide", formula=True, number=53, mass_g_per_mol=126.90447, gth_pbe_electrons=7, radius=2.20),
        Ion("N", -3, number=7, mass_g_per_mol=14.007, gth_pbe_electrons=5, contact=1.60, touching=1.50),
        Ion("P", -3, number=15, mass_g_per_mol=30.973762, gth_pbe_electrons=5, contact=2.12, touching=1.90),
        Ion("As", -3, number=33, mass_g_per_mol=74.921595, gth_pbe_electrons=5, contact=2.22, touching=2.00),
        Ion("C", None, number=6, mass_g_per_mol=12.011, gth_pbe_electrons=4, contact=1.60, touching=1.50),
        Ion("H", None, number=1, mass_g_per_mol=1.008, gth_pbe_electrons=1, contact=0.75, touching=0.60),
        Ion("NH4", 1, "A", groups={"NH4": 1}, word="ammonium"),
        Ion("GUA", 1, "A", groups={"C": 1, "NH2": 3}, word="guanidinium"),
        Ion("DMA", 1, "A", groups={"CH3": 2, "NH2": 1}, word="dimethylammonium"),
        Ion("EA", 1, "A", groups={"CH3": 1, "CH2": 1, "NH3": 1}, word="ethylammonium"),
        Ion("BA", 1, "A", groups={"CH3": 1, "CH2": 3, "NH3": 1}, word="butylammonium"),
        Ion("PEA", 1, "A", groups={"C": 1, "CH": 5, "CH2": 2, "NH3": 1}, word="phenethylammonium"),
        Ion("MBA", 1, "A", groups={"C": 1, "CH": 6, "CH3": 1, "NH3": 1}, word="methylbenzylammonium"),
        Ion("HCOO", -1, groups={"CH": 1, "O": 2}, word="formate"),
        Ion("OAc", -1, groups={"CH3": 1, "C": 1, "O": 2}, word="acetate"),
        Ion("OA", -1, groups={"CH3": 1, "CH2": 14, "CH": 2, "C": 1, "O": 2}, word="oleate"),
        Ion("SCN", -1, groups={"C": 1, "N": 1, "S": 1}, word="thiocyanate"),
        Ion("OH", -1, groups={"OH": 1}, word="hydroxide"),
        Ion("CO3", -2, groups={"C": 1, "O": 3}, word="carbonate"),
        Ion("H2O", 0, groups={"OH2": 1}, word="water"),
        Ion("DMF", 0, groups={"CH3": 2, "CH": 1, "N": 1, "O": 1}, word="dimethylformamide"),
        Ion("DMSO", 0, groups={"CH3": 2, "O": 1, "S": 1}, word="dimethylsulfoxide"),
    )
    # fmt: on


IONS: dict[str, Ion] = {ion.name: ion for ion in _ions()}
"""Every record by its name."""
_ATOMS = [ion for ion in IONS.values() if not ion.groups]

MOLECULES: tuple[str, ...] = tuple(ion.name for ion in IONS.values() if ion.groups)
"""Molecules of the table, charged and neutral."""
FORMULA_MOLECULES: tuple[str, ...] = tuple(name for name in MOLECULES if IONS[name].formula)
"""Molecular ions that formulas may hold: methylammonium and formamidinium."""


def _of_site(site: SiteClass) -> tuple[str, ...]:
    return tuple(ion.name for ion in IONS.values() if ion.site == site and ion.formula)


MONOVALENT = _of_site("A")
"""Ions of charge +1 that formulas may hold."""
DIVALENT = _of_site("B")
CHALCOGENS = _of_site("chalcogenide")
HALIDES = _of_site("halide")

FORMAL_CHARGES: dict[str, int] = {ion.name: ion.charge for ion in IONS.values() if ion.charge is not None}
"""Charge in e; a molecular ion is a whole molecule."""
VALENCE_ELECTRONS: dict[str, int] = {ion.name: ion.gth_pbe_electrons for ion in _ATOMS}
"""Electrons that the default GTH-PBE pseudopotential of each element leaves in the calculation."""
IONIC_RADII_ANGSTROM: dict[str, float] = {ion.name: ion.radius for ion in IONS.values() if ion.radius is not None}
"""Radius of each ion, Å."""
CONTACT_RADII_ANGSTROM: dict[str, float] = {ion.name: ion.radius or ion.contact or 0.0 for ion in _ATOMS}
"""Radius of each ion, and of the atoms that have no ionic radius, Å: a generous limit of what is too close."""
TOUCHING_RADII_ANGSTROM: dict[str, float] = {ion.name: ion.radius or ion.touching or 0.0 for ion in _ATOMS}
"""Ionic radii, and for atoms without one radii chosen so that hard spheres touch, Å."""

FORMULA_ORDER: tuple[str, ...] = (
    *(name for name in MOLECULES if IONS[name].site == "A"),
    *(ion.name for ion in _ATOMS if ion.site == "A"),
    *("C", "N", "H"),
    *(ion.name for ion in _ATOMS if ion.site == "B"),
    *(ion.name for ion in _ATOMS if ion.site == "chalcogenide"),
    *(ion.name for ion in _ATOMS if ion.site == "halide"),
    *(name for name in MOLECULES if IONS[name].site != "A"),
)
"""Order of species in a written formula: cations, anions, then other molecules."""


def in_formula_order(names: Iterable[str]) -> list[str]:
    """Ions or elements as formulas have them; molecules that are not known first, elements that no ion is last."""
    ranks = {name: rank for rank, name in enumerate(FORMULA_ORDER)}
    return sorted(names, key=lambda name: (ranks.get(name, -1 if _is_formula(name) else len(ranks)), name))


def _is_formula(name: str) -> bool:
    """Whether a name is the formula of a molecule: two atoms at least, each of an element."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", name)
    return (
        "".join(map("".join, parts)) == name
        and all(symbol in IONS for symbol, _ in parts)
        and (len(parts) > 1 or (bool(parts) and parts[0][1] != ""))
    )


def written_formula(counts: Mapping[str, int]) -> str:
    """Ions or elements with their counts in the usual order: ``{"Te": 1, "Pb": 1}`` → ``PbTe``."""
    ordered = in_formula_order(counts)
    shown = {name: f"({name})" if counts[name] != 1 and _is_formula(name) else name for name in ordered}
    return "".join(f"{shown[name]}{counts[name] if counts[name] != 1 else ''}" for name in ordered)


def name_of_ions(species: Iterable[str]) -> str:
    """Reduced formula of ions or elements, one entry per site: Te, Pb, Te, Pb → ``PbTe``."""
    counts = Counter(map(str, species))
    unit = math.gcd(*counts.values())
    return written_formula({name: count // unit for name, count in counts.items()})


def sublattices_of(species: Sequence[str], *, states: Mapping[str, int] | None = None) -> list[str]:
    """Sublattice of each ion of a crystal: A, B, X where A ions, metals and halides occur, else cation and anion.

    Molecules without charge are ``neutral``; where nothing is charged, as in silicon, every site is a ``cation``.
    ``states`` are oxidation states (e) that are not the usual ones, and those of molecules that the table has not.
    """
    charge = {name: charge_of_ion(name, states=states) for name in set(species)}
    sites = {IONS[name].site if name in IONS else "A" if charge[name] > 0 else None for name in species}
    solvents = {name for name, q in charge.items() if q == 0 and (name not in IONS or IONS[name].groups)}
    if {"A", "B", "halide"} <= sites:
        above = {name: "A" if name not in IONS or IONS[name].site == "A" else "B" for name in charge}
        named = {name: "X" if q < 0 else above[name] for name, q in charge.items()}
    else:
        bare = not any(charge.values())
        named = {name: "cation" if q > 0 or bare else "anion" for name, q in charge.items()}
    return ["neutral" if name in solvents else named[name] for name in species]


def charge_of_ion(name: str, *, states: Mapping[str, int] | None = None) -> int:
    """Charge (e) of an ion: from ``states`` where it is there, else the usual one.

    Raises
    ------
    DataError
        If it is in neither.
    """
    if states and name in states:
        return states[name]
    if name in FORMAL_CHARGES:
        return FORMAL_CHARGES[name]
    if name in IONS or not _is_formula(name):
        raise DataError(f"no formal charge is known for {name}; ions known: {', '.join(FORMAL_CHARGES)}")
    raise DataError(
        f"the molecule {name} is not known; molecules known: {', '.join(MOLECULES)}; give its charge in charges, such "
        f"as {name}=1, or mend the structure if its atoms are no whole molecule"
    )


def charges_given(text: str | None) -> dict[str, int]:
    """Charges (e) by ion, read from ``Sn=4,C8H12N=1``: an element, a molecule's name or its formula; empty for none.

    Raises
    ------
    UsageError
        If a word cannot be read, or a charge is no whole number between -8 and 8.
    """
    found: dict[str, int] = {}
    for part in [] if text is None else text.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        name = ion_called(name)
        if name not in IONS and not _is_formula(name) and not re.fullmatch(r"[A-Z][a-z]?", name):
            raise UsageError(f"charges: '{part.strip()}' is not ION=CHARGE, such as Sn=4 or C8H12N=1")
        if not re.fullmatch(r"[+-]?[0-8]", value):
            raise UsageError(
                f"charges: '{part.strip()}' gives no whole charge between -8 and 8; an element of mixed valence has no "
                "one state, so a crystal of it cannot be cut here"
            )
        if name in found:
            raise UsageError(f"charges: {name} is given twice")
        found[name] = int(value)
    return found


def ion_called(word: str) -> str:
    """The name of an ion by its name or by its word: ``acetate`` is OAc; a word that is neither, as it is."""
    return next((ion.name for ion in IONS.values() if ion.word and ion.word == word.lower()), word)


def oxidation_states(counts: Mapping[str, float], *, given: Mapping[str, int] | None = None) -> dict[str, int]:
    """Oxidation states (e) of the ions of a crystal from its composition: the whole crystal is neutral.

    The usual ones where they balance, else the likeliest that do, one for each element, ranked as pymatgen does by how
    often each occurs in the ICSD (A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323): Sn +2 in
    CsSnI3, +4 in SnO2. Anions bonded to each other (S -1 in pyrite) and states that stand for two others (Sn +3 in
    Sn2S3) are not guessed. Elements alone are neutral. Those given override all of it.

    Parameters
    ----------
    counts
        Ions in the cell, molecules whole; shares on mixed sites.
    given
        States of some of them, e; others are not looked at.

    Raises
    ------
    DataError
        If an ion is not known, or no whole states balance; the message gives the sum.
    """
    fixed = {name: state for name, state in (given or {}).items() if name in counts}
    usual = {name: charge_of_ion(name, states=fixed) for name in counts}
    likely = all(name in fixed or _is_likely(name, state, counts) for name, state in usual.items())
    if likely and _balanced(usual, counts):
        return usual
    whole = _whole(counts)
    free = {name: count for name, count in whole.items() if name in IONS and not IONS[name].groups}
    target = -sum(usual[name] * count for name, count in whole.items() if name not in free)
    guessed = all(name in FORMAL_CHARGES for name in free)
    if guessed and (found := _likeliest(free, target, fixed=fixed, beside=whole)):
        found = usual | found
        if _balanced(found, counts):
            return found
    shown = ", ".join(f"{name}{count} {usual[name]:+d}" for name, count in whole.items())
    total = sum(usual[name] * count for name, count in whole.items())
    summed = f"sum to {total:+d} e" if total else "sum to zero, but such a crystal hardly has them"
    would = _would_do(free, target, fixed=fixed, beside=whole) if guessed else ""
    raise DataError(
        f"the crystal cannot be balanced with whole oxidation states: {shown} {summed}{would}; where others "
        "sum to zero, give them in charges, such as Sn=4"
    )


def _would_do(free: Mapping[str, int], target: int, *, fixed: Mapping[str, int], beside: Iterable[str]) -> str:
    """What would balance a crystal that is not guessed at: pairs of anions, or a mixed valence; else nothing."""
    if pairs := _likeliest(free, target, fixed=fixed, beside=beside, paired=True):
        states = ", ".join(f"{name} {state:+d}" for name, state in pairs.items())
        bonded = [name for name, state in pairs.items() if name not in fixed and _is_paired(name, state)]
        charges = ",".join(f"{name}={pairs[name]}" for name in bonded)
        return f"; {states} would do where {' and '.join(bonded)} is bonded to itself (polyanions): charges {charges}"
    guesses = _guesses(free, target)
    for guess in guesses[:1]:
        states = ", ".join(f"{name} {state:+.3g}" for name, state in guess.items())
        mixed = any(
            not float(state).is_integer() or int(state) in _SPLIT.get(name, ()) for name, state in guess.items()
        )
        return f"; {states} would do" + (", which is mixed valence and not built here" if mixed else "")
    return ""


_ROUNDED = 0.01
"""Shares of mixed sites are rounded in files, 0.33 for a third: a sum this small per ion is none, e."""
_MOST_COMBINATIONS = 20_000
"""Combinations of states that are tried; pymatgen's of a large formula take minutes and more."""


def _balanced(states: Mapping[str, int], counts: Mapping[str, float]) -> bool:
    total = sum(states[name] * count for name, count in counts.items())
    whole = all(float(count).is_integer() for count in counts.values())
    return total == 0 if whole else abs(total) < min(_ROUNDED * sum(counts.values()), 0.5)


def _whole(counts: Mapping[str, float]) -> dict[str, int]:
    """Counts as the smallest whole numbers of the same ratio; shares are taken as fractions of small numbers."""
    shares = {name: Fraction(count).limit_denominator(20) for name, count in counts.items()}
    scale = math.lcm(*(share.denominator for share in shares.values()))
    whole = {name: int(share * scale) for name, share in shares.items()}
    unit = math.gcd(*whole.values()) or 1
    return {name: count // unit for name, count in whole.items()}


_SPLIT: dict[str, tuple[int, ...]] = {"Sn": (3,), "Pb": (3,), "Sb": (4,), "Bi": (2, 4), "Tl": (2,), "Au": (2,)}
"""Mean states of a metal in two states: with a lone pair and without (Sn2S3, TlS), Au +1 and +3 in CsAuBr3."""
_PAIRING = ("Mn", "Fe", "Co", "Ni", "Cu", "Ru", "Os", "Pd")
"""Metals whose dichalcogenides and dipnictides hold bonds between anions (pyrite, marcasite, PdSe2, NiTe2), none of +4;
N. N. Greenwood and A. Earnshaw, Chemistry of the Elements, from memory."""


def _is_paired(name: str, state: int) -> bool:
    """Whether a negative state (e) is that of anions that are bonded to each other: S -1, As -2."""
    from pymatgen.core import Element

    return Element(name).group - 18 < state < 0


def _is_likely(name: str, state: int, among: Iterable[str], *, paired: bool = False) -> bool:
    """Whether an element may be guessed to have a state (e) beside others; ``paired`` admits bonds between anions."""
    if name not in IONS or IONS[name].groups:
        return True
    anions = {other for other in among if other != name and other in IONS and IONS[other].number}
    anions = {other for other in anions if (IONS[other].charge or 0) < 0}
    if state in _SPLIT.get(name, ()):
        return False
    if name in _PAIRING and state > 3 and anions and not anions & {"O", *HALIDES}:
        return False
    if (FORMAL_CHARGES.get(name) or 0) > 0:
        # A metal is an anion only where there is no other, as antimony in InSb.
        return state > 0 or (not anions and (paired or not _is_paired(name, state)))
    if state > 0:
        from pymatgen.core import Element

        return any(Element(other).X > Element(name).X for other in anions)
    return paired or not _is_paired(name, state)


def _likeliest(
    counts: Mapping[str, int],
    target: int,
    *,
    fixed: Mapping[str, int],
    beside: Iterable[str],
    paired: bool = False,
) -> dict[str, int]:
    """The likeliest states of ``counts``, one for each element, that sum to ``target`` (e); empty if none do.

    ``fixed`` are given, ``beside`` are all ions of the crystal; with ``paired`` chalcogens and pnictogens may be bonded
    to each other.
    """
    if not counts:
        return {}
    from pymatgen.core import Composition, Element, Species

    if len(counts) == 1 and target == 0 and not fixed:
        return dict.fromkeys(counts, 0)
    if Composition.oxi_prob is None:
        Composition("NaCl").oxi_state_guesses()
    occurs = Composition.oxi_prob or {}

    def states(name: str, *, every: bool) -> list[int]:
        if name in fixed:
            return [fixed[name]]
        element = Element(name)
        found = element.oxidation_states if every else element.icsd_oxidation_states or element.common_oxidation_states
        return [int(state) for state in found if _is_likely(name, int(state), beside, paired=paired)]

    for every in (False, True):
        choices = [states(name, every=every) for name in counts]
        if math.prod(map(len, choices)) > _MOST_COMBINATIONS:
            return {}
        ranked: list[tuple[float, tuple[int, ...]]] = [
            (
                sum(n * occurs.get(Species(name, q), 0) for (name, n), q in zip(counts.items(), trial, strict=True)),
                trial,
            )
            for trial in itertools.product(*choices)
            if sum(n * q for n, q in zip(counts.values(), trial, strict=True)) == target
        ]
        if ranked:
            return dict(zip(counts, max(ranked, key=lambda entry: entry[0])[1], strict=True))
    return {}


def _guesses(counts: Mapping[str, int], target: int) -> Sequence[Mapping[str, float]]:
    """Oxidation states of ``counts`` that sum to ``target`` (e), the likeliest first; of too many ions none."""
    if not counts:
        return ()
    from pymatgen.core import Composition, Element

    # pymatgen takes one element alone to be neutral, whatever the target.
    if len(counts) == 1:
        ((name, count),) = counts.items()
        state = target / count
        low, high = min(Element(name).oxidation_states, default=0), max(Element(name).oxidation_states, default=0)
        return ({name: state},) if state == 0 or low <= state <= high else ()
    atoms = Composition(dict(counts))
    for every in (False, True):
        states = {n: Element(n).oxidation_states if every else Element(n).icsd_oxidation_states for n in counts}
        kinds = {name: len(found or Element(name).oxidation_states) for name, found in states.items()}
        if max(math.comb(count + kinds[name], kinds[name]) for name, count in counts.items()) > _MOST_COMBINATIONS:
            return ()
        if found := atoms.oxi_state_guesses(target_charge=target, all_oxi_states=every):
            return found
    return ()


def molecule_of(groups: Mapping[str, int]) -> str:
    """Name of the molecule that has these groups; of one that the table has not, its Hill formula."""
    known = next((name for name in MOLECULES if IONS[name].groups == groups), None)
    return known or "".join(f"{name}{n if n > 1 else ''}" for name, n in _atoms_of(groups).items())
