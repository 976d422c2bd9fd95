"""The comparison as tables, in Markdown and as CSV."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from dapt.core.config import Params
from dapt.core.files import whole_file, whole_folder
from dapt.core.paths import CURVES, METRICS
from dapt.judging.statistics import apart
from dapt.reporting import mistakes
from dapt.reporting.markdown import bounds, rows

CROSSDOMAIN = (
    "model,set,loss,low,high,perplexity,accuracy,accuracy_top5,vs_base,vs_base_low,vs_base_high,"
    "vs_control,vs_control_low,vs_control_high"
)
TASKS = "task,model,metric,mean,sd,low,high,vs_base,vs_base_low,vs_base_high,vs_base_p_adjusted"


def table(comparison: dict, bold: bool = False) -> str:
    """The matrix in Markdown: one row per model, one column per held-out set: loss [95 % interval]. With `bold` the lowest
    loss of each column is."""
    matrix = comparison["matrix"]
    sets = list(next(iter(matrix.values())))
    best = {held_out: min(cells[held_out]["loss"] for cells in matrix.values()) if bold else None for held_out in sets}

    def figure(held_out: str, cell: dict) -> str:
        loss = emphasised(f"{cell['loss']:.3f}", cell["loss"] == best[held_out])
        return f"{loss} {bounds(cell['loss_ci95'])}"

    return rows(
        [[name, *(figure(held_out, cell) for held_out, cell in cells.items())] for name, cells in matrix.items()],
        ["model", *sets],
    )


def emphasised(text: str, bold: bool) -> str:
    return f"**{text}**" if bold else text


def difference(cell: dict) -> str:
    """A difference and its interval."""
    return f"{cell['diff']:+.3f} {bounds(cell['ci95'], '+.3f')}"


def signed(cell: dict | None) -> str:
    """A difference of losses, which is not significant if its interval contains 0."""
    if cell is None:
        return "–"
    return difference(cell) + ("" if apart(cell["ci95"]) or cell["ci95"] is None else " (not significant)")


def mean_sd(cell: dict) -> str:
    """Mean and standard deviation over seeds."""
    return f"{cell['mean']:.3f} ± {cell['sd']:.3f}"


def accuracy(cell: dict) -> str:
    return f"{cell['accuracy']:.3f} / {cell['accuracy_top5']:.3f}"


def task_table(tasks: dict[str, dict[str, dict]], bold: bool = False) -> str:
    """The tasks in Markdown: one row per model or baseline, mean ± standard deviation over seeds; – where it has none. With
    `bold` the highest mean of each column is."""
    names = list(dict.fromkeys(name for models in tasks.values() for name in models))
    best = {task: max(cell["mean"] for cell in models.values()) if bold else None for task, models in tasks.items()}

    def figure(task: str, cell: dict | None) -> str:
        return emphasised(mean_sd(cell), cell["mean"] == best[task]) if cell else "–"

    return rows(
        [[name, *(figure(task, models.get(name)) for task, models in tasks.items())] for name in names],
        ["model", *(f"{task} ({next(iter(models.values()))['metric']})" for task, models in tasks.items())],
    )


def told(comparison: dict) -> str:
    """The tables and the choice, for a screen."""
    choice = comparison["choice"]
    return "\n\n".join(
        [
            "Loss per masked token on held-out text, with 95 % intervals over groups:",
            table(comparison),
            "Fine-tuned on the tasks, mean ± standard deviation over seeds:",
            task_table(comparison["tasks"]),
            f"Use {choice['model']} ({choice['rule']}): {choice['why']}.",
        ]
    )


def write_csv(path: Path, header: str, lines: Iterable[tuple]) -> None:
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(lines)


def flat(difference: dict | None) -> tuple:
    """A difference and its interval as three cells."""
    return (difference["diff"], *ends(difference["ci95"])) if difference else ("", "", "")


def ends(ci95: list[float] | None) -> tuple:
    """An interval as two cells."""
    return tuple(ci95) if ci95 else ("", "")


def write_tables(params: Params, comparison: dict, lines: dict[str, dict[str, list[dict]]], classes: list[str]) -> None:
    """Writes what pictures and spreadsheets are made from; `lines` are the predictions, `classes` the tasks with classes."""
    write_csv(METRICS / "crossdomain.csv", CROSSDOMAIN, crossdomain(comparison))
    write_csv(METRICS / "tasks.csv", TASKS, of_tasks(comparison))
    calibration = (
        (task, name, round(part["confidence"], 4), round(part["accuracy"], 4), part["count"])
        for task, models in lines.items()
        for name in params.finetuned
        for part in mistakes.calibration(models[name])
    )
    write_csv(METRICS / "calibration.csv", "task,model,confidence,accuracy,count", calibration)
    with whole_folder(METRICS / "confusion") as folder:
        for task in classes:
            shares = ((task, name, *pair) for name in params.finetuned for pair in mistakes.shares(lines[task][name]))
            write_csv(folder / f"{task}.csv", "task,model,right,predicted,count,share", shares)
    with whole_file(METRICS / "curves.csv") as file:
        file.write("step,loss,model,set\n")
        for domain in params.domains:
            file.write((CURVES / f"{domain}.csv").read_text(encoding="utf-8").split("\n", 1)[1])


def crossdomain(comparison: dict) -> Iterator[tuple]:
    """The lines of crossdomain.csv."""
    for name, cells in comparison["matrix"].items():
        for held_out, cell in cells.items():
            figures = (
                cell["loss"],
                *ends(cell["loss_ci95"]),
                cell["perplexity"],
                cell["accuracy"],
                cell["accuracy_top5"],
            )
            yield name, held_out, *figures, *flat(cell.get("vs_base")), *flat(cell.get("vs_control"))


def of_tasks(comparison: dict) -> Iterator[tuple]:
    """The lines of tasks.csv."""
    for task, models in comparison["tasks"].items():
        for name, cell in models.items():
            gain = cell.get("vs_base")
            adjusted = gain["p_adjusted"] if gain and gain["p_adjusted"] is not None else ""
            yield task, name, cell["metric"], cell["mean"], cell["sd"], *ends(cell["ci95"]), *flat(gain), adjusted


def differences(comparison: dict, key: str) -> str:
    matrix = comparison["matrix"]
    sets = list(next(iter(matrix.values())))
    lines = [
        [name, *(signed(cells[held_out].get(key)) for held_out in sets)]
        for name, cells in matrix.items()
        if any(key in cell for cell in cells.values())
    ]
    return rows(lines, ["model", *sets])


def accuracies(comparison: dict) -> str:
    matrix = comparison["matrix"]
    return rows(
        [[name, *map(accuracy, cells.values())] for name, cells in matrix.items()],
        ["model", *next(iter(matrix.values()))],
    )
