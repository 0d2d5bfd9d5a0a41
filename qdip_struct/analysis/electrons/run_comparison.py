"""Two finished runs side by side: where HOMO and LUMO live in each and which of them moved."""

from collections.abc import Mapping
from typing import Any

from qdip_struct.base.errors import MismatchError


def comparison_document(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two documents of ``qdip levels`` side by side: a matched against a rotated dot (Ning et al., Ext. Data Fig. 2).

    ``moved`` lists the edges that live on another region in ``other``; shares are those of the host of ``one``.

    Raises
    ------
    MismatchError
        If the runs are projected on other regions, or neither has a host.
    """
    if list(one["projected_on"]) != list(other["projected_on"]):
        raise MismatchError(
            f"{one['path']} is projected on {', '.join(one['projected_on'])} and {other['path']} on "
            f"{', '.join(other['projected_on'])}: compare runs with the same regions"
        )
    if one["in_gap"] is None or other["in_gap"] is None:
        raise MismatchError(f"{one['path']} and {other['path']} have no host to compare: name one with --host")
    host = one["in_gap"]["host"]
    moved, edges = [], {}
    for edge in ("homo", "lumo"):
        pair = [document[edge] for document in (one, other)]
        edges[edge] = {
            "homes": [None if item is None else item["home"] for item in pair],
            "host_shares": [None if item is None else item["weights"][host] for item in pair],
        }
        if None not in pair and pair[0]["home"] != pair[1]["home"]:
            moved.append(edge)
    gaps = [document["gap_ev"] for document in (one, other)]
    counts = [
        None if document["in_gap"]["reason"] is not None else len(document["in_gap"]["states"])
        for document in (one, other)
    ]
    return {
        "paths": [one["path"], other["path"]],
        "host": host,
        "gap_ev": gaps,
        "gap_change_ev": None if None in gaps else gaps[1] - gaps[0],
        **edges,
        "n_states_in_gap": counts,
        "moved": moved,
    }
