"""Finished runs read right, every time, or not at all: real runs, damaged runs, other versions' wordings."""

import bz2
import gzip
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import units as ase_units
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdip_struct.base.cp2k_input import parse_input
from qdip_struct.base.errors import DataError, NotTaken
from qdip_struct.cp2k.inputs.sections import named_functional
from qdip_struct.cp2k.outputs.output import output_files, read_run, read_runs
from qdip_struct.cp2k.outputs.run import Run

RUNS = Path(__file__).parents[1] / "data" / "cp2k_runs"
FINISHED = Path(__file__).parents[2] / "workflows" / "interface_energy" / "reference" / "runs"
STATUS = {
    "energy": "done",
    "ot_outer": "done",
    "uks": "done",
    "cubes": "done",
    "geo_done": "done",
    "cell_done": "done",
    "md": "done",
    "restarted": "done",
    "geo_max": "max_steps",
    "unconverged": "scf_unconverged",
    "walltime_scf": "walltime",
    "walltime_geo": "walltime",
    "bad_keyword": "aborted",
    "no_basis": "aborted",
    "odd": "aborted",
    "ot_kpoints": "aborted",
    "killed": "truncated",
    "disk_full": "truncated",
}
FEW = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def text_of(name: str) -> bytes:
    return (RUNS / name / "run.out").read_bytes()


def printed_energies(text: bytes) -> list[float]:
    """Every complete ``ENERGY|`` value of the text, in hartree, without any parsing of ours."""
    whole = text[: text.rfind(b"\n") + 1].decode("latin-1").splitlines()
    return [float(line.split()[-1]) for line in whole if line.startswith(" ENERGY| Total FORCE_EVAL")]


def converged_energies(text: bytes) -> set[float]:
    """The energies that follow a word of convergence and no later word of failure: a plain walk over the lines."""
    good = False
    found = set()
    for line in text[: text.rfind(b"\n") + 1].decode("latin-1").splitlines():
        if "SCF run converged in" in line or "outer SCF loop converged" in line:
            good = True
        if "NOT converged" in line or "FAILED to converge" in line or "SCF WAVEFUNCTION" in line:
            good = False
        if line.startswith(" ENERGY| Total FORCE_EVAL"):
            if good:
                found.add(float(line.split()[-1]))
            good = False
    return found


def write(tmp_path: Path, text: bytes, name: str = "run.out") -> Path:
    path = tmp_path / name
    path.write_bytes(text)
    return path


def read_or_refuse(path: Path) -> Run | None:
    try:
        return read_run(path)
    except DataError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return None


@pytest.mark.parametrize(("name", "status"), STATUS.items())
def test_status_of_every_way_to_end(name: str, status: str) -> None:
    run = read_run(RUNS / name)
    assert run.status == status
    assert (run.reason == "") == (status == "done")


@pytest.mark.parametrize("name", STATUS)
def test_energy_is_the_last_converged_one_to_every_digit(name: str) -> None:
    texts = [path.read_bytes() for path in output_files(RUNS / name)]
    printed = [energy for text in texts for energy in printed_energies(text)]
    good = [energy for energy in printed if any(energy in converged_energies(text) for text in texts)]
    run = read_run(RUNS / name)
    assert run.energy_ev == (pytest.approx(good[-1] * ase_units.Hartree, rel=1e-15) if good else None)
    assert run.last_printed_energy_ev == (
        pytest.approx(printed[-1] * ase_units.Hartree, rel=1e-15) if printed else None
    )
    assert len(run.steps) == len(printed)


def test_a_half_converged_energy_is_printed_but_never_returned() -> None:
    for name in ("unconverged", "walltime_scf"):
        run = read_run(RUNS / name)
        assert run.energy_ev is None
        assert run.last_printed_energy_ev is not None
        assert run.scf_converged is False
        assert run.forces is None
        assert run.gap_ev is None


def test_walltime_in_a_geometry_step_keeps_the_step_before() -> None:
    first = read_run(RUNS / "restarted" / "run.out")
    assert first.status == "walltime"
    assert [step.scf_converged for step in first.steps] == [True, True, False]
    assert first.energy_ev == first.steps[1].energy_ev
    assert first.last_printed_energy_ev == first.steps[2].energy_ev
    assert first.n_scf_unconverged == 1


def test_segments_join_into_one_history() -> None:
    first, second, both = (read_run(RUNS / "restarted" / name) for name in ("run.out", "run.out.2", ""))
    assert both.status == second.status == "done"
    assert both.energy_ev == second.energy_ev
    assert both.n_segments == 2
    assert len(both.steps) == len(first.steps) + len(second.steps)
    assert both.n_geo_steps == second.n_geo_steps == 5
    assert both.wall_time_s == pytest.approx(first.wall_time_s + second.wall_time_s)


def test_two_headers_in_one_file_are_two_segments(tmp_path: Path) -> None:
    folder = RUNS / "restarted"
    appended = write(tmp_path, (folder / "run.out").read_bytes() + (folder / "run.out.2").read_bytes())
    joined, apart = read_run(appended), read_run(folder)
    assert {**joined.to_dict(), "path": ""} == {**apart.to_dict(), "path": ""}


def test_a_run_appended_to_another_is_not_mixed_with_it(tmp_path: Path) -> None:
    run = read_run(write(tmp_path, text_of("energy") + text_of("uks")))
    alone = read_run(RUNS / "uks")
    assert run.energy_ev == alone.energy_ev
    assert run.n_segments == 1
    assert any("other runs" in warning for warning in run.warnings)


def test_a_restart_that_wrote_nothing_yet_is_truncated(tmp_path: Path) -> None:
    write(tmp_path, text_of("restarted"))
    write(tmp_path, b"", "run.out.2")
    run = read_run(tmp_path)
    assert run.status == "truncated"
    assert run.project == "run"
    assert run.energy_ev == read_run(RUNS / "restarted" / "run.out").energy_ev


def test_forces_are_the_printed_ones_in_ev_per_angstrom() -> None:
    rows = re.findall(r"^ +\d+ +1 +H ((?: +[-.\d]+){3})$", text_of("energy").decode(), re.MULTILINE)
    expected = np.array([[float(word) for word in row.split()] for row in rows]) * ase_units.Hartree / ase_units.Bohr
    run = read_run(RUNS / "energy")
    np.testing.assert_allclose(run.forces, expected, rtol=1e-15)
    assert run.max_force_ev_per_angstrom == pytest.approx(np.linalg.norm(expected, axis=1).max())
    assert run.max_force_measure == "norm"


def test_stress_is_the_printed_one_in_gpa() -> None:
    rows = re.findall(r"^ STRESS\| +[xyz]((?: +[-+.\dE]+){3})$", text_of("energy").decode(), re.MULTILINE)[:3]
    np.testing.assert_array_equal(read_run(RUNS / "energy").stress_gpa, [[float(w) for w in r.split()] for r in rows])


def test_settings_are_what_cp2k_printed() -> None:
    found = read_run(RUNS / "energy").settings
    assert found.functional == "PBE"
    assert found.basis == {"H": "SZV-MOLOPT-SR-GTH"}
    assert found.potential == {"H": "GTH-PBE-q1"}
    assert (found.cutoff_rydberg, found.rel_cutoff_rydberg) == (150.0, 30.0)
    assert (found.spin, found.multiplicity, found.charge) == ("RKS", 1, 0)
    assert found.kpoints is None
    assert read_run(RUNS / "ot_kpoints").settings.kpoints == (2, 2, 2)
    assert read_run(RUNS / "uks").settings.spin == "UKS"
    assert read_run(RUNS / "uks").settings.multiplicity == 2
    assert read_run(RUNS / "cubes").settings.surface_dipole
    assert not found.surface_dipole


def test_charges_spin_and_dipole() -> None:
    atom = read_run(RUNS / "uks")
    assert atom.spin_moments == pytest.approx([1.0], abs=1e-5)
    assert atom.mulliken_charges == pytest.approx([0.0], abs=1e-5)
    molecule = read_run(RUNS / "energy")
    assert molecule.mulliken_charges.sum() == pytest.approx(0.0, abs=1e-5)
    assert molecule.hirshfeld_charges.shape == (2,)
    assert molecule.spin_moments is None
    line = re.search(rb"X= *(\S+) Y= *(\S+) Z= *(\S+)", text_of("energy"))
    assert line is not None
    np.testing.assert_array_equal(molecule.dipole_debye, [float(word) for word in line.groups()])


def test_gap_cell_time_and_memory() -> None:
    run = read_run(RUNS / "cubes")
    gap = re.findall(rb"HOMO - LUMO gap \[eV\] : +(\S+)", text_of("cubes"))[-1]
    assert run.gap_ev == float(gap)
    np.testing.assert_allclose(run.cell, np.diag([3.2, 3.2, 6.6]))
    assert run.wall_time_s == float(re.findall(rb"^ CP2K +1 +1\.0.* (\S+)$", text_of("cubes"), re.MULTILINE)[-1])
    assert run.peak_memory_mib is not None


def test_optimisations_say_whether_they_converged() -> None:
    done, stopped = read_run(RUNS / "geo_done"), read_run(RUNS / "geo_max")
    assert (done.geo_converged, stopped.geo_converged) == (True, False)
    assert (done.n_geo_steps, stopped.n_geo_steps) == (5, 2)
    assert done.max_force_ev_per_angstrom < stopped.max_force_ev_per_angstrom
    assert read_run(RUNS / "energy").geo_converged is None
    assert done.forces is not None


def test_convergence_criteria_of_the_last_step() -> None:
    done, stopped = read_run(RUNS / "geo_done").criteria, read_run(RUNS / "geo_max").criteria
    assert done.keys() == stopped.keys()
    assert all(test.met and test.value <= test.limit for test in done.values())
    assert not all(test.met for test in stopped.values())
    assert all(test.met == (test.value <= test.limit) for test in stopped.values())
    assert done["max_gradient_ev_per_angstrom"].limit == pytest.approx(2e-3 * ase_units.Hartree / ase_units.Bohr)
    assert done["max_step_angstrom"].limit == pytest.approx(0.02 * ase_units.Bohr)
    pressure = read_run(RUNS / "cell_done").criteria["pressure_deviation_gpa"]
    assert pressure.limit == pytest.approx(10.0)
    assert read_run(RUNS / "energy").criteria == {}


def test_an_unreadable_segment_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, b"mpirun was unable to find the executable\n")
    write(tmp_path, text_of("energy"), "run.out.2")
    assert read_run(tmp_path).status == "done"
    write(tmp_path, b"mpirun was unable to find the executable\n", "run.out.3")
    run = read_run(tmp_path)
    assert run.status == "truncated"
    assert "run.out.3 is not a CP2K output" in run.reason
    assert run.energy_ev == read_run(RUNS / "energy").energy_ev
    write(tmp_path, b"nothing\n", "run.out.2")
    assert read_or_refuse(tmp_path) is None


def test_the_cell_is_that_of_the_last_step() -> None:
    text = text_of("cell_done").decode()
    volume = float(re.findall(r"^ CELL\| Volume \[angstrom\^3\]: +(\S+)$", text, re.MULTILINE)[-1])
    run = read_run(RUNS / "cell_done")
    assert np.linalg.det(run.cell) == pytest.approx(volume, rel=1e-5)
    assert np.linalg.det(run.cell) != pytest.approx(125.0, rel=1e-6)


def test_abort_reasons_are_cp2ks_own_words() -> None:
    assert "Use the LSD option for an odd number of electrons" in read_run(RUNS / "odd").reason
    assert "unknown keyword NOT_A_KEYWORD in section DFT" in read_run(RUNS / "bad_keyword").reason
    assert "OT not possible with kpoint calculations" in read_run(RUNS / "ot_kpoints").reason
    reason = read_run(RUNS / "no_basis").reason
    assert "The requested basis set <DZVP-NOT-THERE> for element <H> was not found in the basis set files" in reason
    assert "<BASIS_MOLOPT>" in reason


def test_warnings_carry_their_text() -> None:
    assert read_run(FINISHED / "film").warnings == ()
    (doubt,) = read_run(RUNS / "energy").warnings
    assert "CUTOFF 150 Ry" in doubt
    assert any("SCF run NOT converged" in warning for warning in read_run(RUNS / "unconverged").warnings)
    text = read_run(RUNS / "ot_kpoints").warnings[0]
    assert text.endswith("MO derivative methods flag has been switched off for kpoint calculation")


@pytest.mark.parametrize("name", ["energy", "restarted", "unconverged", "geo_done", "no_basis"])
def test_cut_after_every_line_it_is_truncated_or_refused(name: str, tmp_path: Path) -> None:
    lines = text_of(name).splitlines(keepends=True)
    end = next((i for i, line in enumerate(lines) if b"PROGRAM ENDED" in line), len(lines))
    abort = next((i for i, line in enumerate(lines) if b"[ABORT]" in line), len(lines))
    whole = b"".join(lines)
    good = {energy * ase_units.Hartree for energy in converged_energies(whole)}
    for count in range(0, min(end, abort), 1 if len(lines) < 900 else 7):
        run = read_or_refuse(write(tmp_path, b"".join(lines[:count])))
        if run is not None:
            assert run.status == "truncated"
            assert run.energy_ev is None or run.energy_ev in good


@FEW
@given(cut=st.integers(min_value=0), name=st.sampled_from(sorted(STATUS)))
def test_cut_at_any_byte_no_number_is_invented(cut: int, name: str, tmp_path: Path) -> None:
    text = text_of(name)
    piece = text[: cut % (len(text) + 1)]
    run = read_or_refuse(write(tmp_path, piece))
    if run is not None:
        printed = {energy * ase_units.Hartree for energy in printed_energies(piece)}
        good = {energy * ase_units.Hartree for energy in converged_energies(text)}
        assert run.energy_ev is None or run.energy_ev in good
        assert run.last_printed_energy_ev is None or run.last_printed_energy_ev in printed
        assert run.n_atoms in (None, 1, 2)
        assert run.status != "done" or b"PROGRAM ENDED AT" in piece


@FEW
@given(data=st.data(), name=st.sampled_from(sorted(STATUS)))
def test_damaged_bytes_do_no_harm(data: st.DataObject, name: str, tmp_path: Path) -> None:
    text = bytearray(text_of(name))
    places = data.draw(st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=400))
    for place in places:
        text[place] = data.draw(st.integers(0, 255))
    run = read_or_refuse(write(tmp_path, bytes(text)))
    if run is not None:
        run.to_dict()
        assert run.energy_ev is None or np.isfinite(run.energy_ev)


@pytest.mark.parametrize("word", [b"SCF run converged in", b"ENERGY| Total FORCE_EVAL"])
def test_a_damaged_word_of_convergence_gives_no_energy(word: bytes, tmp_path: Path) -> None:
    run = read_run(write(tmp_path, text_of("energy").replace(word, b"#" * len(word))))
    assert run.energy_ev is None


@pytest.mark.parametrize("value", [b"NaN", b"********", b"-1.16.017", b"1e999", b"-Infinity", b""])
def test_a_damaged_energy_is_no_energy(value: bytes, tmp_path: Path) -> None:
    text = re.sub(rb"(energy \[a\.u\.\]: +)-\d+\.\d+", rb"\g<1>" + value, text_of("energy"))
    run = read_run(write(tmp_path, text))
    assert run.energy_ev is None
    assert run.last_printed_energy_ev is None


def test_an_energy_that_contradicts_its_scf_is_told(tmp_path: Path) -> None:
    text = re.sub(rb"(energy \[a\.u\.\]: +)-1\.1", rb"\g<1>-1.7", text_of("energy"))
    assert any("differs from the SCF" in warning for warning in read_run(write(tmp_path, text)).warnings)
    assert not any("differs" in warning for name in STATUS for warning in read_run(RUNS / name).warnings)


def test_a_damaged_force_row_gives_no_forces(tmp_path: Path) -> None:
    text = text_of("energy")
    assert read_run(write(tmp_path, text.replace(b"      2      1      H ", b"      2      1      ? "))).forces is None


def test_line_ends_and_encodings(tmp_path: Path) -> None:
    text = text_of("energy")
    plain = read_run(write(tmp_path, text))
    for changed in (
        text.replace(b"\n", b"\r\n"),
        text.replace(b"<unknown>", b"Andr\xe9    "),
        text.replace(b"<unknown>", "Jürgen  ".encode()),
        b"\xef\xbb\xbf" + text,
        b"slurm prologue: job 12 starts\n" + text + b"slurm epilogue\n",
    ):
        run = read_run(write(tmp_path, changed))
        assert (run.status, run.energy_ev, run.settings) == (plain.status, plain.energy_ev, plain.settings)
        np.testing.assert_array_equal(run.forces, plain.forces)
        np.testing.assert_array_equal(run.stress_gpa, plain.stress_gpa)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0" * 300_000,
        b"x" * 300_000,
        b"srun: error: node1: task 0: Exited with exit code 1\nslurmstepd: error: *** JOB 7 CANCELLED ***\n",
        (RUNS / "cubes" / "run-v_hartree-1_0.cube").read_bytes(),
        (RUNS / "energy" / "run.inp").read_bytes(),
        (RUNS / "md" / "run-pos-1.xyz").read_bytes(),
        "Ergebnisse für André\n".encode("latin-1") * 100,
        text_of("energy").decode().encode("utf-16"),
    ],
)
def test_what_is_not_cp2ks_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    assert read_or_refuse(write(tmp_path, content)) is None


def test_compressed_and_special_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unpack it first"):
        read_run(write(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(range(256)) * 8))
    with pytest.raises(DataError, match="packed text is cut or damaged"):
        read_run(write(tmp_path, gzip.compress(text_of("energy"))[:-200]))
    with pytest.raises(DataError, match="UTF-8"):
        read_run(write(tmp_path, text_of("energy").decode().encode("utf-16")))
    pipe = tmp_path / "pipe.out"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="neither a file nor a folder"):
        read_run(pipe)


def test_missing_paths_and_folders_without_a_run_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        assert read_or_refuse(path) is None
    write(tmp_path, text_of("energy"), "a.out")
    assert read_run(tmp_path).status == "done"
    write(tmp_path, text_of("energy"), "b.out")
    with pytest.raises(DataError, match="name the files"):
        read_run(tmp_path)


@pytest.mark.parametrize("count", [2, 3])
def test_a_folder_of_outputs_that_are_not_cp2ks_is_no_run(count: int, tmp_path: Path) -> None:
    for number in range(1, count + 1):
        write(tmp_path, b"shopping list\n", "run.out" if number == 1 else f"run.out.{number}")
    with pytest.raises(DataError, match=f"{count} outputs"):
        read_run(tmp_path)


def test_many_paths_never_stop_at_a_bad_one(tmp_path: Path) -> None:
    results = read_runs([RUNS / "energy", tmp_path / "nothing", RUNS / "geo_max"])
    assert [type(result) for result in results] == [Run, NotTaken, Run]


def test_text_before_a_killed_start_is_cp2ks(tmp_path: Path) -> None:
    run = read_run(write(tmp_path, b" DBCSR| Multiplication driver                      XSMM\n"))
    assert (run.status, run.energy_ev, run.cp2k_version) == ("truncated", None, None)


@pytest.mark.slow
def test_a_gigabyte_of_zeros_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.out"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
    assert read_or_refuse(path) is None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak memory")
def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    text = text_of("geo_done")
    first, last = text.index(b" SCF WAVEFUNCTION"), text.index(b" --------  Informations at step")
    path = tmp_path / "run.out"
    with path.open("wb") as stream:
        stream.write(text[:last])
        for _ in range(100_000_000 // (last - first)):
            stream.write(text[first:last])
        stream.write(text[last:])
    code = (
        "import re, sys; from pathlib import Path; from qdip_struct.cp2k.outputs.output import read_run;"
        "run = read_run(Path(sys.argv[1])); assert run.status == 'done' and len(run.steps) > 10_000;"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text()).group(1))"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 50_000


@pytest.mark.parametrize("folder", [path.parent.name for path in sorted(RUNS.glob("*/run.inp"))])
def test_an_input_names_its_functional_as_its_output_does(folder: str) -> None:
    run = read_run(RUNS / folder)
    if run.settings.functional is not None:
        assert named_functional(parse_input((RUNS / folder / "run.inp").read_text())) == run.settings.functional


def _same(one: Run, other: Run) -> None:
    assert {**one.to_dict(), "path": ""} == {**other.to_dict(), "path": ""}
    assert one.forces is not None
    np.testing.assert_array_equal(one.forces, other.forces)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_packed_output_is_read_like_the_plain_one(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    _same(read_run(write(tmp_path, pack(text_of("energy")))), read_run(RUNS / "energy"))


@pytest.mark.parametrize(
    "label", [b"0:", b"[0]", b"[1,0]<stdout>:", b"2026-11-29 12:00:00.123", b"[2026-11-29T12:00:00]", b"\x1b[32m"]
)
def test_ranks_times_and_colours_before_every_line_are_taken_off(label: bytes, tmp_path: Path) -> None:
    lines = text_of("energy").split(b"\n")
    end = b"\x1b[0m" if label.startswith(b"\x1b") else b""
    space = b"" if label.startswith(b"\x1b") or label.endswith(b">:") else b" "
    text = b"\n".join(label + space + line + end if line else line for line in lines)
    _same(read_run(write(tmp_path, b"srun: job 12 queued\n" + text)), read_run(RUNS / "energy"))
