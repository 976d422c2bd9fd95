"""The downstream tasks' part of the report, from metrics/comparison.json, mistakes.json and tasks/: Markdown."""

from collections.abc import Callable

from dapt.reporting.markdown import as_text, folded, rows, share
from dapt.reporting.mistakes import surest_mistake
from dapt.reporting.tables import difference, mean_sd, task_table
from dapt.reporting.task_comparison import LEVEL, has_classes, significant

BASELINES = {  # of the kinds of task in dapt.tasks.kinds
    "majority": "the most frequent label or option number of the training rows; in a ranking, one order for all questions",
    "tfidf": "logistic regression on the tf-idf weights of words, with settings chosen on the validation rows",
    "tfidf_plain": "the same with scikit-learn's default settings, trained on all labelled rows outside the test side",
    "overlap": "the option that has the most words in common with the question",
    "overlap_least": "the option that has the fewest words in common with the question",
    "bm25": "Okapi BM25 between the words of a question and those of an answer",
}
Comparisons = dict[str, dict[str, dict]]  # task → model → figures


def markdown(
    tasks: Comparisons, mistakes: dict, figures: Comparisons, about: dict[str, str], split: dict, overlap: int
) -> str:
    """`figures` is metrics/tasks; `about` says what each task asks; `split` is metrics/split.json, and `overlap` its setting."""
    like = {task: of["train_like_test"] for task, of in split["tasks"].items()}
    parts = [results(tasks, figures, about, like, overlap), comparisons(tasks, figures), errors(mistakes, figures)]
    return "\n".join(parts)


def verdict(tasks: Comparisons) -> str:
    """Which adapted models differ significantly from the base fine-tuned in the same way, and on which tasks a baseline is
    better than every model."""
    better = by_task(tasks, "vs_base", lambda pair: significant(pair) and pair["diff"] > 0)
    worse = by_task(tasks, "vs_base", lambda pair: significant(pair) and pair["diff"] < 0)
    said = (
        f"significantly better than the base: {better}."
        if better
        else "no adapted model is significantly better than the base."
    )
    said += f" Significantly worse: {worse}." if worse else ""
    return f"Fine-tuned on the tasks, {said}{beaten(tasks)}"


def beaten(tasks: Comparisons) -> str:
    """The tasks on which a baseline scores higher than every fine-tuned model, and on which significantly."""
    pairs = {task: [cell["vs_free"] for cell in models.values() if "vs_free" in cell] for task, models in tasks.items()}
    below = [task for task, of in pairs.items() if all(pair["diff"] < 0 for pair in of)]
    clearly = [task for task in below if all(map(significant, pairs[task]))]
    if not below:
        return ""
    how = f"significantly on {', '.join(clearly)}" if clearly else "not significantly"
    return f" On {', '.join(below)} a baseline that needs no neural network scores higher than every model ({how})."


def best_baseline(models: dict[str, dict]) -> str:
    """The best baseline of a task, and its figure."""
    name = next(cell["vs_free"]["name"] for cell in models.values() if "vs_free" in cell)
    return f"{name} {models[name]['mean']:.3f}"


def by_task(tasks: Comparisons, key: str, chosen: Callable[[dict], bool]) -> str:
    """The models of each task whose difference is one of those chosen: `on TASK (MODEL, MODEL); on …`."""
    found = {
        task: [name for name, cell in models.items() if key in cell and chosen(cell[key])]
        for task, models in tasks.items()
    }
    return "; ".join(f"on {task} ({', '.join(names)})" for task, names in found.items() if names)


def baselines(tasks: Comparisons) -> str:
    """What the baselines of these tasks do."""
    names = dict.fromkeys(name for models in tasks.values() for name in models)
    return "\n".join(f"- {name}: {BASELINES[name]}" for name in names if name in BASELINES)


def results(tasks: Comparisons, figures: Comparisons, about: dict[str, str], like: dict[str, int], overlap: int) -> str:
    looked_at = max(
        found["unseen_in"] for models in figures.values() for found in models.values() if "unseen_in" in found
    )
    return f"""## Downstream tasks

Mean ± standard deviation over seeds. The upper rows are encoders fine-tuned on the task, the lower ones baselines that need
no neural network; the best of each column is bold.

{task_table(tasks, bold=True)}

{baselines(tasks)}

{asked(figures, about, like)}

{folded("How the tasks are kept apart from pre-training", apart(overlap, looked_at))}
{labels_by_side(figures)}"""


def asked(figures: Comparisons, about: dict[str, str], like: dict[str, int]) -> str:
    lines = []
    for task, models in figures.items():
        counts = {name: f"{count:,}" for name, count in models["base"]["rows"].items()}
        trained_on, test = f"{counts['train']} of {counts['train_of']}", f"{counts['test']} / {counts['test_groups']}"
        seeds = len(models["base"]["seeds"])
        cells = [counts["candidates"], trained_on, f"{like[task]:,}", counts["valid"], test, seeds]
        lines.append([task, about[task], *cells])
    header = ["task", "what is asked", "candidates", "training rows", "like a test row", "valid rows"]
    header += ["test rows / groups", "seeds"]
    return f"""{rows(lines, header)}

Exactly one of the candidates of a row is right: one of the labels, one of the options, or one of all answers of the test
side. Training rows that nearly equal a test row stay, so that results on a published split can be compared; they flatter
models and baselines alike."""


def apart(overlap: int, looked_at: int) -> str:
    return f"""No pre-training text, neither for training nor for validation, equals a test row of a task, nearly equals one or has
{overlap} successive words in common with one ({looked_at:,} texts were compared). The *training* rows of a task may be among
the pre-training text, so a gain combines the effect of the domain's text with that of some of the task's own.

Encoders read the first tokens of a text (`length` in the profile); the baselines read all of it."""


def labels_by_side(figures: Comparisons) -> str:
    """For tasks whose candidates are labels: the share of each label on each side, and how much the sides differ."""
    found = {task: models["majority"] for task, models in figures.items() if "labels" in models["majority"]}
    if not found:
        return ""
    lines = []
    for task, of in found.items():
        for label in sorted({label for side in of["labels"].values() for label in side}):
            shares = [share(side.get(label, 0) / sum(side.values())) for side in of["labels"].values()]
            lines.append([task, as_text(label), *shares])
    distances = "; ".join(
        f"{task}: " + ", ".join(f"{side} {far:.2f}" for side, far in of["label_distance"].items())
        for task, of in found.items()
    )
    body = f"""Total variation distance from the training rows (0: equal shares, 1: no label in common). {distances}.

{rows(lines, ["task", "label", "train", "valid", "test"])}"""
    return f"\n{folded('How often each label occurs on each side', body)}\n"


def comparisons(tasks: Comparisons, figures: Comparisons) -> str:
    return f"""### Gain over fine-tuning the base

The difference to the base fine-tuned in the same way, its 95 % interval (paired bootstrap over test groups, of means over
these seeds), and p, adjusted by Holm's method for all cells of this table. A difference is significant if p is below {LEVEL};
the intervals are not adjusted, so one that does not contain 0 may belong to a difference that is not significant.

{gains(tasks)}

### Compared with baselines that need no neural network

{free(tasks)}

{on_same_rows(figures)}{others(tasks)}
"""


def gain(cell: dict) -> str:
    """A difference of a metric, with its adjusted p if it has one."""
    return difference(cell) + (f", p {cell['p_adjusted']:.3f}" if cell.get("p_adjusted") is not None else "")


def gains(tasks: Comparisons) -> str:
    """What pre-training gains over fine-tuning alone."""
    names = [name for name, cell in next(iter(tasks.values())).items() if "vs_base" in cell]
    return rows(
        [[name, *(gain(models[name]["vs_base"]) for models in tasks.values())] for name in names], ["model", *tasks]
    )


def free(tasks: Comparisons) -> str:
    """The models compared with the best baseline; those below it are named, whether significantly or not."""
    lines = [
        [task, name, cell["vs_free"]["name"], gain(cell["vs_free"])]
        for task, models in tasks.items()
        for name, cell in models.items()
        if "vs_free" in cell
    ]
    lost = by_task(tasks, "vs_free", lambda pair: pair["diff"] < 0 and significant(pair))
    below = by_task(tasks, "vs_free", lambda pair: pair["diff"] < 0 and not significant(pair))
    said = f"**Significantly worse than the best baseline: {lost}.**" if lost else "No model is significantly worse."
    said += f" Below it, but not significantly: {below}." if below else ""
    table = rows(lines, ["task", "model", "best baseline", "difference"])
    return f"""{said} The best baseline is the one that is best on the test side; p is adjusted by Holm's method for all rows.

{folded("Every difference to the best baseline", table)}"""


def on_same_rows(figures: Comparisons) -> str:
    """What baselines reach on the rows that encoders see, if a limit leaves fewer of these; empty otherwise."""
    found = [
        f"{name} on {task} " + ", ".join(f"{metric} {value:.3f}" for metric, value in of["same_rows"].items())
        for task, models in figures.items()
        for name, of in models.items()
        if "same_rows" in of
    ]
    return (
        f"The encoders see only some of the rows. On those, the baselines reach: {'; '.join(found)}.\n\n"
        if found
        else ""
    )


def others(tasks: Comparisons) -> str:
    """The tasks' further metrics, one row per figure; empty where no task has any."""
    metrics = list(dict.fromkeys(metric for of in tasks.values() for cell in of.values() for metric in cell["others"]))
    lines = [
        [task, name, *(mean_sd(cell["others"][metric]) if metric in cell["others"] else "–" for metric in metrics)]
        for task, models in tasks.items()
        for name, cell in models.items()
        if cell["others"]
    ]
    return folded("Other metrics", rows(lines, ["task", "model", *metrics])) if lines else ""


def errors(mistakes: dict, figures: Comparisons) -> str:
    details = [folded("Confidence and share of correct answers", CALIBRATION), confusions(figures)]
    shown = "\n\n".join(filter(None, details))
    return f"""## Errors

The expected calibration error says how far a model's confidence is from its share of correct answers (0 is best).

{confused(mistakes)}

{shown}

### Most confident mistakes

For each model the wrong predictions with the highest confidence, each from the seed that was most confident. If the licence of
a task's text does not allow to print it, a row is named by its id: `grep ID data/split/tasks/TASK/test.jsonl` shows it.

{surest(mistakes)}
"""


CALIBRATION = """A model is overconfident where its points are below the dashed line, and underconfident above it. A larger
point stands for more predictions with that confidence.

![Confidence of each model against its share of correct answers](calibration.svg)"""


def confused(mistakes: dict) -> str:
    lines = []
    for task, models in mistakes.items():
        for name, found in models.items():
            if found["calibration_error"] is not None:
                pairs = [f"{pair['right']} → {pair['predicted']} ({pair['times']})" for pair in found["confused"][:3]]
                lines.append([task, name, f"{found['calibration_error']:.3f}", as_text(", ".join(pairs)) or "–"])
    return rows(
        lines, ["task", "model", "calibration error", "most frequent confusions: right → predicted (times, all seeds)"]
    )


def confusions(figures: Comparisons) -> str:
    pictures = "\n\n".join(
        f"![Right and predicted labels of {task}, by model](confusion_{task}.svg)"
        for task, models in figures.items()
        if has_classes(models["base"])
    )
    how = """Each row contains the test rows with that label, over all seeds, and each column those predicted as that label. Correct
predictions are on the diagonal; a dark cell elsewhere is a pair of labels that is confused. Shares of few predictions
(grey) say little."""
    return folded("Which labels are confused with which", f"{how}\n\n{pictures}") if pictures else ""


def surest(mistakes: dict) -> str:
    """One folded table per task: the surest mistakes of each fine-tuned model, in words where the licence allows it."""
    return "\n\n".join(
        folded(
            f"Mistakes on {task}",
            rows(
                [
                    [name, *mistake(row)]
                    for name, found in models.items()
                    if found["calibration_error"] is not None
                    for row in found["worst"][:2]
                ],
                ["model", "row", "right", "predicted", "confidence"],
            ),
        )
        for task, models in mistakes.items()
    )


def mistake(row: dict) -> list[str]:
    """The cells of a mistake after the model's name."""
    sure, predicted = surest_mistake(row)
    if "text" not in row:
        return [f"`{row['id']}`", as_text(row["right"]), as_text(predicted), f"{sure:.2f}"]
    return [*(as_text(row[key]) for key in ("text", "right_text", "predicted_text")), f"{sure:.2f}"]
