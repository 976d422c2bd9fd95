"""Two users of one machine with a group in common, each with an umask and a home, for tests that root runs."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from repositories import ROOT, environment

GROUP = 54_000  # numbers that no account has; Linux needs none


def missing() -> str | None:
    """Why no other user's processes can be started here."""
    if os.geteuid() != 0:
        return "only root can start processes of other users"
    works = subprocess.run(["unshare", "--mount", "setpriv", "--reuid=1", "true"], capture_output=True)
    return None if works.returncode == 0 else f"no process of another user: {works.stderr.decode().strip()}"


def closed(path: Path) -> Path | None:
    """The first folder above `path` that other users cannot enter, such as /root."""
    return next((above for above in reversed(path.parents) if not above.stat().st_mode & stat.S_IXOTH), None)


def opening(place: Path) -> Iterator[str]:
    """Commands that show to other users, in a mount namespace of their own, the interpreter and the code if these lie in a
    closed folder; its other contents stay hidden."""
    needed = {Path(name).resolve() for name in (sys.base_prefix, sys.prefix, ROOT)}
    hidden = {path: place / str(number) for number, path in enumerate(sorted(needed)) if closed(path)}
    yield from (f"mkdir -p {copy} && mount --bind {path} {copy}" for path, copy in hidden.items())
    yield from (f"mount -t tmpfs -o mode=755 none {above}" for above in {closed(path) for path in hidden})
    yield from (f"mkdir -p {path} && mount --bind {copy} {path}" for path, copy in hidden.items())


class User:
    """A user with a home in `folder`, which other users can enter."""

    def __init__(self, number: int, folder: Path, umask: int):
        self.number, self.name, self.home = number, f"user{number}", folder / f"user{number}"
        self.home.mkdir()
        os.chown(self.home, number, number)
        (self.home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")  # a clone of another user's repository
        self.opening = " && ".join(["umask 022", *opening(folder / "opened"), f"umask {umask:o}", 'exec "$@"'])

    def start(self, folder: Path, *command: str, **variables: str) -> subprocess.Popen:
        ids = [f"--reuid={self.number}", f"--regid={self.number}", f"--groups={GROUP}"]
        own = {"HOME": str(self.home), "USER": self.name, "LOGNAME": self.name, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", self.opening, "sh", "setpriv", *ids, *command],
            cwd=folder,
            env=environment(self.home) | own | variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, folder: Path, *command: str, code: int | None = 0, **variables: str) -> str:
        """Standard output and error of a command; `code` None allows any exit status."""
        process = self.start(folder, *command, **variables)
        said = process.communicate()[0]
        assert code is None or process.returncode == code, f"{' '.join(command)} gave {process.returncode}:\n{said}"
        return said
