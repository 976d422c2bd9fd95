"""`dapt agree`: compares the metrics of the workspace with the committed ones.

Different CPUs round differently, so a training on another CPU ends with slightly different weights, and nearly every metric
differs in its last digits. This counts as the same result if each value lies within the 95 % interval of the committed one.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dapt.core.files import read_json
from dapt.core.paths import METRICS, PARAMS, PROFILES
from dapt.tools import experiments

KEEP = "`git commit -a` keeps yours; `git checkout dvc.lock metrics` and `dvc pull` restore the committed ones."


@dataclass(frozen=True)
class Figure:
    name: str  # metrics/eval/biomed.json: finance
    kind: str
    committed: float
    bounds: list[float] | None  # 95 % interval of the committed value
    found: float

    @property
    def off(self) -> float:
        return abs(self.found - self.committed)

    @property
    def agrees(self) -> bool:
        return self.off == 0 or (self.bounds is not None and self.bounds[0] <= self.found <= self.bounds[1])


def figures(path: Path, committed: dict, found: dict) -> list[Figure]:
    """The losses of a model on each held-out set, or the main metric of a task."""
    if path.is_relative_to(METRICS / "eval"):
        sets = [name for name, of in committed.items() if isinstance(of, dict) and "loss" in of and name in found]
        both = [(name, committed[name], found[name]) for name in sets]
        return [Figure(f"{path}: {name}", "losses", a["loss"], a["loss_ci95"], b["loss"]) for name, a, b in both]
    if path.is_relative_to(METRICS / "tasks") and "mean" in committed and "mean" in found:
        return [Figure(str(path), "task metrics", committed["mean"], committed["ci95"], found["mean"])]
    return []


git = partial(experiments.git, why="the comparison needs a clone of the git repository, with its committed metrics")


def sentence(compared: list[Figure], changed: int) -> str:
    """The result as text; `changed` is the number of metrics files that differ at all."""
    if not changed:
        return "The metrics are identical to the committed ones."
    most: dict[str, float] = {}
    for figure in compared:
        most[figure.kind] = max(most.get(figure.kind, 0), figure.off)
    apart = ", ".join(f"{kind} differ by at most {off:.4f}" for kind, off in most.items())
    beyond = [figure for figure in compared if not figure.agrees]
    if not beyond:
        return (
            f"The metrics agree with the committed ones: {apart}, each within the 95 % interval of the committed value; "
            f"small differences between CPUs are normal. {KEEP}"
        )
    shown = "; ".join(f"{one.name} {one.committed} → {one.found}" for one in beyond[:5])
    return (
        f"{len(beyond)} of {len(compared)} metrics are outside the 95 % intervals of the committed ones ({apart}): {shown}"
        f"{'; …' * (len(beyond) > 5)}. Look for the cause in git diff and in the versions of pip freeze. {KEEP}"
    )


def run() -> None:
    if git("diff", "--name-only", "HEAD", "--", str(PARAMS), str(PROFILES), "src", "dvc.yaml", "requirements.txt"):
        print("Settings or code differ from the commit, so the metrics may differ too; `dvc metrics diff` shows both.")
        return
    names = [Path(name) for name in git("ls-tree", "-r", "--name-only", "HEAD", str(METRICS)).split()]
    compared: list[Figure] = []
    for path in (name for name in names if name.suffix == ".json" and name.exists()):
        compared += figures(path, json.loads(git("show", f"HEAD:{path.as_posix()}")), read_json(path))
    if not compared:
        return print("No metrics are committed yet; commit yours with `git commit -a`.")
    print(sentence(compared, len(git("diff", "--name-only", "HEAD", "--", str(METRICS)).split())))
