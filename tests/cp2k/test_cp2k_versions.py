"""Other releases of CP2K: generated inputs pass their ``--check``, small runs end as with 2023.1, and are read.

``QDIP_TEST_CP2K`` names the programs, ``2025.1=/opt/a/cp2k,2026.2=/opt/b/cp2k``; ``make test-cp2k-versions`` finds or
fetches them. Without it these tests are skipped.
"""

import os
import signal
import subprocess
import sys
import time
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from qdip_struct.base.cp2k_input import expand_input, parse_input
from qdip_struct.base.errors import DataError, UsageError
from qdip_struct.base.files import provenance
from qdip_struct.base.units import EV_PER_HARTREE
from qdip_struct.builders.atoms.cells import conventional_cell
from qdip_struct.builders.dot.embed import embed_dot
from qdip_struct.builders.dot.embedding_options import DotForm
from qdip_struct.builders.interface.interface import build_interface
from qdip_struct.campaign.engines.local import run_locally
from qdip_struct.cp2k.inputs.deck import make_deck
from qdip_struct.cp2k.inputs.kinds import data_file
from qdip_struct.cp2k.inputs.preflight import check_input
from qdip_struct.cp2k.inputs.presets import list_presets
from qdip_struct.cp2k.inputs.request import PRINTABLE, InputsRequest
from qdip_struct.cp2k.inputs.schema import load_schema, shipped_schema
from qdip_struct.cp2k.outputs.cube import integral, read_cube
from qdip_struct.cp2k.outputs.output import read_run
from qdip_struct.cp2k.outputs.pdos import read_bands, read_pdos
from qdip_struct.cp2k.outputs.run import Run
from qdip_struct.cp2k.outputs.trajectory import read_cells, side_files
from qdip_struct.cp2k.program import Program, find_program, program_version
from qdip_struct.cp2k.tasks import TASKS
from qdip_struct.materials.datasets import get_crystal
from qdip_struct.runs.collection import write_trajectory
from qdip_struct.runs.run_draft import draft_run, write_run_folder
from qdip_struct.runs.rundir import open_run_folder

SAME_ENERGY_EV = 1e-10 * EV_PER_HARTREE
SMALL = ("FORCE_EVAL/DFT/MGRID/CUTOFF=200", "FORCE_EVAL/DFT/SCF/EPS_SCF=1.0E-7")


def _named() -> dict[str, Path]:
    words = [word for word in os.environ.get("QDIP_TEST_CP2K", "").split(",") if word]
    return {version: Path(path) for version, _, path in (word.partition("=") for word in words)}


pytestmark = [pytest.mark.cp2k_versions, pytest.mark.slow]
every_version = pytest.mark.parametrize("version", list(_named()) or ["none"])


def program_of(version: str) -> Program:
    if version not in _named():
        pytest.skip("QDIP_TEST_CP2K names no other CP2K; see 'make test-cp2k-versions'")
    path = _named()[version]
    assert program_version(str(path)) == version
    return Program(path, version)


@cache
def system(name: str) -> Atoms:
    pbs, bromide = get_crystal("PbS", dataset="pbe_cp2k"), get_crystal("CsPbBr3", dataset="pbe_cp2k")
    if name in ("slab", "interface"):
        cells = build_interface(pbs, bromide)
        return cells.film if name == "slab" else cells.interface
    if name == "dot":
        return embed_dot(pbs, bromide, form=DotForm(diameter=16.0), cells=(5, 5, 5)).atoms
    return conventional_cell(pbs)


@every_version
@pytest.mark.parametrize("name", ["bulk", "slab", "interface", "dot"])
def test_generated_inputs_pass_the_check_of_this_version(version: str, name: str, tmp_path: Path) -> None:
    program = program_of(version)
    extras = (
        {"dispersion": "d3bj", "on_scf_failure": "continue"},
        {"scf": "diagonalization", "charge": 1},
        {"kpoints": "1,1,1", "scf": "ls", "print": ("density",)},
    )
    refused = []
    for task, preset, extra in product(TASKS, [preset.name for preset in list_presets()], extras):
        wanted: dict[str, object] = {"task": task, "preset": preset, "print": PRINTABLE, "stride": 4, **extra}
        try:
            deck = make_deck(system(name), InputsRequest(**wanted), version=version)  # type: ignore[arg-type]
        except UsageError as error:
            assert "bands need a run with k-points" in str(error)
            wanted["print"] = tuple(word for word in PRINTABLE if word != "bands")
            deck = make_deck(system(name), InputsRequest(**wanted), version=version)  # type: ignore[arg-type]
        found = check_input(parse_input(deck.text), schema=load_schema(program))
        assert not [finding for finding in found if finding.level == "error"], (wanted, found)
        (tmp_path / "run.inp").write_text(deck.text)
        words = [str(program.path), "--check", "run.inp"]
        said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        if "SUCCESS" not in said.stdout:
            refused.append((wanted, said.stdout[-1500:]))
    assert not refused


def _folder(place: Path, atoms: Atoms, request: InputsRequest, *, version: str) -> Path:
    deck = make_deck(atoms, request, version=version)
    record = provenance("inputs", {"preset": request.preset})
    write_run_folder(place, draft_run(atoms, deck=deck, role="single", group="g", provenance=record))
    return place


def _ran(place: Path, program: Program) -> Run:
    run_locally([open_run_folder(place)], program=program, cores=1)
    return read_run(place)


def _primitive(*, moved: float = 0.0) -> Atoms:
    """PbS in its cell of two atoms, the second ion moved along (1, 1, 1)/√3 by so many Å."""
    a = 6.0
    cell = [[0.0, a / 2, a / 2], [a / 2, 0.0, a / 2], [a / 2, a / 2, 0.0]]
    shift = moved / np.sqrt(3.0)
    return Atoms("PbS", positions=[[0.0] * 3, [a / 2 + shift] * 3], cell=cell, pbc=True)


@every_version
def test_an_energy_with_all_prints_is_that_of_the_installed_version(
    version: str, cp2k: Program, tmp_path: Path
) -> None:
    program = program_of(version)
    prints = ("stress", "mulliken", "density", "hartree", "bands")
    request = InputsRequest(preset="quick", kpoints="3,3,3", print=prints, set=SMALL, stride=1)
    other = _ran(_folder(tmp_path / "other", _primitive(), request, version=version), program)
    here = _ran(_folder(tmp_path / "here", _primitive(), request, version=cp2k.version), cp2k)
    assert (other.status, here.status) == ("done", "done"), (other.reason, here.reason)
    assert other.energy_ev == pytest.approx(here.energy_ev, abs=SAME_ENERGY_EV)
    assert other.settings == here.settings
    assert other.stress_gpa is not None and here.stress_gpa is not None
    assert np.allclose(other.stress_gpa, here.stress_gpa, atol=1e-3)
    assert other.forces is not None and np.abs(other.forces).max() < 1e-3
    files, files_here = side_files(other), side_files(here)
    density = read_cube(files.cubes["ELECTRON_DENSITY"])
    # Ten valence electrons in a cell of two atoms, on every grid point.
    assert integral(density) == pytest.approx(10.0, abs=1e-3)
    potentials = [read_cube(found.cubes["v_hartree"]).values for found in (files, files_here)]
    assert np.allclose(potentials[0], potentials[1], atol=1e-4)
    assert files.bands is not None and files_here.bands is not None
    bands, bands_here = read_bands(files.bands), read_bands(files_here.bands)
    assert np.allclose(bands.kpoints, bands_here.kpoints, atol=1e-6)
    occupied = slice(0, 5)
    assert np.allclose(bands.energies_ev[:, occupied], bands_here.energies_ev[:, occupied], atol=1e-4)


@every_version
def test_levels_at_gamma_are_read(version: str, cp2k: Program, tmp_path: Path) -> None:
    program = program_of(version)
    atoms = conventional_cell(get_crystal("PbS", dataset="pbe_cp2k"))
    atoms.set_array("region", np.array(["lower" if z < 1.0 else "upper" for z in atoms.positions[:, 2]]))
    request = InputsRequest(preset="quick", kpoints="1,1,1", print=("pdos", "gap"), set=SMALL)
    found = {}
    for one in (program, cp2k):
        place = _folder(tmp_path / one.version, atoms, request, version=one.version)
        run = _ran(place, one)
        assert run.status == "done", run.reason
        files = side_files(run)
        found[one.version] = (run, sorted(map(read_pdos, files.pdos), key=lambda item: item.group))
    (run, groups), (run_here, groups_here) = found[program.version], found[cp2k.version]
    assert run.energy_ev == pytest.approx(run_here.energy_ev, abs=SAME_ENERGY_EV * 100)
    assert run.gap_ev is not None and run.gap_ev == pytest.approx(run_here.gap_ev, abs=1e-3)
    assert [item.group for item in groups] == [item.group for item in groups_here]
    for one, two in zip(groups, groups_here, strict=True):
        occupied = two.occupations > 0
        assert np.allclose(one.energies_ev[occupied], two.energies_ev[occupied], atol=1e-3)
        assert np.allclose(one.weights.sum(), two.weights.sum(), rtol=1e-2)
    lists = [item.weights.sum(axis=1) for item in groups if item.group.startswith("list")]
    assert len(lists) == 2
    kinds = [item.weights.sum(axis=1) for item in groups if not item.group.startswith("list")]
    # Two ways to part the same orbitals, each of norm one.
    assert np.allclose(sum(lists), sum(kinds), atol=1e-4)


@every_version
def test_a_cell_optimisation_is_read_with_the_cell_of_each_step(version: str, cp2k: Program, tmp_path: Path) -> None:
    program = program_of(version)
    request = InputsRequest(
        task="cell_opt", preset="quick", kpoints="3,3,3", set=(*SMALL, "MOTION/CELL_OPT/MAX_ITER=2")
    )
    energies = []
    for one in (program, cp2k):
        place = _folder(tmp_path / one.version, _primitive(), request, version=one.version)
        run = _ran(place, one)
        assert run.status == "max_steps", run.reason
        files = side_files(run)
        assert files.cells is not None and len(read_cells(files.cells)) >= 2
        written = write_trajectory(place)
        assert written is not None and written[1] >= 2
        frames = _frames(written[0])
        assert not np.allclose(frames[0].cell[:], frames[-1].cell[:], atol=1e-6)
        distances = [frame.get_distance(0, 1, mic=True) for frame in frames]
        # In a cubic crystal the ions stay at their sites: half an edge of the cell of eight atoms, (4 V)^(1/3) / 2.
        edges = [(4.0 * frame.get_volume()) ** (1 / 3) / 2 for frame in frames]
        assert distances == pytest.approx(edges, abs=1e-3)
        energies.append(run.energy_ev)
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)


def _frames(path: Path) -> list[Atoms]:
    from ase.io import read

    found = read(path, index=":")
    assert isinstance(found, list)
    return found


_SHORT = "MOTION/GEO_OPT/BFGS/TRUST_RADIUS=[angstrom] 0.01"
"""Four steps of it do not reach the site that is 0.2 Å away."""


@every_version
def test_a_stopped_optimisation_goes_on_where_it_was(version: str, tmp_path: Path) -> None:
    program = program_of(version)
    settings = (*SMALL, "MOTION/GEO_OPT/MAX_ITER=4", "MOTION/GEO_OPT/MAX_FORCE=1E-6", _SHORT)
    request = InputsRequest(task="geo_opt", preset="quick", kpoints="2,2,2", set=settings)
    place = _folder(tmp_path / "run", _primitive(moved=0.2), request, version=version)
    words = [sys.executable, "-m", "qdip_struct.cli.main", "run", str(place), "--nproc", "1"]
    environment = {**os.environ, "QDIP_CP2K": str(program.path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        until = time.monotonic() + 300
        while started.poll() is None and time.monotonic() < until and not (place / "run-1.restart").exists():
            time.sleep(0.05)
        started.send_signal(signal.SIGINT)
        started.wait(timeout=300)
    stopped = read_run(place)
    assert stopped.status == "truncated", stopped.reason
    run = _ran(place, program)
    assert run.n_segments == 2 and run.status == "max_steps", run.reason
    counters = [step.index for step in run.steps if step.index is not None]
    assert counters == sorted(counters) and counters[-1] == 4
    assert run.energy_ev is not None and stopped.steps[0].energy_ev is not None
    assert run.energy_ev < stopped.steps[0].energy_ev


SUITES = {
    version: Path(path)
    for version, _, path in (word.partition("=") for word in os.environ.get("QDIP_CP2K_TESTS", "").split(",") if word)
}
"""Folders of CP2K's own tests by version: ``QDIP_CP2K_TESTS=2026.2=/path/to/cp2k-2026.2/tests``."""
_EVERY = 12
_LONGEST_CHECK_S = 1.0


@pytest.mark.parametrize("version", list(SUITES) or ["none"])
def test_what_cp2k_says_of_its_own_inputs_is_said_here(version: str) -> None:
    """Of Quickstep's inputs that ``cp2k --check`` takes one in a hundred is refused at most; no other is ok."""
    if version not in SUITES:
        pytest.skip("QDIP_CP2K_TESTS names no folder of CP2K's own tests")
    found = find_program()
    program = found if found is not None and found.version == version else program_of(version)
    schema, root = shipped_schema(version), SUITES[version]
    libraries = [root.parent / "data", *([data.parent] if (data := data_file("BASIS_MOLOPT")) else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CP2K_DATA_DIR": str(libraries[0])}
    taken, refused, let_through, seconds = 0, [], [], []
    for path in sorted((root / "QS").rglob("*.inp"))[::_EVERY]:
        words = [str(program.path), "--check", path.name]
        said = subprocess.run(
            words, cwd=path.parent, capture_output=True, text=True, errors="replace", env=environment, check=False
        )
        started = time.process_time()
        try:
            text = path.read_text(errors="replace")
            expanded = expand_input(text, source=path.name, folder=path.parent, libraries=libraries)
            findings = check_input(expanded, schema=schema, folder=path.parent, own_data=False)
            good = not [finding for finding in findings if finding.level == "error"]
        except DataError:
            good = False
        seconds.append(time.process_time() - started)
        taken += "SUCCESS" in said.stdout
        if good != ("SUCCESS" in said.stdout):
            (let_through if good else refused).append(str(path.relative_to(root)))
    # The first ones load ASE and read CP2K's data files.
    assert max(seconds[3:]) < _LONGEST_CHECK_S
    assert taken > 0 and len(refused) <= 0.01 * taken, refused
    assert not let_through
