"""The tables of the last comparison for a paper."""

from dapt.core.files import read_json
from dapt.reporting.comparison import COMPARISON
from dapt.reporting.provenance import provenance
from dapt.reporting.tables import differences, table, task_table
from dapt.reporting.task_sections import gains


def tex(markdown: str) -> str:
    """A Markdown table as a LaTeX one (booktabs)."""
    head, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines())

    def line(cells: list[str]) -> str:
        text = " & ".join(cells).replace("_", "\\_").replace("±", "$\\pm$").replace("–", "--")
        return f"{text} \\\\"

    return "\n".join(
        [
            f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            "\\toprule",
            line(head),
            "\\midrule",
            *map(line, body),
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


def latex() -> str:
    comparison = read_json(COMPARISON)
    tables = {
        "Loss a masked token on held-out text [95 % interval]": table(comparison),
        "Difference to the base": differences(comparison, "vs_base"),
        "Difference to the control": differences(comparison, "vs_control"),
        "Fine-tuned, mean and standard deviation over seeds": task_table(comparison["tasks"]),
        "What pre-training gains over fine-tuning alone, p adjusted by Holm": gains(comparison["tasks"]),
    }
    return "\n\n".join([f"% {provenance()}", *(f"% {title}\n{tex(of)}" for title, of in tables.items())])
