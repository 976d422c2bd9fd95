"""`dapt agree`: whether the figures of the workspace agree with those that are committed.

Processors round differently, so that a training ends in other bits on another one, and nearly every figure in another last
digit. That is the same result as long as each figure lies within the 95 % interval of the committed one.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dapt.core.files import read_json
from dapt.core.paths import METRICS, PARAMS, PROFILES
from dapt.tools import experiments

KEEP = "`git commit -a` commits yours; `git checkout dvc.lock metrics` and `dvc pull` bring the committed ones back."


@dataclass(frozen=True)
class Figure:
    name: str  # metrics/eval/biomed.json: finance
    kind: str
    committed: float
    bounds: list[float] | None  # of the committed one, 95 %
    found: float

    @property
    def off(self) -> float:
        return abs(self.found - self.committed)

    @property
    def agrees(self) -> bool:
        return self.off == 0 or (self.bounds is not None and self.bounds[0] <= self.found <= self.bounds[1])


def figures(path: Path, committed: dict, found: dict) -> list[Figure]:
    """The losses of a model on each held-out set, or the main figure of a task."""
    if path.is_relative_to(METRICS / "eval"):
        sets = [name for name, of in committed.items() if isinstance(of, dict) and "loss" in of and name in found]
        both = [(name, committed[name], found[name]) for name in sets]
        return [Figure(f"{path}: {name}", "losses", a["loss"], a["loss_ci95"], b["loss"]) for name, a, b in both]
    if path.is_relative_to(METRICS / "tasks") and "mean" in committed and "mean" in found:
        return [Figure(str(path), "figures of tasks", committed["mean"], committed["ci95"], found["mean"])]
    return []


git = partial(experiments.git, why="the committed figures are in a clone of the repository")


def sentence(compared: list[Figure], changed: int) -> str:
    """What is to be said of figures of which `changed` files differ at all."""
    if not changed:
        return "The figures are the committed ones, digit by digit."
    most: dict[str, float] = {}
    for figure in compared:
        most[figure.kind] = max(most.get(figure.kind, 0), figure.off)
    apart = ", ".join(f"{kind} by at most {off:.4f}" for kind, off in most.items())
    beyond = [figure for figure in compared if not figure.agrees]
    if not beyond:
        return (
            f"The figures agree with the committed ones: {apart}, each within the 95 % interval of the committed one; "
            f"processors round differently. {KEEP}"
        )
    shown = "; ".join(f"{one.name} {one.committed} → {one.found}" for one in beyond[:5])
    return (
        f"{len(beyond)} of {len(compared)} figures lie outside the 95 % intervals of the committed ones ({apart}): {shown}"
        f"{'; …' * (len(beyond) > 5)}. Look for what has changed: git diff, and the versions of pip freeze. {KEEP}"
    )


def run() -> None:
    if git("diff", "--name-only", "HEAD", "--", str(PARAMS), str(PROFILES), "src", "dvc.yaml", "requirements.txt"):
        print(
            "Settings or code are not the committed ones, so neither need the figures be; `dvc metrics diff` has both."
        )
        return
    names = [Path(name) for name in git("ls-tree", "-r", "--name-only", "HEAD", str(METRICS)).split()]
    compared: list[Figure] = []
    for path in (name for name in names if name.suffix == ".json" and name.exists()):
        compared += figures(path, json.loads(git("show", f"HEAD:{path.as_posix()}")), read_json(path))
    if not compared:
        return print("No figures are committed yet; `git commit -a` commits yours.")
    print(sentence(compared, len(git("diff", "--name-only", "HEAD", "--", str(METRICS)).split())))
