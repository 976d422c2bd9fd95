"""`dapt compare --print` and `--latex`: what the last comparison found, on the screen or for a paper. The screen's first
line is about the chosen domain.

Here, and in what `dapt report --export` writes, stands what differs between two runs and is therefore in no file that DVC
tracks: the commit, dvc.lock's hash, how long the trainings took, and whether the figures are out of date.
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
    """How long each training took, by the events of those started here and those that batch jobs have noted beside
    their logs."""
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
    print("\nThe trainings, beside the runs of the original project (BERT-base; theirs first):\n")
    print(original_runs.table(trained, durations_of(trained)))
    print(f"\n{provenance()}")
