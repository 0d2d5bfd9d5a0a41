"""What a run is asked to print beyond energy and forces: charges, levels, densities, stress.

PDOS is asked per region of the builder; in a k-point run, where CP2K writes none, DOS takes its place.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.decisions import Decision
from qdip_struct.cp2k.inputs.inputfile import Keyword, Section, find_section, get_values, set_value

if TYPE_CHECKING:
    from ase import Atoms

PRINTABLE = ("stress", "mulliken", "hirshfeld", "pdos", "gap", "density", "hartree", "moments", "orbitals", "bands")
N_EMPTY_STATES = 10
N_EMPTY_BANDS = 4
N_POINTS_PER_LINE = 4
"""Intervals of each line of a band path: the edges of the crystals here lie at its ends."""


def fill_prints(
    tree: Section, wanted: Sequence[str], *, atoms: "Atoms", kpoints: bool, stride: int = 2
) -> tuple[list[Decision], tuple[str, ...]]:
    """Add print sections.

    Parameters
    ----------
    tree
        The input.
    wanted
        Words of ``PRINTABLE``.
    atoms
        The structure; its array ``region`` makes one PDOS list a region.
    kpoints
        Whether the run samples k-points.
    stride
        Every how many grid points a cube file has a value, along each direction.

    Returns
    -------
    decisions, regions
        Regions in the order of CP2K's lists (``list1``, ``list2``, ...), empty without PDOS.

    Raises
    ------
    UsageError
        For an unknown word or a stride below 1.
    """
    unknown = [word for word in wanted if word not in PRINTABLE]
    if unknown:
        raise UsageError(f"cannot print '{unknown[0]}'; known: {', '.join(PRINTABLE)}")
    if stride < 1:
        raise UsageError(f"the stride of cube files is a positive whole number, not {stride}")
    decisions: list[Decision] = []
    regions: tuple[str, ...] = ()
    printing = "FORCE_EVAL/DFT/PRINT"
    for word in dict.fromkeys(wanted):
        if word == "stress":
            if not get_values(tree, "FORCE_EVAL/STRESS_TENSOR"):
                set_value(tree, "FORCE_EVAL/STRESS_TENSOR", "ANALYTICAL")
            _switch(tree, "FORCE_EVAL/PRINT", "STRESS_TENSOR")
        elif word in ("mulliken", "hirshfeld", "moments"):
            _switch(tree, printing, word.upper())
        elif word in ("density", "hartree"):
            section = _switch(tree, printing, {"density": "E_DENSITY_CUBE", "hartree": "V_HARTREE_CUBE"}[word])
            section.entries.append(Keyword("STRIDE", f"{stride} {stride} {stride}"))
        elif word == "bands":
            if not kpoints:
                raise UsageError("bands need a run with k-points (--kpoints); at Γ alone print 'pdos' or 'gap'")
            decisions.append(_bands(_switch(tree, printing, "BAND_STRUCTURE", parameter=""), tree, atoms))
        elif word == "orbitals" and not kpoints:
            _orbitals(_switch(tree, printing, "MO_CUBES"), stride)
        elif kpoints:
            _switch(tree, printing, "DOS")
            reason = "CP2K writes neither PDOS nor gaps in a k-point run; --print bands gives its band edges"
            decisions.append(Decision("levels", "DOS", reason))
        elif word == "gap":
            section = _switch(tree, printing, "MO_CUBES")
            if section.entries:
                continue
            section.entries += [Keyword("NHOMO", "1"), Keyword("NLUMO", "1"), Keyword("WRITE_CUBE", "F")]
        else:
            regions = _fill_pdos(_switch(tree, printing, "PDOS"), atoms)
            lists = ", ".join(f"list {number} {region}" for number, region in enumerate(regions, start=1))
            decisions.append(Decision("PDOS", lists or "per kind", "one list for each region of the builder"))
    return decisions, regions


def _bands(section: Section, tree: Section, atoms: "Atoms") -> Decision:
    """Bands along the lines of the cell's Brillouin zone; what an own template says about them stays."""
    if section.entries:
        return Decision("bands", "as in the template", "the template has a band structure of its own")
    path = atoms.cell.bandpath(npoints=0)
    project = (get_values(tree, "GLOBAL/PROJECT") or ["run"])[0]
    section.entries += [Keyword("ADDED_MOS", str(N_EMPTY_BANDS)), Keyword("FILE_NAME", f"{project}-bands.bs")]
    for piece in path_pieces(path.path):
        points = [
            Keyword("SPECIAL_POINT", " ".join([name, *(f"{x:.8f}" for x in path.special_points[name])]))
            for name in piece
        ]
        count = Keyword("NPOINTS", str(N_POINTS_PER_LINE))
        section.entries.append(Section("KPOINT_SET", "", [Keyword("UNITS", "B_VECTOR"), count, *points]))
    reason = "a Monkhorst-Pack mesh need not hold the band edges; the high-symmetry points do for cubic crystals"
    return Decision("bands", path.path, reason)


def path_pieces(path: str) -> list[list[str]]:
    """The continuous lines of a band path: ``GXM,MR1`` → [[G, X, M], [M, R1]]."""
    return [re.findall(r"[A-Za-z]\d*", piece) for piece in path.split(",")]


def _orbitals(section: Section, stride: int) -> None:
    """HOMO and LUMO as cube files; what an own template says about them stays."""
    if any(entry.name == "STRIDE" for entry in section.entries if isinstance(entry, Keyword)):
        return
    section.entries[:] = [
        Keyword("NHOMO", "1"),
        Keyword("NLUMO", "1"),
        Keyword("WRITE_CUBE", "T"),
        Keyword("STRIDE", f"{stride} {stride} {stride}"),
    ]


def _switch(tree: Section, place: str, name: str, *, parameter: str = "ON") -> Section:
    parent = find_section(tree, place, create=True)
    assert parent is not None
    found = parent.sections(name)
    if found:
        return found[0]
    section = Section(name, parameter)
    parent.entries.append(section)
    return section


def _fill_pdos(section: Section, atoms: "Atoms") -> tuple[str, ...]:
    if section.entries:
        return ()
    section.entries += [Keyword("NLUMO", str(N_EMPTY_STATES)), Keyword("COMPONENTS", "T")]
    if "region" not in atoms.arrays:
        return ()
    labels = [str(label) for label in atoms.arrays["region"]]
    regions = tuple(sorted(set(labels)))
    for region in regions:
        chosen = [index for index, label in enumerate(labels) if label == region]
        section.entries.append(Section("LDOS", "", [Keyword("LIST", text) for text in list_lines(chosen)]))
    return regions


def list_lines(indices: Sequence[int], *, width: int = 100) -> list[str]:
    """0-based indices as the values of CP2K ``LIST`` keywords, 1-based ranges: 0, 1, 2, 5 → ``1..3 6``."""
    runs: list[list[int]] = []
    for index in sorted(set(indices)):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    lines = [""]
    for first, last in runs:
        word = f"{first + 1}" if first == last else f"{first + 1}..{last + 1}"
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]
