"""`dapt compare`: all models on all held-out sets, what differs beyond noise, and which model to use.

Reads metrics/eval, metrics/tasks, data/eval and data/curves; writes metrics/comparison.json and mistakes.json, and for pictures
and spreadsheets crossdomain.csv, tasks.csv, curves.csv, calibration.csv and confusion/TASK.csv. Differences are paired: both
models' figures come from the same resamples of the same groups. A difference of losses is negative where the model is better,
one of tasks positive.
"""

from dapt.core import config
from dapt.core.files import made_from, read_json, write_json
from dapt.core.paths import LOSSES, METRICS
from dapt.reporting import task_comparison
from dapt.reporting.comparison import COMPARISON, check_tokenizers, compare, losses_by_group
from dapt.reporting.tables import told, write_tables


def run() -> None:
    params = config.load()
    evaluated = {name: read_json(METRICS / "eval" / f"{name}.json") for name in params.models}
    check_tokenizers(evaluated)
    scores = {
        task: {
            name: read_json(METRICS / "tasks" / task / f"{name}.json")
            for name in (*params.finetuned, "majority", of.words)
        }
        for task, of in params.tasks.items()
    }
    lines = {task: task_comparison.predictions(LOSSES / "tasks" / task, list(of)) for task, of in scores.items()}
    for task, of in params.tasks.items():
        scores[task] |= scores[task][of.words]["variants"]
    comparison = compare(
        params,
        losses_by_group(params.models, LOSSES),
        evaluated,
        {task: task_comparison.judged(of) for task, of in lines.items()},
        scores,
    )
    write_json(COMPARISON, comparison | {"made_from": made_from(LOSSES, METRICS / "eval", METRICS / "tasks")})
    classes = [task for task, of in scores.items() if task_comparison.has_classes(of["base"])]
    write_json(METRICS / "mistakes.json", task_comparison.mistakes_of(lines, classes, params.finetuned))
    write_tables(params, comparison, lines, classes)
    print(told(comparison))
