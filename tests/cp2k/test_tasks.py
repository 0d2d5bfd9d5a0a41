"""The records of the tasks against the templates CP2K reads and the names CP2K prints."""

from pathlib import Path
from typing import get_args

import pytest

from qdip_struct.base.cp2k_input import Section, find_section, get_values, parse_input
from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.presets import list_presets, template_text
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.tasks import TASKS, TaskName, get_task, is_optimisation, is_single_point, task_of


@pytest.mark.parametrize("name", get_args(TaskName))
def test_the_template_of_a_task_asks_for_what_the_record_says(name: str) -> None:
    task, tree = TASKS[name], parse_input(template_text(name))
    assert task_of(get_values(tree, "GLOBAL/RUN_TYPE")[0]) is task
    assert bool(get_values(tree, "FORCE_EVAL/STRESS_TENSOR")) == task.needs_stress
    motion = find_section(tree, "MOTION")
    named = [entry.name for entry in motion.entries if isinstance(entry, Section)] if motion else []
    assert named == ([task.section] if task.section else []) + (["PRINT"] if task.moves == "cell" else [])
    if task.moves == "cell":
        assert get_values(tree, f"MOTION/PRINT/CELL/EACH/{task.section}") == ["1"], "each frame needs its cell"
    assert all(entry in preset.values for _, entry in task.fills for preset in list_presets())


def test_every_task_can_be_asked_for_and_every_run_type_belongs_to_one() -> None:
    assert tuple(TASKS) == get_args(TaskName)
    run_types = [run_type for task in TASKS.values() for run_type in task.run_types]
    assert len(set(run_types)) == len(run_types)
    with pytest.raises(UsageError, match="unknown task 'freeze'; known: energy"):
        get_task("freeze")


def test_what_is_no_task_here_is_neither_a_single_point_nor_an_optimisation() -> None:
    assert is_single_point("ENERGY_FORCE") and is_optimisation("GEOMETRY_OPTIMIZATION")
    for run_type in ("MONTECARLO", None, ""):
        assert not is_single_point(run_type) and not is_optimisation(run_type)


@pytest.mark.parametrize(
    ("run_type", "status", "geo_converged", "moved"),
    [
        ("ENERGY_FORCE", "done", None, False),
        ("GEO_OPT", "done", True, True),
        ("CELL_OPT", "max_steps", False, False),
        ("GEO_OPT", "truncated", True, True),
        (None, "truncated", None, False),
    ],
)
def test_whose_last_geometry_counts(run_type, status, geo_converged, moved) -> None:
    run = Run(path=Path("run.out"), status=status, reason="", run_type=run_type, geo_converged=geo_converged)
    assert run.moved is moved
