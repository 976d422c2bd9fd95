"""The downstream tasks' part of the report, from metrics/comparison.json, mistakes.json and tasks/: Markdown."""

from dapt.reporting.markdown import rows, share
from dapt.reporting.tables import difference, mean_sd, task_table
from dapt.reporting.task_comparison import has_classes, significant


def gain(cell: dict) -> str:
    """A difference of a metric, with its adjusted p where there is one."""
    return difference(cell) + (f", p {cell['p_adjusted']:.3f}" if cell.get("p_adjusted") is not None else "")


def gains(tasks: dict[str, dict[str, dict]]) -> str:
    """What pre-training gains over fine-tuning alone."""
    names = [name for name, cell in next(iter(tasks.values())).items() if "vs_base" in cell]
    return rows(
        [[name, *(gain(models[name]["vs_base"]) for models in tasks.values())] for name in names], ["model", *tasks]
    )


def free(tasks: dict[str, dict[str, dict]]) -> str:
    """The models against the best baseline; those behind one are named, beyond noise (adjusted for the cells of the table) and
    within it."""
    lines = []
    lost: dict[str, list[str]] = {}
    behind: dict[str, list[str]] = {}
    for task, models in tasks.items():
        for name, cell in models.items():
            if pair := cell.get("vs_free"):
                lines.append([task, name, pair["name"], gain(pair)])
                if pair["diff"] < 0:
                    (lost if significant(pair) else behind).setdefault(f"{task} (to {pair['name']})", []).append(name)
    verdict = (
        f"**These lose to a free baseline, beyond noise: {by_task(lost)}.**"
        if lost
        else "No model loses to a free baseline beyond noise."
    )
    verdict += f" Behind one, within noise: {by_task(behind)}." if behind else ""
    return f"{verdict}\n\n{rows(lines, ['task', 'model', 'best free baseline', 'difference'])}"


def by_task(models: dict[str, list[str]]) -> str:
    return "; ".join(f"on {task} {', '.join(names)}" for task, names in models.items())


def on_same_rows(figures: dict[str, dict[str, dict]]) -> str:
    """What baselines reach on the rows that encoders see, where a limit leaves these fewer; empty where there is none."""
    found = [
        f"{name} on {task} " + ", ".join(f"{metric} {value:.3f}" for metric, value in of["same_rows"].items())
        for task, models in figures.items()
        for name, of in models.items()
        if "same_rows" in of
    ]
    return f"On the rows that the encoders see, fewer than all: {'; '.join(found)}.\n\n" if found else ""


def others(tasks: dict[str, dict[str, dict]]) -> str:
    lines = [
        [task, name, *(f"{metric} {mean_sd(value)}" for metric, value in cell["others"].items())]
        for task, models in tasks.items()
        for name, cell in models.items()
        if cell["others"]
    ]
    width = max((len(line) for line in lines), default=2)
    return rows([line + [""] * (width - len(line)) for line in lines], ["task", "model", *["figure"] * (width - 2)])


def mistake(row: dict) -> str:
    """The id of a row and, of the seed that was the surest of a wrong answer, what it took for what, and how sure it was."""
    sure, predicted = max(
        (sure, name) for sure, name in zip(row["confidence"], row["predicted"]) if name != row["right"]
    )
    return f"`{row['id']}` {row['right']} as {predicted}, {sure:.2f}"


def mistakes_table(mistakes: dict) -> str:
    lines = []
    for task, models in mistakes.items():
        for name, found in models.items():
            if found["calibration_error"] is not None:
                mixed = ", ".join(
                    f"{pair['right']} as {pair['predicted']} ({pair['times']})" for pair in found["confused"][:3]
                )
                worst = "; ".join(map(mistake, found["worst"][:2]))
                lines.append([task, name, f"{found['calibration_error']:.3f}", mixed or "–", worst or "–"])
    return rows(
        lines,
        ["task", "model", "calibration error", "mixed up most often (times, over seeds)", "surest mistakes, how sure"],
    )


def confusions(figures: dict[str, dict[str, dict]]) -> str:
    return "\n\n".join(
        f"![Right and predicted labels of {task}, by model](confusion_{task}.svg)"
        for task, models in figures.items()
        if has_classes(models["base"])
    )


def markdown(
    tasks: dict[str, dict[str, dict]],
    mistakes: dict,
    figures: dict[str, dict[str, dict]],
    about: dict[str, str],
    overlap: int,
) -> str:
    """`figures` is metrics/tasks: task → model → figures; `about` what each task asks; `overlap` as in the split."""
    parts = [
        asked(figures, about),
        results(tasks, figures, overlap),
        comparisons(tasks, figures),
        what_is_wrong(mistakes, figures),
    ]
    return "\n".join(parts)


def asked(figures: dict[str, dict[str, dict]], about: dict[str, str]) -> str:
    lines = []
    for task, models in figures.items():
        counts = {name: f"{count:,}" for name, count in models["base"]["rows"].items()}
        trained_on, test = f"{counts['train']} of {counts['train_of']}", f"{counts['test']} / {counts['test_groups']}"
        seeds = len(models["base"]["seeds"])
        lines.append([task, about[task], counts["candidates"], trained_on, counts["valid"], test, seeds])
    header = ["task", "what is asked", "candidates", "rows trained on", "valid", "test rows / groups", "seeds"]
    return f"""## Downstream tasks

{rows(lines, header)}

One of a row's candidates is right: labels, options, or all answers of the test side.

{labels_by_side(figures)}"""


def labels_by_side(figures: dict[str, dict[str, dict]]) -> str:
    """Of tasks whose candidates are labels, the share of each on each side, and how far the sides lie apart."""
    found = {task: models["majority"] for task, models in figures.items() if "labels" in models["majority"]}
    if not found:
        return ""
    lines = []
    for task, of in found.items():
        for label in sorted({label for side in of["labels"].values() for label in side}):
            shares = [share(side.get(label, 0) / sum(side.values())) for side in of["labels"].values()]
            lines.append([task, label, *shares])
    apart = "; ".join(
        f"{task} {' and '.join(f'{side} {far:.2f}' for side, far in of['label_distance'].items())}"
        for task, of in found.items()
    )
    return f"""How often each label stands on each side. Total variation from the training rows (0: the same shares, 1: no label in
common): {apart}.

{rows(lines, ["task", "label", "train", "valid", "test"])}

"""


def results(tasks: dict[str, dict[str, dict]], figures: dict[str, dict[str, dict]], overlap: int) -> str:
    looked_at = max(
        found["unseen_in"] for models in figures.values() for found in models.values() if "unseen_in" in found
    )
    return f"""Each model fine-tuned on each task, mean ± standard deviation over seeds; below them what costs nothing. No test row's
text is in any training or validation set of a pre-training ({looked_at:,} texts were looked at), nor one that is nearly
equal or shares {overlap} words in a row. The tasks' *training* texts may be there, so that a gain is that of the domain's
text with some of the task's own. An encoder reads the first tokens of a text (`length` in the profile), a count of words
all of it.

{task_table(tasks)}

![Each model on each task](tasks.svg)
"""


def comparisons(tasks: dict[str, dict[str, dict]], figures: dict[str, dict[str, dict]]) -> str:
    return f"""### What pre-training gains over fine-tuning alone

Against the base fine-tuned in the same way: the difference, its 95 % interval (paired bootstrap over test groups, of the
mean over these seeds), and p, adjusted by Holm for all cells of this table.

{gains(tasks)}

### Against what costs nothing

The best baseline is the one that is best on the test side. p is adjusted by Holm for all cells of this table.

{free(tasks)}

{on_same_rows(figures)}### Other figures

{others(tasks)}
"""


def what_is_wrong(mistakes: dict, figures: dict[str, dict[str, dict]]) -> str:
    return f"""### Errors

Calibration error: how far confidence and share of right answers lie apart (0 is best). A mistake is named by its row,
what was taken for what, and with which confidence (`grep ID data/split/tasks/TASK/test.jsonl` shows it).

{mistakes_table(mistakes)}

Below the dashed line a model is surer than it is right, above it less sure; the larger a point, the more predictions have
such a confidence.

![Confidence of each model against its share of right answers](calibration.svg)

Where the labels are classes: a row holds the test rows that have a label, over all seeds, a column what was predicted. On
the diagonal stands what is right; a dark cell beside it is a pair that is mixed up. Shares of few predictions (gray) say
little.

{confusions(figures)}
"""
