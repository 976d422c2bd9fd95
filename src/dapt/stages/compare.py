"""`dapt compare`: all models on all held-out sets, which differences are significant, and which model to use.

Reads metrics/eval, metrics/tasks, data/eval, data/curves and data/split/tasks; writes metrics/comparison.json and mistakes.json,
and for pictures and spreadsheets crossdomain.csv, tasks.csv, curves.csv, calibration.csv and confusion/TASK.csv. Differences are
paired: both models' figures come from the same resamples of the same groups. A difference of losses is negative if the model is
better, a difference on a task positive.
"""

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import made_from, read_json, read_lines, write_json
from dapt.core.paths import LOSSES, METRICS, SPLIT
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
    write_json(
        COMPARISON, comparison | {"made_from": made_from(LOSSES, METRICS / "eval", METRICS / "tasks", SPLIT / "tasks")}
    )
    classes = [task for task, of in scores.items() if task_comparison.has_classes(of["base"])]
    write_json(METRICS / "mistakes.json", task_comparison.mistakes_of(lines, classes, params.finetuned, texts(params)))
    write_tables(params, comparison, lines, classes)
    print(told(comparison))


def texts(params: Params) -> dict[str, dict[str, dict]]:
    """Of each task the rows of its test side, by id, if the licences of all its sources allow to show them."""
    return {task: rows_to_show(params, task) for task in params.tasks}


def rows_to_show(params: Params, task: str) -> dict[str, dict]:
    sources = params.active.corpora[params.active.tasks[task].corpus]
    if not all(source.show for source in sources):
        return {}
    return {row["id"]: row for row in read_lines(SPLIT / "tasks" / task / "test.jsonl")}
