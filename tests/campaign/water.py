"""A real CP2K run of about a second for fault tests: one water molecule, GFN1-xTB, a geometry optimisation."""

import re
from dataclasses import replace
from pathlib import Path

from ase import Atoms

from qdip_struct.base.files import provenance
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.request import InputsRequest
from qdip_struct.runs.run_draft import draft_run, write_run_folder
from qdip_struct.runs.rundir import RunFolder

_INPUT = """\
&GLOBAL
  RUN_TYPE {task}
  PRINT_LEVEL LOW
  PROJECT run
&END GLOBAL
&FORCE_EVAL
  METHOD QUICKSTEP
  &DFT
    &QS
      METHOD xTB
    &END QS
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF 1.0E-7
      MAX_SCF 100
    &END SCF
  &END DFT
  &SUBSYS
    &CELL
      ABC 8.0 8.0 8.0
    &END CELL
    &COORD
{rows}
    &END COORD
  &END SUBSYS
&END FORCE_EVAL
&MOTION
  &GEO_OPT
    OPTIMIZER BFGS
    MAX_FORCE 2.0E-5
    MAX_ITER 100
    &BFGS
      TRUST_RADIUS [angstrom] {trust_radius}
    &END BFGS
  &END GEO_OPT
&END MOTION
"""
SHORT_STEPS = 0.001
"""Trust radius (Å) for runs that are stopped halfway."""
SAME_EV = 1e-5
"""Two optimisations to MAX_FORCE 2E-5 end within this."""


def water(path: Path, *, task: str = "GEO_OPT", bond: float = 1.05, trust_radius: float = 0.25) -> RunFolder:
    """A run folder of a water molecule, one of whose bonds is stretched to ``bond`` Å along y.

    With CP2K's own trust radius (Å) it converges in seven steps, within a fifth of a second: a signal meant for the
    middle can meet a finished run. :data:`SHORT_STEPS` makes some fifty of them, to the same minimum.
    """
    positions = [[4.0, 4.0, 4.0], [4.0, 4.0 + 0.8 * bond, 4.0 + 0.6 * bond], [4.0, 3.24, 4.59]]
    atoms = Atoms("OH2", positions=positions, cell=[8.0] * 3, pbc=True)
    rows = "\n".join(
        f"      {symbol} {x:.6f} {y:.6f} {z:.6f}"
        for symbol, (x, y, z) in zip(atoms.get_chemical_symbols(), positions, strict=True)
    )
    deck = make_deck(atoms, InputsRequest(preset="quick"))
    deck = replace(deck, text=_INPUT.format(task=task, rows=rows, trust_radius=trust_radius))
    record = provenance("inputs", {})
    return write_run_folder(path, draft_run(atoms, deck=deck, role="single", group="water", provenance=record))


def energies_printed(folder: Path) -> int:
    """How many energies all segments of a run have printed."""
    outputs = [folder / "run.out", *folder.glob("run.out.*")]
    return sum(len(re.findall(r"ENERGY\| Total", out.read_text(errors="replace"))) for out in outputs if out.exists())
