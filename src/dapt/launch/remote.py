"""Whether DVC's default remote answers: asked in a process of its own, since a network may hang.

python -m dapt.launch.remote       # in a repository; one line of JSON
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

WAIT = 20  # seconds


@dataclass(frozen=True)
class Remote:
    text: str
    problem: str | None = None  # and how to mend it


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
        return Remote("none: this is no DVC repository")
    except Exception as error:  # of whatever client the remote's kind has
        return Remote(
            f"{name}: not reachable",
            f"DVC's remote {name} does not answer "
            f"({' '.join(str(error).split())[:200]}); see `dvc remote list` and its credentials",
        )
    return Remote(
        f"{name}: not there",
        f"DVC's remote {name} has nothing at {remote.path}, or does not answer; mount "
        "it, mend its address (dvc remote modify), or make it with a first dvc push",
    )


def look() -> Remote:
    """As `ask`, but no longer than WAIT seconds."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dapt.launch.remote"], capture_output=True, text=True, timeout=WAIT
        )
    except subprocess.TimeoutExpired:
        return Remote(
            "no answer",
            f"DVC's default remote has not answered in {WAIT} s; try `dvc status -c` where there is a network",
        )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        return Remote("unknown", f"DVC could not be asked for its remote ({''.join(said)}); try `dvc remote list`")
    return Remote(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(ask())))
