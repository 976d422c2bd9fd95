"""DVC experiments in temporary folders: the workspace is not changed, and stages that ran before are not run again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from dapt.telling.errors import UserError


def there(name: str) -> list[str]:
    """The git references of experiments of this name, one for each commit that has one."""
    return git("for-each-ref", "--format=%(refname)", f"refs/exps/**/{name}").split()


def result(name: str, path: Path) -> dict:
    """The content of a JSON file in the only experiment of this name."""
    [ref] = there(name)
    return json.loads(git("show", f"{ref}:{path.as_posix()}"))


def run(name: str, settings: list[str], target: str, said: IO | None = None, **variables: str) -> None:
    """Bring a target up to date with some settings; DVC's output goes to `said`, else to standard error."""
    options = [word for setting in settings for word in ("-S", setting)]
    dvc_exp("run", "--temp", "--name", name, *options, target, said=said, **variables)


def git(*words: str, why: str = "experiments need a clone of the git repository") -> str:
    """The output of a git command; `why` is the end of the error message."""
    done = subprocess.run(["git", *words], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise UserError(f"git {words[0]} failed ({done.stderr.strip()}); {why}")
    return done.stdout


def dvc_exp(*words: str, said: IO | None = None, **variables: str) -> None:
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "exp", *words]
    done = subprocess.run(command, stdout=said or sys.stderr, stderr=said, env=os.environ | variables)
    if done.returncode:
        where = f"in {said.name}" if said else "above"
        raise UserError(f"dvc exp {' '.join(words)} failed with exit code {done.returncode}; its output is {where}")
