"""`dapt finetune T X`: models/X fine-tuned on task T, once per seed (dapt.tasks.finetuning) → metrics/tasks/T/X.json,
data/eval/tasks/T/X.jsonl (predictions on the test side), models/tasks/T/X (the first seed's model).
"""

from dapt.core import config
from dapt.core.files import made_from, whole_folder
from dapt.core.paths import MODELS, SPLIT
from dapt.tasks import scoring
from dapt.tasks.finetuning import FineTuning
from dapt.tasks.kinds import kind as kind_named
from dapt.training.optimization.device import accelerator_for


def run(task: str, name: str) -> None:
    params = config.load()
    active, settings, source = params.active, params.active_tasks[task], MODELS / name
    found = scoring.read(task, settings, active.finetune.valid)
    accelerator = accelerator_for(active.train.precision, active.finetune.threads)
    with whole_folder(MODELS / "tasks" / task / name) as out:
        job = FineTuning(f"{task}, {name}", source, settings, active.finetune, accelerator)
        scores, courses = job.all_seeds(found, out)
    extra = {
        "valid": scoring.summary([max(course) for course in courses]),
        "epochs": [len(course) for course in courses],
        "made_from": made_from(source / "model.safetensors", SPLIT / "tasks" / task),
    }
    scoring.Results(task, kind_named(settings.kind), found).write(name, scores, extra)
