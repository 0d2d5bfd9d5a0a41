"""Warnings: what a reader must know before believing a number. They come before everything else."""

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.presets import get_preset
from qdip_struct.report.html import Page
from qdip_struct.report.memory import Memory
from qdip_struct.report.sections.wording import MANY, count_of
from qdip_struct.report.study import SHIPPED, Study
from qdip_struct.runs.rundir import RunFolder


def add_cautions(page: Page, study: Study, memory: Memory) -> None:
    """Shipped runs, unfinished runs, refused combinations, unreadable files; then what the settings cost."""
    del memory
    shipped = [state for state in study.runs if state.folder.record.origin == SHIPPED]
    if shipped:
        page.warning(
            f"{len(shipped)} of the runs on this page were shipped with the package and were not run here. "
            "Their outputs are real, made by CP2K with the inputs shown."
        )
    unfinished = [
        f"{study.name(state.folder.path)} is not finished: {state.status}. {state.reason}"
        for state in study.runs
        if state.status not in ("done", "prepared")
    ]
    _many(page, unfinished, f"{count_of(len(unfinished), 'run')} did not finish and give no energy.")
    prepared = sum(state.status == "prepared" for state in study.runs)
    if prepared:
        page.note(f"{prepared} of {count_of(len(study.runs), 'run')} are prepared and have not been started.")
    inside = f"{study.path}/"
    refused = [
        f"not combined: {', '.join(map(study.name, i['paths']))}: {i['reason'].replace(inside, '')}"
        for i in study.energies["refused"]
    ]
    _many(page, refused, f"{count_of(len(refused), 'combination')} of runs refused.")
    _many(page, [item.reason for item in study.skipped], f"{count_of(len(study.skipped), 'file')} could not be read.")
    for cost in dict.fromkeys(_cost(state.folder) for state in study.runs if state.run is not None):
        if cost:
            page.note(cost)


def _many(page: Page, texts: list[str], summary: str) -> None:
    """Every text as a warning; many of them behind one."""
    if len(texts) <= MANY:
        for text in texts:
            page.warning(text)
        return
    page.warning(summary)
    with page.folded("Each of them with its reason"):
        page.listing(texts)


def _cost(folder: RunFolder) -> str:
    asked = folder.record.parameters
    if asked is None or asked.preset is None:
        return ""
    try:
        preset = get_preset(asked.preset)
    except UsageError:
        return ""
    return f"Settings: preset '{preset.name}' ({preset.about}). What they cost: {preset.cost}."
