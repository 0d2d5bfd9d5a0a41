"""How far a running CP2K is, from the last lines of its output: SCF step, convergence, optimisation step."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TAIL_BYTES = 20_000
_SCF_LINE = re.compile(
    rb"^ *(\d+) (?:OT \w+|\S+/\S+) +\S+ +\S+ +(\d\S*) +-?\d+\.\d{6,} ",
    re.MULTILINE,
)
_STEP_LINE = re.compile(rb"(?:OPTIMIZATION STEP:|OPT\| Step number)\s+(\d+)")


@dataclass(frozen=True)
class Progress:
    """Where a run is; 0 and ``None`` before its first step.

    Attributes
    ----------
    scf_step, geo_step
        Steps of the present SCF and of the optimisation.
    convergence
        Of the last SCF step, as CP2K prints it.
    """

    scf_step: int = 0
    convergence: float | None = None
    geo_step: int = 0

    def __str__(self) -> str:
        """In words, such as ``step 3, SCF 12 (2e-05)``; empty before the first SCF step."""
        parts = [f"step {self.geo_step}"] if self.geo_step else []
        if self.scf_step:
            known = f" ({self.convergence:.0e})" if self.convergence is not None else ""
            parts.append(f"SCF {self.scf_step}{known}")
        return ", ".join(parts)


def read_progress(output: Path) -> Progress:
    """Read the end of an output that is being written; a missing file is no progress."""
    try:
        with output.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            text = stream.read()
    except OSError:
        return Progress()
    scf = _SCF_LINE.findall(text)
    steps = _STEP_LINE.findall(text)
    return Progress(
        scf_step=int(scf[-1][0]) if scf else 0,
        convergence=float(scf[-1][1]) if scf else None,
        geo_step=int(steps[-1]) if steps else 0,
    )
