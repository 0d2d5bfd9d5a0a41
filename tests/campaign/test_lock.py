"""Who holds a run folder: living holders are respected, texts of those who are gone are taken over."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.campaign.engines import lock
from qdip_struct.campaign.engines.lock import FolderBusyError, exclusive, is_busy, read_holder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for squeue: what it prints, its errors, its exit code."""

    def install(out: str = "", *, error: str = "", code: int = 0) -> None:
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "squeue").write_text(f"#!/bin/sh\nprintf '%s' '{out}'\nprintf '%s' '{error}' >&2\nexit {code}\n")
        (tools / "squeue").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    return install


def leave_text(folder: Path, **changes: Any) -> None:
    """What a holder that was killed leaves behind."""
    place = folder / lock.RUN_LOCK
    place.touch()
    text = {
        "host": "elsewhere",
        "boot": "another",
        "processes": {"4242": 17},
        "job": None,
        "restarts": 0,
        "inode": place.stat().st_ino,
    }
    place.write_text(json.dumps({**text, **changes}))


def test_text_names_the_holder_while_it_is_held_and_is_gone_afterwards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "31")
    assert not is_busy(folder)
    with exclusive(folder) as held:
        held.add_process(os.getppid())
        holder = read_holder(folder)
        assert holder is not None
        assert holder.job == "31"
        assert set(holder.processes) == {str(os.getpid()), str(os.getppid())}
        assert is_busy(folder)
        with pytest.raises(FolderBusyError, match=rf"process {os.getpid()} and .*, Slurm job 31"), exclusive(folder):
            pass
    assert read_holder(folder) is None
    assert (folder / lock.RUN_LOCK).read_text() == ""


def test_holder_of_this_host_that_was_killed_is_replaced(folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from qdip_struct.campaign.engines.lock import exclusive\n"
        "with exclusive(Path(sys.argv[1])): os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert read_holder(folder) is not None
    with exclusive(folder):
        pass


@pytest.mark.parametrize("content", ["", "\0" * 50, "{", "[]", '{"host": 1}', "4711\n"])
def test_unreadable_text_stops_nobody(content: str, folder: Path) -> None:
    (folder / lock.RUN_LOCK).write_text(content)
    with exclusive(folder):
        pass


def test_other_host_without_a_job_is_refused_with_the_remedy(folder: Path) -> None:
    leave_text(folder)
    with pytest.raises(FolderBusyError, match=r"process 4242 on elsewhere: .* delete run\.lock"), exclusive(folder):
        pass
    assert is_busy(folder)


@pytest.mark.parametrize(
    ("answer", "busy"),
    [
        ({"out": "RUNNING"}, True),
        ({"out": "COMPLETING"}, True),
        ({"out": "PENDING"}, False),
        ({"out": "CANCELLED"}, False),
        ({"out": ""}, False),
        ({"error": "slurm_load_jobs error: Invalid job id specified", "code": 1}, False),
        ({"error": "Unable to contact slurm controller", "code": 1}, True),
    ],
)
def test_other_host_with_a_job_is_believed_as_long_as_slurm_says_so(
    answer: dict[str, Any], busy: bool, folder: Path, squeue: Any
) -> None:
    leave_text(folder, job="77")
    squeue(**answer)
    assert is_busy(folder) is busy


def test_earlier_life_of_the_same_job_is_over(folder: Path, squeue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a node failure the job runs elsewhere under its old number: the text on the dead node is its own."""
    squeue("RUNNING")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    leave_text(folder, job="77", restarts=0)
    assert not is_busy(folder)
    leave_text(folder, job="77", restarts=1)
    assert is_busy(folder)


def test_copy_of_a_busy_folder_is_free(folder: Path, tmp_path: Path) -> None:
    leave_text(folder)
    shutil.copytree(folder, tmp_path / "copy")
    assert is_busy(folder)
    assert not is_busy(tmp_path / "copy")


def without_kernel_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(stream: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(lock, "_SETTLE_S", 0.0)


def test_without_kernel_locks_the_text_decides(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_kernel_lock(monkeypatch)
    with exclusive(folder), pytest.raises(FolderBusyError, match="is at work"), exclusive(folder):
        pass
    with exclusive(folder) as held:
        mine = held.holder
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leave_text(folder, host=mine.host, boot=mine.boot, processes={str(ended.pid): 1})
    assert not is_busy(folder)
    leave_text(folder, host=mine.host, boot="before the reboot", processes=mine.processes)
    assert not is_busy(folder)


def test_without_kernel_locks_the_last_to_write_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_kernel_lock(monkeypatch)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: leave_text(folder))
    with pytest.raises(FolderBusyError, match="it came first"), exclusive(folder):
        pass
    assert read_holder(folder) is not None, "the winner's text stays"


def test_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write"), exclusive(tmp_path / "none"):
        pass
    assert read_holder(tmp_path / "none") is None


@pytest.mark.parametrize("kind", ["link to a file", "dangling link", "pipe", "folder"])
def test_nothing_is_written_through_what_is_no_plain_file(kind: str, folder: Path, tmp_path: Path) -> None:
    elsewhere, place = tmp_path / "precious", folder / lock.RUN_LOCK
    elsewhere.write_text("precious")
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(elsewhere if kind == "link to a file" else tmp_path / "none")
    with pytest.raises(DataError, match=r"run\.lock: (it is|Is a)") as caught, exclusive(folder):
        pass
    assert "\n" not in str(caught.value)
    assert read_holder(folder) is None
    assert not is_busy(folder)
    assert elsewhere.read_text() == "precious"
    assert not (tmp_path / "none").exists()


def test_a_disk_that_is_full_is_one_error_and_leaves_the_folder_free(folder: Path) -> None:
    """/dev/full takes nothing; a limit on the size of files does the same to a plain one."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from qdip_struct.base.errors import DataError\n"
        "from qdip_struct.campaign.engines.lock import exclusive\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try:\n"
        "    with exclusive(Path(sys.argv[1])): pass\n"
        "except DataError as error: sys.exit(f'said: {error}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == f"said: cannot write the lock {folder / lock.RUN_LOCK}: File too large"
    assert not is_busy(folder)
