"""Documents of other commands that a page shows: how each is recognised, and the shape that its section relies on.

Written by this package they agree with their shapes; edited or damaged ones are passed over with the reason.
"""

from collections.abc import Mapping
from typing import Any, Literal

from qdip_struct.base.document_shapes import (
    ANYTHING,
    COUNT,
    NUMBER,
    POSITIVE,
    TEXT,
    TRUTH,
    WHOLE,
    WORD,
    Each,
    Entries,
    Fields,
    Maybe,
    Shape,
    fault,
)

Kind = Literal["strain", "levels", "charge-difference", "diffraction", "convergence"]

_NUMBERS = Each(NUMBER)
_WEIGHTS = Entries(NUMBER)
_PLANE = Each(WHOLE)
_MEAN = Fields({"n": COUNT, "mean": Maybe(NUMBER), "stderr": Maybe(NUMBER)})
_REGION = Fields({"n": COUNT, "mean": Maybe(NUMBER), "stderr": Maybe(NUMBER), "std": Maybe(NUMBER)})
_PHASE = Fields({"reference_lattice_angstrom": POSITIVE, "reference_source": TEXT})
_CONTINUUM = Fields(dict.fromkeys(("dot_strain", "dot_strain_infinite_matrix", "misfit", "volume_fraction"), NUMBER))
_EDGE = Fields({"energy_ev": NUMBER, "home": Maybe(WORD), "weights": _WEIGHTS})
_LINE = Fields(
    {"hkl": _PLANE, "spacing_angstrom": POSITIVE, "two_theta_degree": NUMBER, "intensity": NUMBER}, exactly=True
)
_SPOT = Fields(
    {"hkl": _PLANE, "spacing_angstrom": POSITIVE, "strength": NUMBER, "azimuth_degree": NUMBER}, exactly=True
)

SHAPES: Mapping[Kind, Fields] = {
    "strain": Fields(
        {
            "measure": WORD,
            "regions": Entries(_REGION),
            "profile": ANYTHING,
            "continuum_reason": Maybe(TEXT),
        },
        {
            "structure": TEXT,
            "phases": Entries(_PHASE),
            "to_reference": Maybe(Entries(_MEAN)),
            "continuum": Maybe(_CONTINUUM),
            "undefined": Maybe(COUNT),
        },
    ),
    "levels": Fields(
        {
            "projected_on": Each(WORD),
            "pdos": Maybe(
                Fields(
                    {
                        "sigma_ev": POSITIVE,
                        "energy_ev": _NUMBERS,
                        "density_per_ev": Each(Fields({"group": WORD, "spin": Maybe(WORD), "values": _NUMBERS})),
                    }
                )
            ),
            "homo": Maybe(_EDGE),
            "lumo": Maybe(_EDGE),
            "fermi_ev": Maybe(NUMBER),
            "gap_ev": Maybe(NUMBER),
            "in_gap": Maybe(
                Fields({"host": WORD, "reason": Maybe(TEXT), "states": Each(Fields({"energy_ev": NUMBER}))})
            ),
        },
        {
            "notes": Each(TEXT),
            "orbitals": Maybe(
                Each(Fields({"name": WORD, "spin": Maybe(WORD), "home": Maybe(WORD), "shares": _WEIGHTS}))
            ),
            "comparison": Maybe(
                Fields(
                    {
                        "paths": Each(TEXT, 2),
                        "host": WORD,
                        "moved": Each(WORD),
                        "n_states_in_gap": Each(Maybe(COUNT), 2),
                    }
                )
            ),
            "alignment": Maybe(
                Fields(
                    {
                        "materials": Each(WORD, 2),
                        "type": WORD,
                        "valence_offset_ev": NUMBER,
                        "conduction_offset_ev": NUMBER,
                    }
                )
            ),
        },
    ),
    "charge-difference": Fields(
        {
            "planar": Fields({"axis": WORD, "height_angstrom": _NUMBERS, "linear_density_e_per_angstrom": _NUMBERS}),
            "radial": Maybe(Fields({"outer_radius_angstrom": _NUMBERS, "density_e_per_angstrom3": _NUMBERS})),
            "displaced_e": NUMBER,
            "integral_e": NUMBER,
            "balanced": TRUTH,
        },
        {"transfer_dipole_e_angstrom": Maybe(NUMBER), "transfer_step_ev": Maybe(NUMBER)},
    ),
    "diffraction": Fields(
        {
            "path": TEXT,
            "two_theta_max_degree": NUMBER,
            "wavelength_angstrom": POSITIVE,
            "zone": Maybe(Each(WHOLE, 3)),
            "parts": Each(Fields({"name": WORD, "powder": Each(_LINE), "spots": Each(_SPOT)})),
        },
        {
            "between": Maybe(Fields({"hkl": Each(_PLANE, 2), "angle_degree": NUMBER})),
            "fringe": Maybe(
                Fields({"spacing_angstrom": NUMBER, "phases": Each(Fields({"phase": WORD, "can_show": Maybe(TRUTH)}))})
            ),
        },
    ),
    "convergence": Fields(
        {
            "vary": WORD,
            "unit": TEXT,
            "points": Each(Fields({"value": NUMBER, "difference_mev_per_atom": Maybe(NUMBER)})),
        }
    ),
}
"""Shape of each document."""

_SIGNS: Mapping[Kind, frozenset[str]] = {
    "strain": frozenset({"measure", "regions", "profile", "continuum_reason"}),
    "levels": frozenset({"projected_on", "pdos", "homo"}),
    "charge-difference": frozenset({"planar", "displaced_e", "integral_e"}),
    "diffraction": frozenset({"two_theta_max_degree", "parts", "zone"}),
    "convergence": frozenset({"vary", "unit", "points"}),
}
"""Keys by which each document is known."""

_MATCH = Fields({"formula": WORD, "fraction": Maybe(NUMBER), "a_angstrom": NUMBER})
_POINT = Fields(
    {"formula": WORD, "fraction": Maybe(NUMBER), "a_matrix_angstrom": NUMBER, "mismatch": NUMBER},
    {"mismatch_uncertainty": Maybe(NUMBER)},
)
SCREEN: Shape = Fields(
    {
        "dot": Fields({"name": WORD, "a_angstrom": Maybe(NUMBER), "source": TEXT}),
        "matrix": Fields({"name": WORD}),
        "dataset": WORD,
        "denominator": WORD,
        "zero_mismatch": Each(_MATCH),
        "window": Each(Fields({"from": NUMBER, "to": NUMBER})),
        "points": Each(_POINT),
    },
    {"remarks": Each(TEXT)},
)
"""Shape of what ``qdip screen`` wrote for one dot in one matrix."""

_EQUALLY_LONG: Mapping[Kind, tuple[tuple[str, str, str], ...]] = {
    "charge-difference": (
        ("planar", "height_angstrom", "linear_density_e_per_angstrom"),
        ("radial", "outer_radius_angstrom", "density_e_per_angstrom3"),
    ),
}


def kind_of(content: Mapping[str, Any]) -> Kind | None:
    """The command that wrote a document; ``None`` for one that a page does not show."""
    return next((kind for kind, signs in _SIGNS.items() if signs <= content.keys()), None)


def fault_of(content: Mapping[str, Any], kind: Kind) -> str | None:
    """What is wrong with a document of a command, in words; ``None`` when a page can show it."""
    found = fault(content, SHAPES[kind])
    if found is not None:
        return found
    if kind == "levels" and content["pdos"] is not None:
        pdos = content["pdos"]
        if content["fermi_ev"] is None:
            return "pdos has no fermi_ev to be drawn against"
        lengths = {len(part["values"]) for part in pdos["density_per_ev"]} | {len(pdos["energy_ev"])}
        return None if len(lengths) == 1 else "pdos holds energies and densities of different lengths"
    for part, one, other in _EQUALLY_LONG.get(kind, ()):
        if content[part] is not None and len(content[part][one]) != len(content[part][other]):
            return f"{part}.{one} and {part}.{other} have different lengths"
    return None
