"""The page of a study: warnings first, then the question, and one section for each kind of data the study holds."""

from collections.abc import Callable

from qdip_struct.report.html import Page
from qdip_struct.report.memory import Memory
from qdip_struct.report.sections import (
    charge,
    diffraction,
    energies,
    levels,
    misfit,
    question,
    runs,
    strain,
    structures,
)
from qdip_struct.report.study import Study

SECTIONS: tuple[Callable[[Page, Study, Memory], None], ...] = (
    question.add_question,
    structures.add_structures,
    energies.add_energies,
    misfit.add_misfit,
    strain.add_strain,
    charge.add_charge,
    levels.add_levels,
    diffraction.add_diffraction,
    runs.add_runs,
    runs.add_provenance,
)
"""What follows the warnings, in order. A section without data adds nothing."""


def study_page(study: Study, *, title: str | None = None, memory: Memory | None = None) -> str:
    """The whole page as HTML text.

    Parameters
    ----------
    study
        What the folder holds.
    title
        Of the page; default the folder's name.
    memory
        Where to keep what was computed; default nowhere.
    """
    kept = memory or Memory(None)
    page = Page(title or f"qdip study: {study.path.resolve().name}")
    runs.add_cautions(page, study, kept)
    page.contents()
    for add in SECTIONS:
        add(page, study, kept)
    return page.text()
