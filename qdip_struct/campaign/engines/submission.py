"""What an engine answers when runs are handed to it."""

from dataclasses import dataclass
from typing import Literal, get_args

Engine = Literal["local", "sbatch", "aiida"]
ENGINES: tuple[str, ...] = get_args(Engine)


@dataclass(frozen=True)
class Submission:
    """Runs that were handed over.

    Attributes
    ----------
    engine
        Who has them now.
    job_ids
        Names under which the engine knows them (Slurm job numbers, AiiDA node numbers); none for ``local``, which has
        brought the runs to their end when it answers.
    n_runs
        How many runs were handed over; those already done are not among them.
    note
        What a person should know or do next, one line.
    """

    engine: Engine
    job_ids: tuple[str, ...]
    n_runs: int
    note: str
