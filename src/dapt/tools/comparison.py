"""`dapt compare --print` and `--latex`: the last comparison on the screen, or as LaTeX for a paper. The first line on the
screen is about the chosen domain.

This output, like that of `dapt report --export`, includes facts that differ between runs and are therefore in no file that DVC
tracks: the commit, dvc.lock's hash, how long the trainings took, and whether results are out of date.
"""

from dapt.core import config
from dapt.core.files import numbers, read_json
from dapt.core.paths import LOGS, METRICS
from dapt.reporting import original_runs
from dapt.reporting.advice import advice
from dapt.reporting.comparison import COMPARISON
from dapt.reporting.latex import latex
from dapt.reporting.provenance import provenance
from dapt.reporting.tables import told
from dapt.telling import durations, events
from dapt.tools.staleness import out_of_date


def durations_of(trained: dict[str, dict]) -> dict[str, str]:
    """How long each training took, from the events of trainings started here and of batch jobs, next to their logs."""
    found = [record for path in sorted(LOGS.glob("train-*.jsonl")) for record in events.read(path)]
    return {
        name: durations.words(
            durations.seconds((record for record in found if record.get("name") == name), figures["model_sha256"])
        )
        for name, figures in trained.items()
    }


def run(as_latex: bool) -> None:
    comparison, stale = read_json(COMPARISON), out_of_date("compare")
    if as_latex:
        return print(latex(comparison, [provenance(), *stale]))
    params, trained = config.load(), numbers(METRICS / "train")
    print("\n\n".join([advice(params, comparison, params.domain), *stale, told(comparison)]))
    print("\nThe trainings, compared with the runs of the original project (BERT-base; theirs first):\n")
    print(original_runs.table(trained, durations_of(trained)))
    print(f"\n{provenance()}")
