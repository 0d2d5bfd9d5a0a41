"""A Slurm of one node for tests: munge, controller and node daemon on the loopback, all in one folder.

It needs no system service, writes nothing outside its folder and runs as any user. On Linux its daemons end with the
process that started them, also when that one is killed. As a script it starts a Slurm, prints the environment that
reaches it, and stops it when its input ends or on Ctrl-C:

    python tests/campaign/slurm_bed.py                  # prints export lines; Ctrl-D stops
    python tests/campaign/slurm_bed.py -- sinfo         # starts, runs the command, stops
"""

import ctypes
import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
HOW_TO_GET_SLURM = "Debian or Ubuntu: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"
_START_S, _STOP_S = 60.0, 20.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_CONF = """\
ClusterName=bed
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=2
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/{tracking}
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,defer_batch
ReturnToService=2
KillWait=3
BatchStartTimeout=1
SlurmdTimeout=300
MaxArraySize={array}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
SlurmdParameters=config_overrides
NodeName=bed NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=debug Nodes=bed Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Bed:
    """A running Slurm: its folder, its processes, and the environment that reaches it."""

    folder: Path
    environment: dict[str, str]
    daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def call(self, *words: str) -> str:
        """What a Slurm command prints."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def start(self, name: str) -> None:
        """Start one daemon in the foreground of its own session."""
        words = {
            "munged": ["munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key"]
            + [
                f"--{option}={self.folder}/munge.{option.split('-')[0]}"
                for option in ("socket", "pid-file", "seed-file")
            ]
            + [f"--log-file={self.folder}/munge.log", "--num-threads=2"],
            "slurmctld": ["slurmctld", "-D", "-f", f"{self.folder}/slurm.conf"],
            "slurmd": ["slurmd", "-D", "-N", "bed", "-f", f"{self.folder}/slurm.conf"],
        }[name]
        words[0] = shutil.which(words[0], path=f"{os.environ.get('PATH', '')}:{_SBIN}") or words[0]
        with (self.folder / f"{name}.stderr").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                words,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def kill(self, name: str) -> None:
        """End one daemon at once, as a crash would."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def wait_until_up(self) -> None:
        """Wait until the node takes jobs."""
        end = time.monotonic() + _START_S
        state = ""
        while time.monotonic() < end:
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    raise RuntimeError(f"{name} ended: {self._tail(name)}")
            try:
                state = self.call("sinfo", "--noheader", "--format=%T")
            except RuntimeError as error:
                state = str(error)
            if state in ("idle", "mixed", "allocated"):
                return
            time.sleep(0.2)
        raise RuntimeError(f"Slurm did not come up: {state}; {self._tail('slurmctld')}; {self._tail('slurmd')}")

    def stop(self) -> None:
        """End jobs and daemons."""
        try:
            self.call("scancel", "--full", f"--user={getpass.getuser()}")
            self.wait_until_empty(timeout=_STOP_S)
        except (RuntimeError, TimeoutError):
            pass
        for name in ("slurmd", "slurmctld", "munged"):
            daemon = self.daemons.get(name)
            if daemon is not None and daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def wait_until_empty(self, *, timeout: float) -> None:
        """Wait until no job is left in the queue."""
        end = time.monotonic() + timeout
        while self.call("squeue", "--noheader"):
            if time.monotonic() > end:
                raise TimeoutError(f"jobs are left after {timeout:g} s: {self.call('squeue', '--noheader', '--array')}")
            time.sleep(0.3)

    def _tail(self, name: str) -> str:
        texts = [self.folder / f"{name}.{kind}" for kind in ("stderr", "log")]
        return " ".join(" ".join(text.read_text(errors="replace").split()[-40:]) for text in texts if text.exists())


def _end_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it is gone (``prctl(2)``)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def missing_programs() -> list[str]:
    """Programs of Slurm that this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


@contextmanager
def slurm_bed(*, cpus: int = 2, array: int = 1001) -> Iterator[Bed]:
    """Run a Slurm whose node pretends to have ``cpus`` cores; ``array`` is its MaxArraySize."""
    if missing_programs():
        raise RuntimeError(f"no Slurm ({', '.join(missing_programs())}): {HOW_TO_GET_SLURM}")
    with tempfile.TemporaryDirectory(prefix="slurm-bed-") as name:
        folder = Path(name)
        for sub in ("state", "spool"):
            (folder / sub).mkdir(mode=0o755)
        folder.chmod(0o755)
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        controller_port, node_port = _free_ports(2)
        (folder / "slurm.conf").write_text(
            _CONF.format(
                host=socket.gethostname().split(".")[0],
                user=getpass.getuser(),
                folder=folder,
                controller_port=controller_port,
                node_port=node_port,
                tracking="linuxproc" if os.geteuid() == 0 else "pgid",
                cpus=cpus,
                memory=1000 * cpus,
                array=array,
            )
        )
        bed = Bed(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
        try:
            bed.start("munged")
            _wait_for(folder / "munge.socket")
            bed.start("slurmctld")
            bed.start("slurmd")
            bed.wait_until_up()
            yield bed
        finally:
            bed.stop()


def _wait_for(place: Path) -> None:
    end = time.monotonic() + _START_S
    while not place.exists():
        if time.monotonic() > end:
            raise RuntimeError(f"munge did not start: {place} is missing")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


def main(words: list[str]) -> int:
    """Start, print the environment or run a command, stop."""
    command = words[1:] if words[:1] == ["--"] else words
    if missing_programs():
        print(f"no Slurm ({', '.join(missing_programs())} missing). {HOW_TO_GET_SLURM}", file=sys.stderr)
        return 1
    with slurm_bed() as bed:
        if command:
            return subprocess.run(command, env={**os.environ, **bed.environment}, check=False).returncode
        for name, value in bed.environment.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
