"""A real Slurm on this machine for the tests: munge, a controller and a few virtual nodes with two fake GPUs each.

Everything is on loopback, in one folder under /tmp and without systemd; what is started is ended by its own process.
Where the kernel allows it, each node has a host name of its own, and cgroups hold its jobs; else process groups do.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NODES = 3
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def missing() -> str | None:
    """Why no Slurm can be started here."""
    lacking = [name for name in ("munged", "slurmctld", "slurmd", "srun") if not shutil.which(name, path=search_path())]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "only root can start the nodes of a Slurm cluster"
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = "nothing"
    return None if address.startswith("127.") else f"the host name resolves to {address}, not to loopback"


def search_path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def free_ports(count: int) -> int:
    """The first of `count` consecutive free ports, below the range that outgoing connections are given."""
    while True:
        first = random.randrange(20000, 32000 - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as found:
                    found.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


def namespaces() -> bool:
    return subprocess.run(["unshare", "--uts", "--mount", "true"], capture_output=True).returncode == 0


def control_groups() -> bool:
    return all(os.access(CONTROL_GROUPS / kind / "release_agent", os.W_OK) for kind in ("freezer", "memory"))


def remove(group: Path) -> None:
    """End what is left in a control group, such as the jobs of a node that did not answer, and remove the group."""
    folders = [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]

    def left() -> list[int]:
        return [int(number) for folder in folders for number in (folder / "cgroup.procs").read_text().split()]

    for number in left():
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    wait_until(lambda: not left(), 20, f"the end of the processes in {group}")
    for folder in folders:
        folder.rmdir()


class Cluster:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # a socket's path must be short
        self.folder.chmod(0o755)  # munged refuses a folder that not all can search
        self.port = free_ports(NODES + 201)
        self.prefix = f"n{self.port}-"  # control groups are named by the node
        self.nodes = [f"{self.prefix}{number}" for number in range(1, NODES + 1)]
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": search_path()}
        self.running: dict[str, subprocess.Popen] = {}
        self.separate = namespaces()

    def start(self) -> None:
        for name in ("state", "dev", *(f"spool.{node}" for node in self.nodes)):
            (self.folder / name).mkdir()
        for gpu in (0, 1):  # a character device, or CUDA_VISIBLE_DEVICES is not set; the numbers are those of /dev/null
            os.mknod(self.folder / f"dev/nvidia{gpu}", 0o20666, os.makedev(1, 3))
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        for name, text in self.settings().items():
            (self.folder / name).write_text(text)
        at = self.folder
        self.spawn(
            "munged",
            "munged",
            "-F",
            f"--socket={at}/munge.sock",
            f"--key-file={key}",
            f"--log-file={at}/munged.log",
            f"--pid-file={at}/munged.pid",
            f"--seed-file={at}/munged.seed",
        )
        wait_until((at / "munge.sock").exists, 10, "munge")
        self.start_controller()
        for node in self.nodes:
            named = f'hostname {node} && mount --bind {at}/hosts /etc/hosts && exec "$@"'
            apart = ["unshare", "--uts", "--mount", "sh", "-c", named, "sh"] if self.separate else []
            self.spawn(node, *apart, "slurmd", "-D", "-N", node)
        wait_until(lambda: self.idle() == NODES, 30, "idle nodes")

    def settings(self) -> dict[str, str]:
        at, host = self.folder, socket.gethostname().split(".")[0]
        track, task = ("cgroup", "cgroup") if control_groups() else ("pgid", "none")
        names = f"{self.prefix}[1-{NODES}]"
        ports = "\n".join(
            f"NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={self.port + number}"
            for number, node in enumerate(self.nodes, 1)
        )
        return {
            "hosts": "\n".join(f"127.0.0.1 {name}" for name in ("localhost", host, *self.nodes)) + "\n",
            "gres.conf": f"NodeName={names} Name=gpu Type=2080ti File={at}/dev/nvidia[0-1]\n",
            "cgroup.conf": "CgroupPlugin=cgroup/v1\nConstrainRAMSpace=yes\n",
            "slurm.conf": f"""
ClusterName={self.prefix.rstrip("-")}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={self.port}
SrunPortRange={self.port + NODES + 1}-{self.port + NODES + 200}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={at}/munge.sock,cred_expire=5
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool.%n
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/slurmd.%n.pid
SlurmctldLogFile={at}/slurmctld.log
SlurmdLogFile={at}/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/{track}
TaskPlugin=task/{task}
MpiDefault=none
ReturnToService=2
EnforcePartLimits=ALL
KillWait=5
MessageTimeout=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmctldParameters=preempt_send_user_signal
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=DEFAULT CPUs=32 CoresPerSocket=32 ThreadsPerCore=1 RealMemory=256000 Features=2080ti Gres=gpu:2080ti:2
{ports}
PartitionName=gpu Nodes={names} PriorityTier=10 PreemptMode=OFF DefaultTime=60 MaxTime=7-0 State=UP Default=YES
PartitionName=gpu-preempt Nodes={names} PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 DefaultTime=60 MaxTime=7-0
PartitionName=cpu Nodes={names} PriorityTier=1 PreemptMode=REQUEUE DefaultTime=60 MaxTime=7-0
""",
        }

    def spawn(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.out", "w") as output:
            self.running[name] = subprocess.Popen(
                command,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_controller(self) -> None:
        self.spawn("slurmctld", "slurmctld", "-D")

    def settle(self) -> None:
        """Wait until a controller that was started again knows the nodes' GPUs, and that their cores are free: it keeps
        those of a job that ended meanwhile until it reads its settings anew."""
        wait_until(lambda: self.ask("srun", "--gpus=1", "hostname"), 30, "a job")
        self.ask("scontrol", "reconfigure")
        whole = ("srun", "--partition=gpu", f"--nodes={NODES}", "--exclusive", "--immediate=5", "hostname")
        wait_until(lambda: self.ask(*whole), 60, "a job that has all nodes to itself")

    def end(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ask(self, *command: str) -> str:
        """Standard output of a command of Slurm; empty where it fails."""
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else ""

    def idle(self) -> int:
        return len(self.ask("sinfo", "-h", "-N", "-p", "gpu", "-t", "idle", "-o", "%N").split())

    def cancel_all(self) -> None:
        self.ask("scancel", "--me")
        wait_until(lambda: not self.ask("squeue", "-h"), 120, "an empty queue")

    def rest(self) -> None:
        """Wait until no job is left and every node is idle. Slurm takes a node out of use where a process of a job did not
        end within a minute of its signal, as on a busy disk; such a node is given back."""
        self.cancel_all()
        try:
            wait_until(self.resumed, 120, "idle nodes")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.ask('sinfo', '-h', '-N', '-o', '%N is %T: %E')}") from None

    def resumed(self) -> bool:
        for node in self.ask("sinfo", "-h", "-N", "-p", "gpu", "-t", "drained", "-o", "%N").split():
            self.ask("scontrol", "update", f"nodename={node}", "state=resume")
        return self.idle() == NODES

    def stop(self) -> None:
        try:
            if "slurmctld" in self.running:
                self.cancel_all()
        finally:
            for name in reversed(list(self.running)):
                self.end(name)
            for node in self.nodes:
                for group in CONTROL_GROUPS.glob(f"*/slurm_{node}"):
                    remove(group)
            shutil.rmtree(self.folder)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A running Slurm; its commands and SLURM_CONF are in os.environ while it runs."""
    cluster, before = Cluster(), dict(os.environ)
    try:
        cluster.start()
        os.environ.update(cluster.environment)
        yield cluster
    finally:
        cluster.stop()
        os.environ.clear()
        os.environ.update(before)
