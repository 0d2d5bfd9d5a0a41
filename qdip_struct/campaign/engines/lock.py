"""Locks: of a run folder, one CP2K at a time with a text that says who holds it; of a campaign while it is written.

The kernel's lock on ``run.lock`` is that of a run. CP2K inherits it, so it lives exactly as long as anyone works there,
whatever became of the process that started it. The text in the file (host, processes, Slurm job) serves where the
kernel's lock does not reach: file systems without it, and other hosts of a network file system.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from qdip_struct.base.errors import DataError, ToolError

RUN_LOCK = "run.lock"
NO_OTHER_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags of a file that somebody else may have put a link or a pipe in the place of."""
_SETTLE_S = 0.5
_GLANCE_S = 1.0
"""A lock is tried again for so long: whoever only looks whether it is free holds it for a moment, a run for minutes."""
_RETRY_S = 0.02
_SQUEUE_TIMEOUT_S = 60
_NO_KERNEL_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


class FolderBusyError(ToolError):
    """Another CP2K is at work in the folder."""


@dataclass(frozen=True)
class Holder:
    """Who works in a run folder.

    Attributes
    ----------
    host, boot
        Name of the machine and the identifier of its last start.
    processes
        Process numbers and when each started, in the kernel's ticks since boot.
    job, restarts
        Slurm's number of the job, and how often it had been queued again.
    inode
        Number of the lock file itself, the same on every host of a network file system. A copy of the folder has
        another, and its text speaks of the original.
    """

    host: str
    boot: str
    processes: dict[str, int] = field(default_factory=dict)
    job: str | None = None
    restarts: int = 0
    inode: int = 0

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {' and '.join(self.processes)} on {self.host}{job}"


@dataclass
class FolderLock:
    """A held lock.

    Attributes
    ----------
    stream
        The open file, whose descriptor a child may inherit.
    """

    stream: IO[bytes]
    holder: Holder
    place: Path

    def fileno(self) -> int:
        """The descriptor to pass on."""
        return self.stream.fileno()

    def add_process(self, pid: int) -> None:
        """Say in the text that this process works in the folder too."""
        self.holder.processes[str(pid)] = _started(pid) or 0
        _write(self.stream, self.holder, named=self.place)


@contextmanager
def exclusive(folder: Path, *, patience_s: float = _GLANCE_S) -> Iterator[FolderLock]:
    """Hold the lock of a run folder.

    A text left behind by a holder that is gone is taken over: one of this host whose processes have ended or that has
    been started anew since, one of a Slurm job that Slurm no longer runs, one of a folder this one was copied from.

    Parameters
    ----------
    folder
        The run folder.
    patience_s
        For so many seconds a lock that is taken is tried again.

    Raises
    ------
    FolderBusyError
        If somebody else holds it, or may: then the message says who, and what to do.
    DataError
        If the lock file cannot be written.
    """
    with _open_lock(folder / RUN_LOCK, named=folder / RUN_LOCK) as stream:
        kernel = _kernel_lock(stream, folder, patience_s)
        former = _read(stream)
        if former is not None and (reason := _still_held(former, stream, kernel=kernel)):
            raise FolderBusyError(f"{folder} is being run by {former}: {reason}")
        lock = FolderLock(stream, _myself(stream), folder / RUN_LOCK)
        _write(stream, lock.holder, named=folder / RUN_LOCK)
        try:
            # Without a kernel's lock two may have written at once: the text that stands after a pause decides.
            if not kernel:
                time.sleep(_SETTLE_S)
                if (now := _read(stream)) != lock.holder:
                    raise FolderBusyError(f"{folder} is being run by {now}: it came first")
            yield lock
        finally:
            if kernel or _read(stream) == lock.holder:
                with contextlib.suppress(OSError):
                    stream.truncate(0)


@contextmanager
def sole_process(place: Path, *, named: Path, busy: str) -> Iterator[IO[bytes]]:
    """Hold the kernel's lock on a file of its own, made where it is missing, until the end or the process's death.

    Parameters
    ----------
    place
        The file.
    named
        What the message says cannot be written.
    busy
        Message when another process holds it.

    Yields
    ------
    IO[bytes]
        The open file, whose descriptor a child may inherit.

    Raises
    ------
    ToolError
        If another process holds it.
    DataError
        If it cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {named}: {error.strerror or error}") from error
    with _open_lock(place, named=named) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ToolError(busy) from error
        except OSError as error:
            if error.errno not in _NO_KERNEL_LOCK:
                raise DataError(f"cannot lock {place}: {error.strerror or error}") from error
        yield stream


def read_holder(folder: Path) -> Holder | None:
    """Who says to work in the folder; ``None`` when nobody does. The holder may be gone."""
    try:
        with os.fdopen(os.open(folder / RUN_LOCK, os.O_RDONLY | NO_OTHER_FILE), "rb", buffering=0) as stream:
            return _read(stream) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
    except OSError:
        return None


def is_busy(folder: Path) -> bool:
    """Whether somebody works in the folder, as far as this host can tell."""
    if read_holder(folder) is None:
        return False
    try:
        with exclusive(folder, patience_s=0.0):
            return False
    except FolderBusyError:
        return True


def _open_lock(place: Path, *, named: Path) -> IO[bytes]:
    """Open a lock file, made where it is missing: never through a link, and nothing but a plain file.

    Without a buffer: what a full disk refuses is not kept for later.
    """
    try:
        stream = os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT | NO_OTHER_FILE, 0o666), "r+b", buffering=0)
    except OSError as error:
        why = "it is a symbolic link; remove it" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise DataError(f"cannot write {named if error.errno != errno.ELOOP else place}: {why}") from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise DataError(f"cannot write {place}: it is no plain file; remove it")
    return stream


def _kernel_lock(stream: IO[bytes], folder: Path, patience_s: float) -> bool:
    """Take the kernel's lock; ``False`` where the file system has none."""
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < end:
                time.sleep(_RETRY_S)
                continue
            who = _read(stream) or "another process"
            raise FolderBusyError(f"{folder} is being run by {who} (it holds {RUN_LOCK})") from error
        except OSError as error:
            if error.errno in _NO_KERNEL_LOCK:
                return False
            raise DataError(f"cannot lock {folder / RUN_LOCK}: {error.strerror or error}") from error
        return True


def _still_held(former: Holder, stream: IO[bytes], *, kernel: bool) -> str:
    """Why the text may be true; empty when its author is gone."""
    # A copied folder brings the text along, but not the inode: it speaks of the original.
    if former.inode != os.fstat(stream.fileno()).st_ino:
        return ""
    here = _myself(stream)
    if former.host == here.host:
        # With the kernel's lock in hand nobody of this machine holds it, whatever the text says.
        if kernel or former.boot != here.boot:
            return ""
        alive = [pid for pid, since in former.processes.items() if _started(int(pid)) == since]
        return f"process {alive[0]} is at work" if alive else ""
    if former.job is None:
        return f"if nothing runs there any more, delete {RUN_LOCK} in the folder"
    if former.job == here.job and former.restarts < here.restarts:
        return ""
    state = _job_state(former.job)
    if state is None:
        return f"Slurm cannot be asked about the job; if it is gone, delete {RUN_LOCK} in the folder"
    return f"Slurm says the job is {state}" if state in ("RUNNING", "COMPLETING", "SUSPENDED") else ""


def _job_state(job: str) -> str | None:
    """State of a job in Slurm's words, ``gone`` when it knows none such, ``None`` when it cannot be asked."""
    words = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_SQUEUE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return "gone" if "Invalid job id" in done.stderr else None
    return next(iter(done.stdout.split()), "gone")


def _myself(stream: IO[bytes]) -> Holder:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    restarts = os.environ.get("SLURM_RESTART_COUNT", "")
    return Holder(
        host=socket.gethostname(),
        boot=boot,
        processes={str(os.getpid()): _started(os.getpid()) or 0},
        job=os.environ.get("SLURM_JOB_ID") or None,
        restarts=int(restarts) if restarts.isdigit() else 0,
        inode=os.fstat(stream.fileno()).st_ino,
    )


def _started(pid: int) -> int | None:
    """When a living process started, in ticks since boot (0 where the kernel does not say); ``None`` if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return 0
        return 0
    except OSError:
        return None
    # The second field is the program's name in brackets, which may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    # A zombie works on nothing: only its parent has not asked for its end.
    return int(fields[19]) if fields and fields[0] != "Z" else None


def _read(stream: IO[bytes]) -> Holder | None:
    try:
        stream.seek(0)
        document = json.loads(stream.read().decode(errors="replace"))
        return Holder(**{**document, "processes": {str(p): int(t) for p, t in document["processes"].items()}})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(stream: IO[bytes], holder: Holder, *, named: Path) -> None:
    try:
        stream.seek(0)
        stream.truncate(0)
        stream.write(json.dumps(asdict(holder)).encode() + b"\n")
    except OSError as error:
        raise DataError(f"cannot write the lock {named}: {error.strerror or error}") from error
