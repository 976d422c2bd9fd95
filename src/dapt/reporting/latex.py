"""The last comparison as tables for a paper: one per question, in the style of booktabs, each with caption and label."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from dapt.judging.statistics import apart
from dapt.reporting.task_comparison import LEVEL, significant

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}  # other characters in LaTeX's old fonts
SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}
INTERVALS = r"Subscripts: 95\,\% intervals (bootstrap over source records)."
APART, HOLM = "^{*}", r"^{\dagger}"
BOLD = "Bold: the best of each column."


@dataclass(frozen=True)
class Cell:
    """A figure as it is printed, followed by a mark if it is significant and by its spread; all in math mode, so that a minus
    sign is printed as one."""

    figure: str
    mark: str = ""
    spread: str = ""

    def tex(self, bold: bool) -> str:
        figure = f"\\mathbf{{{self.figure}}}" if bold else self.figure
        return f"${figure}{self.mark}{self.spread}$"


Rows = dict[str, list[Cell | None]]  # model → a cell per column; None where it has no figure


@dataclass(frozen=True)
class Table:
    """The table that answers one question. `header` has lines of plain text; a rule separates `blocks`."""

    label: str
    caption: str
    header: list[list[str]]
    blocks: list[Rows]
    highest: bool = False  # whether the highest figure is the best one, not the lowest

    def tex(self) -> str:
        columns = zip(*(cells for rows in self.blocks for cells in rows.values()))
        best = [self.best(column) for column in columns]
        parts = [[line(map(escape, names)) for names in self.header]]
        parts += [
            [
                line(
                    [escape(name), *(cell.tex(cell.figure == top) if cell else "--" for cell, top in zip(cells, best))]
                )
                for name, cells in rows.items()
            ]
            for rows in self.blocks
        ]
        body = "\n\\midrule\n".join("\n".join(part) for part in parts)
        return f"""\\begin{{table}}[t]
\\centering
\\small
\\caption{{{self.caption}}}
\\label{{tab:{self.label}}}
\\begin{{tabular}}{{l{"r" * len(best)}}}
\\toprule
{body}
\\bottomrule
\\end{{tabular}}
\\end{{table}}"""

    def best(self, column: Iterable[Cell | None]) -> str:
        """The best figure as it is printed, so that figures that look equal are equally good."""
        return (max if self.highest else min)((cell.figure for cell in column if cell), key=float)


def line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def escape(text: str) -> str:
    """Plain text as LaTeX prints it.

    >>> print(escape("my_model, 100%"))
    my\\_model, 100\\%
    """
    return "".join(SPECIAL.get(character, character) for character in text)


def brackets(ci95: list[float] | None, form: str = ".3f") -> str:
    """An interval as a subscript, where there is one."""
    return f"_{{[{ci95[0]:{form}},\\,{ci95[1]:{form}}]}}" if ci95 else ""


def difference(found: dict, mark: str) -> Cell:
    return Cell(f"{found['diff']:+z.3f}", mark, brackets(found["ci95"], "+z.3f"))


def apart_mark(found: dict | None) -> str:
    """The mark of a paired difference of losses, which has an interval but no p."""
    return APART if found and apart(found["ci95"]) else ""


def holm_mark(found: dict | None) -> str:
    """The mark of a difference on a task, whose p is adjusted."""
    return HOLM if found and significant(found) else ""


def losses(matrix: dict[str, dict[str, dict]]) -> Table:
    rows: Rows = {
        name: [
            Cell(f"{cell['loss']:.3f}", apart_mark(cell.get("vs_base")), brackets(cell["loss_ci95"]))
            for cell in cells.values()
        ]
        for name, cells in matrix.items()
    }
    caption = (
        f"Masked-language-model loss per masked token on held-out text; lower is better. {INTERVALS} {BOLD} "
        f"${APART}$: differs from the base, as the interval of the paired difference excludes 0 (not adjusted for the "
        "number of differences)."
    )
    return Table("losses", caption, [["model", *next(iter(matrix.values()))]], [rows])


def loss_differences(matrix: dict[str, dict[str, dict]], key: str, to: str) -> Table:
    """The differences under `key`, which is vs_base or vs_control; `to` names that model in the caption."""
    rows: Rows = {
        name: [difference(cell[key], apart_mark(cell[key])) for cell in cells.values()]
        for name, cells in matrix.items()
        if any(key in cell for cell in cells.values())
    }
    caption = (
        f"Paired difference of the loss per masked token to that of {to}, on the same held-out text; negative is better. "
        f"{INTERVALS} {BOLD} ${APART}$: the interval excludes 0 (not adjusted for the number of differences)."
    )
    return Table(f"losses-{key.replace('_', '-')}", caption, [["model", *next(iter(matrix.values()))]], [rows])


def tasks_header(tasks: dict[str, dict[str, dict]]) -> list[list[str]]:
    """The tasks, and below each its metric."""
    return [["", *tasks], ["model", *(next(iter(models.values()))["metric"] for models in tasks.values())]]


def task_cell(cell: dict, finetuned: bool) -> Cell:
    spread = f" \\pm {cell['sd']:.3f}" if finetuned else ""
    return Cell(f"{cell['mean']:.3f}", holm_mark(cell.get("vs_base")), spread)


def task_results(tasks: dict[str, dict[str, dict]]) -> Table:
    """Fine-tuned models, and below them baselines, which have a single run and therefore no spread."""
    found = {name: [of.get(name) for of in tasks.values()] for name in dict.fromkeys(chain(*tasks.values()))}
    finetuned = {name for name, cells in found.items() if any(cell and "vs_free" in cell for cell in cells)}

    def row(name: str) -> list[Cell | None]:
        return [task_cell(cell, name in finetuned) if cell else None for cell in found[name]]

    blocks = [{name: row(name) for name in found if (name in finetuned) == of} for of in (True, False)]
    caption = (
        "Downstream tasks, each by the metric below its name; higher is better. Fine-tuned models: mean $\\pm$ standard "
        f"deviation over seeds; below the line: baselines without a neural network, of a single run. {BOLD} "
        f"{holm_words('differs from the base fine-tuned in the same way')}"
    )
    return Table("tasks", caption, tasks_header(tasks), blocks, highest=True)


def task_gains(tasks: dict[str, dict[str, dict]]) -> Table:
    names = [name for name, cell in next(iter(tasks.values())).items() if "vs_base" in cell]
    rows: Rows = {
        name: [difference(gain, holm_mark(gain)) for gain in (models[name]["vs_base"] for models in tasks.values())]
        for name in names
    }
    caption = (
        "What pre-training gains on downstream tasks over fine-tuning alone: paired difference to the base fine-tuned in "
        f"the same way, of means over seeds; positive is better. {INTERVALS} {BOLD} {holm_words('significant')}"
    )
    return Table("tasks-vs-base", caption, tasks_header(tasks), [rows], highest=True)


def holm_words(what: str) -> str:
    return f"${HOLM}$: {what} ($p < {LEVEL}$, paired bootstrap, adjusted by Holm's method for all models and tasks)."


def latex(comparison: dict, origin: Iterable[str]) -> str:
    """The tables of metrics/comparison.json, after comments: `origin`, which says where the figures come from, and what LaTeX
    needs."""
    matrix, tasks = comparison["matrix"], comparison["tasks"]
    control = next(name for name, cells in matrix.items() if not any("vs_control" in cell for cell in cells.values()))
    tables = [
        losses(matrix),
        loss_differences(matrix, "vs_base", "the base"),
        loss_differences(
            matrix, "vs_control", f"the control, {escape(control)}, which was trained for as many steps on general text"
        ),
        task_results(tasks),
        task_gains(tasks),
    ]
    comments = [*origin, r"needs \usepackage{booktabs} and no other package"]
    return "\n\n".join(["\n".join(f"% {comment}" for comment in comments), *(table.tex() for table in tables)])
