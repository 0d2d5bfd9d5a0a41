"""The question of the study, and what it found in a few lines."""

from qdip_struct.analysis.strain.strain_summary import StrainDocument
from qdip_struct.builders.roles import role_of
from qdip_struct.report.html import MANY, Page, count_of, fixed
from qdip_struct.report.memory import Memory
from qdip_struct.report.sections.energies import ranked
from qdip_struct.report.sections.misfit import zero_misfit_text
from qdip_struct.report.study import Study


def add_question(page: Page, study: Study, memory: Memory) -> None:
    """The question as given, or what kind of questions the data can answer; then the answers."""
    del memory
    page.heading("The question")
    page.paragraph(study.question or _implied(study))
    answers = [*_misfits(study), *_energies(study), *_strains(study)]
    if answers:
        page.paragraph("In brief:")
        page.listing(answers)
    if study.runs:
        done = sum(state.status == "done" for state in study.runs)
        groups = len({state.folder.group for state in study.runs})
        page.paragraph(f"{count_of(len(study.runs), 'run')} in {count_of(groups, 'group')}, {done} done.")


def _implied(study: Study) -> str:
    asked = []
    if study.screens:
        pairs = dict.fromkeys(f"{screen['dot']['name']} in {screen['matrix']['name']}" for screen in study.screens)
        asked.append(f"at which composition do the lattices of {', '.join(pairs)} meet")
    kinds = {role_of(state.folder.role).kind for state in study.runs}
    if "interface" in kinds:
        asked.append("how strongly do film and substrate bind, and what does their interface cost")
    if "embedded" in kinds or study.of(StrainDocument):
        asked.append("how much of the misfit does the dot feel inside the matrix")
    if not asked:
        asked.append("what do these runs give")
    text = "; ".join(asked)
    return f"{text[0].upper()}{text[1:]}?"


def _misfits(study: Study) -> list[str]:
    return [
        f"{screen['dot']['name']} in {screen['matrix']['name']} ({screen['dataset']}): zero misfit "
        f"{zero_misfit_text(screen)}."
        for screen in study.screens[:MANY]
    ]


def _energies(study: Study) -> list[str]:
    lines = []
    groups = [g for g in ranked(study.energies["groups"]) if g["adsorption_energy_mev_per_angstrom2"] is not None]
    for group in groups[:3]:
        text = f"{group['group']}: work of adhesion {fixed(group['adsorption_energy_mev_per_angstrom2'], 1)} meV/Å²"
        limits = group["interface_energy_limits"]
        if limits:
            found = ", ".join(f"{fixed(i['value_mev_per_angstrom2'], 1)} ({i['reference']})" for i in limits)
            text += f", interface energy {found} meV/Å²"
        lines.append(f"{text}.")
    if len(groups) > 3:
        lines.append(f"{len(groups) - 3} more groups bind less; the ranking is below.")
    return lines


def _strains(study: Study) -> list[str]:
    lines = []
    for result in study.of(StrainDocument)[:MANY]:
        said = result.said
        dot = said.regions.get("dot_core") or said.regions.get("dot")
        if dot is None or dot.mean is None:
            continue
        text = f"{said.structure or study.name(result.path)}: mean {said.measure} strain of the dot"
        text += "'s core" if "dot_core" in said.regions else ""
        text += f" {100 * dot.mean:+.2f} ± {100 * (dot.stderr or 0.0):.2f} %"
        if said.continuum is not None:
            text += f" at a misfit of {100 * said.continuum.misfit:+.1f} %"
        lines.append(f"{text}.")
    return lines
