"""The README.md of models/tasks/TASK/MODEL."""

from pathlib import Path

from dapt.core.config import Finetune, Task
from dapt.model import readme
from dapt.tasks.kinds import kind as kind_named


def write(folder: Path, task: str, model: str, of: Task, settings: Finetune) -> None:
    """What the model was fine-tuned for, with which settings, and how to use it."""
    kind, place = kind_named(of.kind), f"models/tasks/{task}/{model}"
    told = {"epochs": f"up to {of.epochs}", "batch": settings.batch, "lr": of.lr, "length": of.length}
    told |= {name: getattr(settings, name) for name in ("warmup", "weight_decay", "clip", "dropout")}
    told |= {"lora": f"rank {settings.lora.rank}, alpha {settings.lora.alpha}"} if settings.lora else {}
    text = f"""models/{model} of the repository, fine-tuned on the task {task}, which is of the kind {of.kind}
(`dapt finetune {task} {model}`). Of the seeds {", ".join(map(str, settings.seeds))} it is the first one's model.

- Settings: {", ".join(f"{name} {value}" for name, value in told.items())}. The best epoch on the validation side was kept.
- What is longer than {of.length} tokens was cut.

## Use

```python
{kind.use(place, of)}```

`{place}` is this folder; write where your copy of it is.

docs/use.md of the repository has more examples. metrics/tasks/{task}/{model}.json there has the figures on the test side, over
all seeds. The licences of all texts and models are in reports/report.md: read them before you pass the model on.
"""
    readme.write(folder, f"{task}, {model}", text, tags=[task, model], **kind.CARD)
