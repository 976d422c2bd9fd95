"""`dapt finetune T X`: models/X fine-tuned on task T, once per seed (dapt.tasks.finetuning) → metrics/tasks/T/X.json,
data/eval/tasks/T/X.jsonl (predictions on the test side), models/tasks/T/X (the first seed's model).

After an interruption it continues with the remaining seeds and epochs (dapt.tasks.seed_state).
"""

import shutil

from accelerate import Accelerator

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import made_from, whole_folder
from dapt.core.paths import MODELS, SPLIT, events_if_launched
from dapt.tasks import readme, scoring
from dapt.tasks.finetuning import FineTuning
from dapt.tasks.kinds import kind as kind_named
from dapt.tasks.seed_state import Seeds
from dapt.telling.gpu_failures import gpu_failures
from dapt.training import resume
from dapt.training.code import deciding
from dapt.training.optimization.device import accelerator_for


def all_that_decides(params: Params, task: str, name: str, accelerator: Accelerator) -> dict[str, object]:
    """Everything that decides the bits of a fine-tuning: the key of its saved state."""
    settings = params.active_tasks[task]
    found: dict[str, object] = {
        "data": made_from(MODELS / name, SPLIT / "tasks" / task),
        "precision": accelerator.mixed_precision,
        "device": accelerator.device.type,  # each has its own random numbers
    }
    found |= deciding("dapt.stages.finetune")
    found |= deciding(kind_named(settings.kind).__name__)  # found by its name, so no module imports it
    for part, values in (("finetune", params.active.finetune), (f"tasks.{task}", settings)):
        found |= {f"{part}.{setting}": value for setting, value in values.model_dump().items()}
    return found


@gpu_failures("make finetune.batch or the task's length smaller", lambda: "finished seeds and saved epochs are kept")
def run(task: str, name: str) -> None:
    params = config.load()
    active, settings, source = params.active, params.active_tasks[task], MODELS / name
    found = scoring.read(task, settings, active.finetune.valid)
    accelerator = accelerator_for(active.train.precision, active.finetune.threads)
    decides = all_that_decides(params, task, name, accelerator)
    title = f"finetune-{task}-{name}"
    state = resume.folder_of(title, decides)
    for line in resume.passed_over(state, title, decides):
        print(line, flush=True)
    seeds = Seeds(state, events_if_launched("finetune", f"{task}-{name}").tell)
    with resume.locked(state, decides):
        seeds.tell("checkpoint", step=seeds.saved())
        for left_by_a_killed_one in (MODELS / "tasks" / task).glob(f".{name}.[0-9]*.tmp"):
            shutil.rmtree(left_by_a_killed_one)
        with whole_folder(MODELS / "tasks" / task / name) as out:
            job = FineTuning(f"{task}, {name}", source, settings, active.finetune, accelerator, seeds)
            scores, courses = job.all_seeds(found, out)
            readme.write(out, task, name, settings, active.finetune)
        extra = {
            "valid": scoring.summary([max(course) for course in courses]),
            "epochs": [len(course) for course in courses],
            "made_from": made_from(source / "model.safetensors", SPLIT / "tasks" / task),
        }
        scoring.Results(task, kind_named(settings.kind), found).write(name, scores, extra)
        resume.forget(state)
