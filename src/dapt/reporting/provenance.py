"""The commit and the dvc.lock that figures come from. No file that DVC tracks contains them, since two runs differ in them."""

import subprocess
from pathlib import Path

from dapt.core.files import sha256

LOCK = Path("dvc.lock")


def provenance() -> str:
    """The commit, with `-dirty` if tracked files differ from it, and the hash of dvc.lock."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(asked, capture_output=True, text=True)
    commit = done.stdout.strip() if done.returncode == 0 else "none"
    lock = sha256(LOCK) if LOCK.is_file() else "none"
    return f"commit {commit}, dvc.lock sha256 {lock}"
