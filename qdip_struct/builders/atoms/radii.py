"""Radii of ions: how near two of them come when they touch.

Six-coordinate ionic radii of R. D. Shannon, Acta Cryst. A 32, 751 (1976), doi:10.1107/S0567739476001551, as pymatgen
has them (the paper itself was not read); Sn2+, which is not in it, after its distance to anions. Atoms of molecular
ions have no ionic radius: those who need one choose it for their purpose.
"""

IONIC_RADII_ANGSTROM: dict[str, float] = {
    "Li": 0.76, "Na": 1.02, "K": 1.38, "Rb": 1.52, "Cs": 1.67, "Ag": 1.15, "Cu": 0.77, "Mg": 0.72, "Ca": 1.00,
    "Sr": 1.18, "Ba": 1.35, "Zn": 0.74, "Cd": 0.95, "Hg": 1.02, "Ge": 0.73, "Sn": 1.18, "Pb": 1.19, "Al": 0.535,
    "Ga": 0.62, "In": 0.80, "Sb": 0.76, "Bi": 1.03, "F": 1.33, "Cl": 1.81, "Br": 1.96, "I": 2.20, "O": 1.40,
    "S": 1.84, "Se": 1.98, "Te": 2.21,
}  # fmt: skip
"""Radius of each ion, Å."""
