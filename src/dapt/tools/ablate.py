"""`dapt ablate`: what each mistake of the original project costs on the text of the active profile.

Each training here repeats one mistake and is compared with the model of `dvc repro`, on the same held-out text under the same
masks; everything else is equal. It runs the pipeline's own stages in a temporary folder that has the settings, links to the
inputs that stay as they are, and those that the mistake changes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ruamel.yaml import YAML

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import read_json, read_lines, write_lines
from dapt.core.paths import LOSSES, METRICS, MODELS, PARAMS, PROFILES, RAW_MODEL, SPLIT, TOKENS, profile_path
from dapt.judging.statistics import paired_intervals, ratio
from dapt.model.tokenizer import load_tokenizer
from dapt.reporting.comparison import losses_by_group
from dapt.reporting.markdown import rows
from dapt.reporting.tables import signed
from dapt.reporting.task_comparison import judged, metric_difference, predictions
from dapt.telling.errors import UserError

LENGTH = 128  # tokens, at which the original project truncated each text
HEADER = ["mistake", "domain", "measured", "default", "with the mistake", "difference"]


@dataclass(frozen=True)
class Workspace:
    """A folder in which the stages of one domain run with a mistake."""

    folder: Path
    params: Params
    domain: str

    @property
    def text(self) -> Path:
        return self.folder / SPLIT / self.domain / "train.jsonl"

    def unchanged(self) -> Iterable[str]:
        """The domain's training texts as the split left them."""
        return texts_of(SPLIT / self.domain / "train.jsonl")

    def compared(self, path: Path) -> Path:
        """A folder with the same file of lines by default and with the mistake, as default.jsonl and mistake.jsonl."""
        folder = self.folder / "compared" / path.parent
        folder.mkdir(parents=True)
        for name, root in {"default": Path(), "mistake": self.folder}.items():
            (folder / f"{name}.jsonl").symlink_to((root / path).resolve())
        return folder

    def rewrite(self, texts: Iterable[str]) -> None:
        """Replace the domain's training text; the file is a link until then."""
        self.text.unlink()
        write_lines(self.text, ({"text": text} for text in texts))

    def dapt(self, *arguments: str, read: bool = False) -> str:
        """Run a command here. What it prints is returned if it is to be `read`, and otherwise goes to standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "dapt", *arguments],
            cwd=self.folder,
            env=os.environ | {"DAPT_STATE": str(self.folder / "state"), "DAPT_LAUNCHER": "local"},
            stdout=subprocess.PIPE if read else sys.stderr,
            text=True,
        )
        if done.returncode:
            raise UserError(f"dapt {arguments[0]} ended with code {done.returncode} in an ablation; see above")
        return done.stdout or ""


def texts_of(path: Path) -> Iterable[str]:
    return (row["text"] for row in read_lines(path))


def untrained_head(here: Workspace) -> None:
    """The base keeps its head as it was published, and only the domain's training trains it."""
    settings, yaml = here.folder / profile_path(here.params.profile), YAML()
    profile = yaml.load(settings)
    profile["repair"]["allow"] = True
    yaml.dump(profile, settings)
    (here.folder / MODELS / "base").unlink()
    here.dapt("base")


def truncated(here: Workspace) -> None:
    """Each text ends after LENGTH tokens, before texts share windows."""
    tokenizer, _ = load_tokenizer(RAW_MODEL / "base")

    def start(text: str) -> str:
        places = tokenizer.encode(text, add_special_tokens=False).offsets[:LENGTH]
        return text[: places[-1][1]] if places else text

    here.rewrite([start(text) for text in here.unchanged()])


def concatenated(here: Workspace) -> None:
    """All texts are one, so a window's tokens attend to those of other texts, and positions run on."""
    here.rewrite([" ".join(here.unchanged())])


def tests_left_in(here: Workspace) -> None:
    """The test rows of the domain's tasks are training text too."""
    tests = [
        text for task in tasks_of(here.params, here.domain) for text in texts_of(SPLIT / "tasks" / task / "test.jsonl")
    ]
    here.rewrite([*here.unchanged(), *tests])


def tasks_of(params: Params, domain: str) -> list[str]:
    """The tasks whose rows come from the domain's corpora."""
    return [name for name, task in params.active_tasks.items() if task.corpus in params.domains[domain]]


MISTAKES: dict[str, tuple[str, Callable[[Workspace], None]]] = {
    "head": ("the base's head stays untrained", untrained_head),
    "truncate": (f"texts truncated at {LENGTH} tokens", truncated),
    "concatenate": ("texts concatenated, not isolated", concatenated),
    "leak": ("test rows left in the training text", tests_left_in),
}


def workspace(folder: Path, params: Params, domain: str) -> Workspace:
    """The settings, and links to everything that the stages read."""
    shutil.copy(PARAMS, folder)
    shutil.copy("dvc.yaml", folder)
    shutil.copytree(PROFILES, folder / PROFILES)
    inputs = [RAW_MODEL, MODELS / "base", *(SPLIT / name for name in os.listdir(SPLIT) if name != domain)]
    inputs += [TOKENS / name for name in os.listdir(TOKENS) if name != domain]
    inputs += [SPLIT / domain / name for name in os.listdir(SPLIT / domain)]
    for path in inputs:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(path.resolve())
    return Workspace(folder, params, domain)


def figures(measured: str, default: float, mistaken: float, difference: dict | None = None) -> dict:
    """What was measured, without and with the mistake; a difference without an interval where none is given."""
    found = {"measured": measured, "default": round(float(default), 4), "with_mistake": round(float(mistaken), 4)}
    return found | {"difference": difference or {"diff": round(float(mistaken - default), 4), "ci95": None}}


def losses(here: Workspace) -> dict:
    """The domain's loss on its own held-out text by default, with the mistake, and the paired difference."""
    folder = here.compared(LOSSES / f"{here.domain}.jsonl")
    sums, masked = losses_by_group(["default", "mistake"], folder)[here.domain]
    _, found = paired_intervals(sums, masked, here.params.active.compare.seed)
    default, mistaken = (ratio(row, masked) for row in sums)
    return figures("loss", default, mistaken, found["vs_first"])


def gain_over_base(here: Workspace, loss: float) -> dict:
    """How much better than the base the domain's model seems, with the base's head repaired and without."""
    here.dapt("evaluate", "base")
    base = read_json(here.folder / METRICS / "eval" / "base.json")[here.domain]["loss"]
    default = read_json(METRICS / "comparison.json")["matrix"][here.domain][here.domain]["vs_base"]["diff"]
    return figures("change of the loss from the base", default, loss - base)


def on_test_rows(here: Workspace, task: str) -> dict:
    """The loss on the texts of a task's test rows."""
    models = [str(root.resolve() / MODELS / here.domain) for root in (Path(), here.folder)]
    tests = str((SPLIT / "tasks" / task / "test.jsonl").resolve())
    lines = here.dapt("evaluate", "--model", *models, "--text", tests, "--json", read=True).splitlines()
    default, mistaken = map(json.loads, lines)
    return figures(f"loss on the test rows of {task}", default["loss"], mistaken["loss"], mistaken["vs_first"])


def of_task(here: Workspace, task: str) -> dict:
    """The same of the domain's model fine-tuned on a task."""
    folder, compare = here.compared(LOSSES / "tasks" / task / f"{here.domain}.jsonl"), here.params.active.compare
    found = judged(predictions(folder, ["default", "mistake"]))
    pair = metric_difference(found, found.resampled(compare.resamples, compare.seed), "mistake", "default")
    default, mistaken = found.values.mean(1)
    metric = read_json(METRICS / "tasks" / task / "base.json")["metric"]
    return figures(f"{metric} on {task}", default, mistaken, pair)


def ablation(params: Params, name: str, domain: str) -> Iterable[dict]:
    """What a mistake changes for a domain: one object per figure."""
    what, change = MISTAKES[name]
    with TemporaryDirectory(prefix="dapt-ablate-") as folder:
        here = workspace(Path(folder), params, domain)
        change(here)
        for stage in ("tokenize", "train", "evaluate"):
            here.dapt(stage, domain)
        found = [losses(here)]
        if name == "head":
            found.append(gain_over_base(here, found[0]["with_mistake"]))
        for task in tasks_of(params, domain) if name == "leak" else []:
            here.dapt("finetune", task, domain)
            found += [on_test_rows(here, task), of_task(here, task)]
        for one in found:
            yield {"mistake": what, "domain": domain} | one


def without_training(params: Params, domain: str) -> Iterable[dict]:
    """The mistakes of judging, from figures that are there: no control, and the training loss in place of that on held-out
    text."""
    cell = read_json(METRICS / "comparison.json")["matrix"][domain][domain]
    trained = read_json(METRICS / "train" / f"{domain}.json")
    alone = {"mistake": "no control", "domain": domain}
    yield alone | figures(
        "change of the loss by the domain's text", cell["vs_control"]["diff"], cell["vs_base"]["diff"]
    )
    in_training = {"mistake": "training loss in place of held-out loss", "domain": domain}
    yield in_training | figures("loss", cell["loss"], trained["last_loss"])


def told(one: dict) -> list[str]:
    """The cells of a row."""
    values = (f"{one[key]:.3f}" for key in ("default", "with_mistake"))
    return [one["mistake"], one["domain"], one["measured"], *values, signed(one["difference"])]


def run(names: list[str], as_json: bool) -> None:
    params = config.load()
    if wrong := [name for name in names if name not in MISTAKES]:
        raise UserError(f"unknown ablation {wrong[0]!r}; choose from: {', '.join(MISTAKES)}")
    domains = [name for name in params.domains if name in params.heldout and name != params.control]
    for domain in domains:
        if not (LOSSES / f"{domain}.jsonl").is_file():
            raise UserError(
                f"{LOSSES / f'{domain}.jsonl'} does not exist; make it with dvc repro, or fetch it with dvc pull"
            )
    found: list[dict] = []
    for name in names or MISTAKES:
        for domain in domains:
            if name != "leak" or tasks_of(params, domain):
                found += ablation(params, name, domain)
    for domain in [] if names else domains:
        found += without_training(params, domain)
    print("\n".join(map(json.dumps, found)) if as_json else rows(list(map(told, found)), HEADER))
