"""What builders say about a structure: the keys of a sidecar or of ``structure`` in ``run.json`` that others rely on.

A sidecar may hold more, and none of these keys is needed: structures of other origin have no builder.
"""

from typing import Any

from qdip_struct.base.document_shapes import COUNT, NUMBER, WHOLE, WORD, Each, Entries, Fields, Kind, Maybe, fault

_TEXTS = Entries(WORD)
_NUMBERS = Each(NUMBER)


def _is_name(value: Any) -> bool:
    return any(fault(value, shape) is None for shape in (WORD, _NUMBERS, _TEXTS))


NAME = Kind("one line of text, numbers, or a mapping to lines of text", _is_name)
"""How a termination or a registry is told: a name, a lateral shift, or a name with its meaning."""

FACTS = Fields(
    known={
        "role": Maybe(WORD),
        "group": Maybe(WORD),
        "film": Maybe(WORD),
        "substrate": Maybe(WORD),
        "film_plane": Maybe(_NUMBERS),
        "substrate_plane": Maybe(_NUMBERS),
        "film_layers": Maybe(NUMBER),
        "substrate_layers": Maybe(NUMBER),
        "film_termination": Maybe(NAME),
        "termination": Maybe(NAME),
        "registry": Maybe(NAME),
        "registry_fraction": Maybe(_NUMBERS),
        "gap_angstrom": Maybe(NUMBER),
        "reservoir": Maybe(WORD),
        "strain_film": Maybe(Each(NUMBER, 2)),
        "strain_substrate": Maybe(Each(NUMBER, 2)),
        "formal_charge": Maybe(Entries(WHOLE)),
        "changes": Maybe(Each(Fields())),
        "volume_fraction": Maybe(NUMBER),
        "min_distance_angstrom": Maybe(NUMBER),
        "n_atoms": Maybe(COUNT),
        "relaxation": Maybe(Fields(known={"model": Maybe(WORD), "fmax_ev_per_angstrom": Maybe(NUMBER)})),
    }
)
"""Shape of a report; see :mod:`qdip_struct.base.document_shapes`."""
