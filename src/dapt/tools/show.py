"""`dapt compare --print` and `--latex`: what the last comparison found, on the screen or for a paper.

Here, and in what `dapt report --export` writes, stands what differs between two runs and is therefore in no file that DVC
tracks: the commit, dvc.lock's hash, and how long the trainings took.
"""

import subprocess
from pathlib import Path

from dapt.reporting import original_runs
from dapt.launch import durations
from dapt.stages.compare import COMPARISON, table, task_table, told
from dapt.core.files import numbers, read_json, sha256
from dapt.core.paths import METRICS
from dapt.stages.report import differences
from dapt.reporting.task_sections import gains

LOCK = Path("dvc.lock")


def provenance() -> str:
    """Which commit, with `-dirty` where tracked files differ from it, and the hash of dvc.lock."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(asked, capture_output=True, text=True)
    commit = done.stdout.strip() if done.returncode == 0 else "none"
    lock = sha256(LOCK) if LOCK.is_file() else "none"
    return f"commit {commit}, dvc.lock sha256 {lock}"


def tex(markdown: str) -> str:
    """A Markdown table as a LaTeX one (booktabs)."""
    head, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines())

    def line(cells: list[str]) -> str:
        text = " & ".join(cells).replace("_", "\\_").replace("±", "$\\pm$").replace("–", "--")
        return f"{text} \\\\"

    return "\n".join([f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", "\\toprule", line(head), "\\midrule",
                      *map(line, body), "\\bottomrule", "\\end{tabular}"])


def latex() -> str:
    comparison = read_json(COMPARISON)
    tables = {"Loss a masked token on held-out text [95 % interval]": table(comparison),
              "Difference to the base": differences(comparison, "vs_base"),
              "Difference to the control": differences(comparison, "vs_control"),
              "Fine-tuned, mean and standard deviation over seeds": task_table(comparison["tasks"]),
              "What pre-training gains over fine-tuning alone, p adjusted by Holm": gains(comparison["tasks"])}
    return "\n\n".join([f"% {provenance()}", *(f"% {title}\n{tex(of)}" for title, of in tables.items())])


def run(as_latex: bool) -> None:
    if as_latex:
        return print(latex())
    trained = numbers(METRICS / "train")
    times = {name: durations.words(durations.seconds(name, figures["model_sha256"])) for name, figures in trained.items()}
    print(told(read_json(COMPARISON)))
    print("\nThe trainings, beside the runs that this pipeline came from (BERT-base; theirs first):\n")
    print(original_runs.table(trained, times))
    print(f"\n{provenance()}")
