"""Checks whether DVC's default remote is reachable; in a separate process, since network access may hang.

python -m dapt.launch.remote       # in a repository; prints one line of JSON
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

WAIT = 20  # seconds


@dataclass(frozen=True)
class Remote:
    text: str
    problem: str | None = None  # and how to fix it


def ask() -> Remote:
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        repo = Repo()
        name = repo.config["core"].get("remote")
        if not name:
            return Remote("none: models stay on this machine (dvc remote add -d NAME URL)")
        remote = repo.cloud.get_remote()
        if remote.fs.exists(remote.path):
            return Remote(f"{name}: reachable")
    except NotDvcRepoError:
        return Remote("none: this is not a DVC repository")
    except Exception as error:  # depends on the client of the remote's type
        return Remote(
            f"{name}: not reachable",
            f"DVC's remote {name} does not answer "
            f"({' '.join(str(error).split())[:200]}); check its URL (`dvc remote list`) and credentials",
        )
    return Remote(
        f"{name}: not found",
        f"DVC's remote {name} has nothing at {remote.path}, or does not answer; mount "
        "it, correct its URL (dvc remote modify), or create it with a first dvc push",
    )


def look() -> Remote:
    """Like `ask`, but for at most WAIT seconds."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dapt.launch.remote"], capture_output=True, text=True, timeout=WAIT
        )
    except subprocess.TimeoutExpired:
        return Remote(
            "no answer",
            f"DVC's default remote has not answered within {WAIT} s; check the network, and try `dvc status -c`",
        )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        return Remote("unknown", f"DVC could not read its remote ({''.join(said)}); try `dvc remote list`")
    return Remote(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(ask())))
