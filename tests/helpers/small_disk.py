"""A small file system of its own for the tests to fill up."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slurm_cluster import wait_until


def missing() -> str | None:
    """Why no file system can be mounted here."""
    if os.geteuid() != 0:
        return "only root can mount a small file system"
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True
    )
    return None if done.returncode == 0 else f"no file system can be mounted: {done.stderr.strip()}"


class SmallDisk:
    def __init__(self, folder: Path):
        self.folder, self.ballast = folder, folder / "ballast"

    def available(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, left: int = 0) -> None:
        """Leave at most so many bytes free, rounded to pages; what another process writes meanwhile may take them."""
        with open(self.ballast, "ab", buffering=0) as file, suppress(OSError):
            file.write(bytes(max(0, self.available() - left)))

    def free(self) -> None:
        self.ballast.unlink()


@contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A file system of this size in `folder`, which is created."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        wait_until(lambda: subprocess.run(["umount", folder]).returncode == 0, 60, "the end of what uses the disk")
