"""The papers' statements by hand: plain arithmetic on the papers' and the crystals' numbers, nothing of the package."""

import math

PBS_NING, PBS_LIU, PBS_XRD, MAPI_NING, MAPI_BOX = 5.97, 5.94, 5.936, 6.26, 6.325
NAI, MAPBBR3, CDSE, CDS, ZNS = 6.473, 5.93, 6.052, 5.82, 5.4093
A_T, C_T = 8.849, 12.642
HC = 6.62607015e-34 * 299792458.0 / 1.602176634e-19 * 1e9

MASSES = {"H": 1.008, "C": 12.011, "N": 14.007, "S": 32.06, "Br": 79.904, "I": 126.90447, "Pb": 207.2}
MA = MASSES["C"] + 6 * MASSES["H"] + MASSES["N"]
PBI2 = MASSES["Pb"] + 2 * MASSES["I"]
MAPBI3 = MA + MASSES["Pb"] + 3 * MASSES["I"]
GROWTH = MAPBI3 / PBI2
FACTOR = 2.48838
MASS_RATIOS = (200, 100, 50, 20, 10, 5, 4, 3, 2, 1)
MEASURED = (0.00169, 0.00338, 0.00676, 0.01689, 0.03378, 0.06755, 0.08444, 0.11259, 0.16888, 0.33777)


def over(matrix, dot, below=None):
    return 100.0 * (matrix - dot) / (dot if below is None else below)


def three_ways(matrix, dot):
    return [[over(matrix, dot)], [over(matrix, dot, matrix)], [over(matrix, dot, 0.5 * (matrix + dot))]]


def liu(y):
    return 6.21 - 0.36 * y


def per_volume(molar_mass, z, volume):
    return z * molar_mass / (volume * 0.602214076)


def spacing_nm(fraction, diameter_nm):
    volume = math.pi * diameter_nm**3 / 6.0 / fraction
    return volume ** (1 / 3), 2.0 * (3.0 * volume / (4.0 * math.pi)) ** (1 / 3)


def inclusion(shear, phi):
    m = 4.0 * shear if phi is None else (3.0 * 12.2 * phi + 4.0 * shear) / (1.0 - phi)
    return 5.0 * m / (3.0 * 53.0 + m)


def efficiency(pl_s, pl_l, i_s, i_l, a_l, a_s, a_p):
    return 100.0 * (pl_s / pl_l * i_l / i_s * a_l - a_s) / a_p


POISSON = 3.0 * 12.2 * (1.0 - 0.6) / (2.0 * 1.3)
LOWEST = 1.0 / (1.0 + 200 * FACTOR)
SHELL = CDS / 3.0 + ZNS * 2.0 / 3.0
# 88 body centres lie inside or at the border of the sphere: 64 in a 4 x 4 x 4 block and 4 on each of its six faces;
# a face-centre Pb sits between two of them: 3·4·4·3 pairs in the block, 24 to the caps, 4 within each cap.
ATOMS = 5 * 8**3 + (3 * 4 * 4 * 3 + 24 + 6 * 4)
A_SITES_LEFT = 8**3 - 88

HAND = {
    "ning2015-mismatch-mapi": [three_ways(MAPI_NING, PBS_NING)[i] for i in (1, 0, 2)],
    "ning2015-mismatch-nai": three_ways(NAI, PBS_NING) + three_ways(NAI, PBS_XRD),
    "ning2015-d224": [[1.0 / math.sqrt(8.0 / A_T**2 + 16.0 / C_T**2)]],
    "ning2015-d202": [[PBS_NING / math.sqrt(8.0)]],
    "ning2015-angle-mapi": [
        [math.degrees(math.acos((16.0 / C_T**2) / (8.0 / A_T**2 + 16.0 / C_T**2)))],
    ],
    "ning2015-angle-pbs": [[60.0]],
    "ning2015-zone-sign": [[2 * 2 - 2 * 0 + 4 * 1], [2 * 2 - 2 * 0 - 4 * 1]],
    "ning2015-zone-pbs": [[0 + 2 - 2, 2 + 0 - 2]],
    "ning2015-OR-cube-on-cube": [[1]],
    "ning2015-slab-cell": [
        [3.0 * a / (A_T**2 * C_T / 4.0) ** (1 / 3) * math.sqrt(A_T * math.sqrt(2.0) * C_T / 2.0)]
        for a in (MAPI_BOX, MAPI_NING)
    ],
    "ning2015-box": [[8 * MAPI_BOX]],
    "ning2015-imposed": [[over(MAPI_BOX, 23.949 / 4)], [over(MAPI_NING, PBS_NING)], [over(MAPI_BOX, PBS_NING)]],
    "ning2015-strain": [[100.0 * (24.069 / 23.949 - 1.0)]],
    "ning2015-pbpb-7": [[100.0 * (44.197 / 7 / MAPI_BOX - 1.0)]],
    "ning2015-Einter": [[9 + 9 - 12], [12 + 9 - 12]],
    "ning2015-natoms": [[ATOMS + 7 * A_SITES_LEFT], [ATOMS]],
    "ning2015-elastic": [[inclusion(g, phi)] for g in (3.7, POISSON) for phi in (None, 0.1091)],
    "ning2015-B": [[(126.0 + 2.0 * 16.2) / 3.0]],
    "ning2015-blueshift": [[HC / 1.06 - HC / 1.08], [HC / 1.055 - HC / 1.085]],
    "ning2015-edge": [[HC / 770.0]],
    "ning2015-T1a-k": [
        [FACTOR] * 10,
        [GROWTH * 7.60 / 4.107],
        [GROWTH * per_volume(MASSES["Pb"] + MASSES["S"], 4, PBS_XRD**3) / per_volume(MAPBI3, 4, A_T**2 * C_T)],
    ],
    "ning2015-T1a-inv": [[1.0 / (FACTOR * m) for m in MASS_RATIOS]],
    "ning2015-T1a-pct": [[100.0 / (1.0 + FACTOR * m) for m in MASS_RATIOS]],
    "ning2015-T1a-rbs": [[r * FACTOR * m for r, m in zip(MEASURED, MASS_RATIOS, strict=True)]],
    "ning2015-T1a-caption": [
        [7.60 / FACTOR],
        [7.60 * GROWTH / FACTOR],
        [per_volume(MAPBI3, 4, A_T**2 * C_T)],
    ],
    "ning2015-vol-quotes": [[100.0 / (1.0 + FACTOR * 10)] * 3],
    "ning2015-spacing": [[length] for d in (4, 5, 6) for length in spacing_nm(LOWEST, d)],
    "ning2015-T1b-0.0040": [[efficiency(10553400, 476450, 2378155940, 872728455, 0.008, 0.0220, 0.351)]],
    "ning2015-T1b-0.0080": [[efficiency(6152760, 448548, 3203109586, 1321620214, 0.005, 0.0103, 0.396)]],
    "ning2015-T1b-0.0197": [[efficiency(11752660, 838076, 2378155940, 872728455, 0.011, 0.0254, 0.347)]],
    "ning2015-T1b-0.0386": [[efficiency(4893860, 475011, 3203109586, 1321620214, 0.015, 0.0323, 0.385)]],
    "ning2015-T1b-0.0744": [[efficiency(11586780, 1175544, 3203109586, 1321620214, 0.023, 0.0492, 0.368)]],
    "ning2015-T1b-0.0913": [[efficiency(13070740, 1359321, 3203109586, 1321620214, 0.024, 0.0508, 0.391)]],
    "ning2015-T1b-0.1181": [[efficiency(4870700, 586011, 3203109586, 1321620214, 0.080, 0.1327, 0.342)]],
    "ning2015-T1b-0.1673": [[efficiency(3940820, 307583, 3203109586, 1321620214, 0.067, 0.1126, 0.355)]],
    "ning2015-T1b-0.2867": [[efficiency(2239240, 256204, 3203109586, 1321620214, 0.164, 0.2652, 0.407)]],
    "garcia_de_arquer2017-mass": [
        [
            (MA + MASSES["Pb"] + 2.5 * MASSES["I"] + 0.5 * MASSES["Br"])
            / (MASSES["Pb"] + 5 / 3 * MASSES["I"] + 1 / 3 * MASSES["Br"])
        ],
        [GROWTH],
    ],
    "garcia_de_arquer2017-vol": [[100.0 / (1.0 + 1.33 * 7.6 / 4.1)]],
    "garcia_de_arquer2017-vegard": [[over((5.0 * MAPI_NING + MAPBBR3) / 6.0, PBS_NING)]],
    "garcia_de_arquer2017-offsets": [[1.6 - HC / 1240.0], [HC / 800.0 - HC / 1240.0]],
    "garcia_de_arquer2017-gap": [[HC / 1240.0, HC / 1400.0]],
    "liu2019-vegard-endpoints": [[5.874 * (1.0 - 33e-6 * 115.0), 6.289 * (1.0 - 40e-6 * 336.0)]],
    "liu2019-x-pbs": [[100.0 * (6.21 - a) / 0.36] for a in (PBS_LIU, PBS_NING, PBS_XRD)],
    "liu2019-eps-66": [[over(liu(0.66), a), over(liu(0.67), a)] for a in (PBS_LIU, PBS_NING, PBS_XRD)],
    "liu2019-CsPbBrI2": [[over(liu(1 / 3), a)] for a in (PBS_LIU, PBS_NING, PBS_XRD)],
    "liu2019-CsPbBr2I": [[over(liu(2 / 3), a)] for a in (PBS_LIU, PBS_NING, PBS_XRD)],
    "liu2019-x-pbse": [[100.0 * (6.21 - 6.12) / 0.36]],
    "liu2019-plqe-window": [[100.0 * (6.21 - PBS_NING * (1.0 + s)) / 0.36 for s in (0.005, -0.005)]],
    "liu2019-d111": [[PBS_LIU / math.sqrt(3.0)]],
    "liu2019-d200": [[PBS_LIU / 2.0]],
    "liu2019-rcp": [[36.0]],
    "liu2019-xray": [[10.0 * HC / 100329.0]],
    "baronnier2022-doping": [[1.0 / 0.025]],
    "baronnier2022-shell1": [[60.0 + 20.0]],
    "baronnier2022-shell2": [[SHELL, over(SHELL, MAPBBR3), over(CDSE, MAPBBR3)]],
    "deng2024-mismatch": [[abs(over(MAPBBR3, a))] for a in (PBS_LIU, PBS_NING, PBS_XRD)],
    "deng2024-d110": [[MAPBBR3 / math.sqrt(2.0)] * 2],
    "deng2024-d110-pbs": [[PBS_XRD / math.sqrt(2.0)] * 2],
    "deng2024-angle": [[60.0]],
    "deng2024-mis-measured": [[over(4.20, 4.19)]],
    "deng2024-edges": [[HC / 550.0, HC / 1200.0]],
}
"""Values of every attempt of every statement that can be answered, in the order of the recipes."""
