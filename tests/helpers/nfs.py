"""A real NFS for the tests: a second Linux in a process of its own (user-mode-linux), which is server and client at once. This
machine's kernel need not know NFS, and nothing is mounted on it.

Packages: user-mode-linux, nfs-kernel-server, kmod.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from repositories import ROOT
from slurm_cluster import search_path

PROGRAMS = ("linux.uml", "modprobe", "exportfs", "rpc.mountd", "rpc.nfsd", "mount.nfs4")
MODULES = Path("/usr/lib/uml/modules")
# /mnt/a and /mnt/b are one exported folder, mounted twice without a common cache, as on two nodes. Without leases the server
# gives no delegations: both mounts are of one client, whose delegation in one of them would be wrong in the other.
BOOT = """\
exec > {folder}/said 2>&1
mount -t proc proc /proc; mount -t sysfs sys /sys
for place in /mnt /run /var/lib; do mount -t tmpfs none $place; done
mkdir -p /mnt/export /mnt/a /mnt/b /mnt/modules/lib /var/lib/nfs/v4recovery
ln -s {modules} /mnt/modules/lib/modules
ip link set lo up
for module in nfsd nfsv4; do modprobe -d /mnt/modules $module; done
mount -t tmpfs -o size=200m none /mnt/export
mount -t nfsd nfsd /proc/fs/nfsd
echo 0 > /proc/sys/fs/leases-enable
exportfs -o rw,no_root_squash,fsid=0,insecure,no_subtree_check 127.0.0.1:/mnt/export 2>/dev/null
rpc.mountd -N 3 2>/dev/null
rpc.nfsd -N 3 4
for place in /mnt/a /mnt/b; do mount.nfs4 127.0.0.1:/ $place -o vers=4.2,nosharecache; done
echo mounted: $(grep -c ' nfs4 ' /proc/mounts)
bash -e {folder}/script && echo passed
echo o > /proc/sysrq-trigger
sleep 10
"""


def missing() -> str | None:
    """Why there is no NFS here."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=search_path())]
    if lacking or not MODULES.is_dir():
        return f"not installed: {', '.join(lacking)} (apt-get install user-mode-linux nfs-kernel-server kmod)"
    return None if os.geteuid() == 0 else "only root can mount in it"


def on_nfs(folder: Path, script: str, megabytes: int, seconds: int) -> str:
    """What a script of bash says in such a Linux, which must pass; it sees this machine's files."""
    (folder / "script").write_text(script)
    boot = folder / "boot"
    boot.write_text("#!/bin/bash\n" + BOOT.format(folder=folder, modules=MODULES))
    boot.chmod(0o755)
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{search_path()}",
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }
    words = [
        "linux.uml",
        f"mem={megabytes}M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        f"init={boot}",
    ]
    linux = subprocess.Popen(
        [*words, f"uml_dir={folder}/", "con=null", "quiet", *(f"{name}={value}" for name, value in variables.items())],
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        linux.wait(seconds)
    finally:
        if linux.poll() is None:
            os.killpg(linux.pid, signal.SIGKILL)
            linux.wait()
    said = (folder / "said").read_text(errors="replace")
    assert said.endswith("passed\n") and "mounted: 2\n" in said, said
    return said
