"""The runs of the original project (BERT-base, one seed per domain, on its six corpora), beside the trainings here."""

from dapt.reporting.markdown import rows

ORIGINAL_RUNS = {  # rows, steps, first and last loss, size, time
    "biomed": ("13,656", 2000, 7.0465, 6.7736, "419 MB", "3 h 55 min"),
    "biomed_finance": ("53,591", 2000, "–", "–", "419 MB", "about 3 h 30 min"),
    "finance": ("39,935", "2000, cut off", 7.35, 6.22, "419 MB", "about 4 min, cut off"),
}
HEADER = ["documents", "tokens", "steps", "first loss", "last loss", "size"]


def table(trained: dict[str, dict], took: dict[str, str] | None = None) -> str:
    """In Markdown one row per training of metrics/train, theirs first; with both times where `took` has those of ours."""
    lines = []
    for name, figures in trained.items():
        *theirs, time = ORIGINAL_RUNS.get(name, ["–"] * 6)
        ours = [
            f"{figures['documents']:,}",
            f"{figures['tokens']:,}",
            figures["steps"],
            figures["first_loss"],
            figures["last_loss"],
            f"{figures['model_bytes'] / 1e6:.0f} MB",
        ]
        lines.append([name, *theirs, *ours] if took is None else [name, *theirs, time, *ours, took[name]])
    theirs = ["rows", *HEADER[2:]]
    return rows(lines, ["model", *theirs, *HEADER] if took is None else ["model", *theirs, "time", *HEADER, "time"])
