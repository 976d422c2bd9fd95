"""The runs of the original project (BERT-base, one seed per domain, on its six corpora), compared with the trainings here."""

from dapt.reporting.markdown import rows

HEADER = ["model", "run", "texts", "tokens", "steps", "first loss", "last loss", "size", "time"]
ORIGINAL_RUNS = {  # texts, tokens, steps, first and last loss, size, time
    "biomed": ("13,656", "–", 2000, 7.0465, 6.7736, "419 MB", "3 h 55 min"),
    "biomed_finance": ("53,591", "–", 2000, "–", "–", "419 MB", "about 3 h 30 min"),
    "finance": ("39,935", "–", "2000, cut off", 7.35, 6.22, "419 MB", "about 4 min, cut off"),
}


def table(trained: dict[str, dict], took: dict[str, str] | None = None) -> str:
    """In Markdown: for each training of metrics/train one row, below that of the original project if there is one; with both
    times if `took` has those of the trainings here."""
    lines = []
    for name, figures in trained.items():
        if name in ORIGINAL_RUNS:
            lines.append([name, "original project", *ORIGINAL_RUNS[name]])
        ours = [
            f"{figures['documents']:,}",
            f"{figures['tokens']:,}",
            figures["steps"],
            figures["first_loss"],
            figures["last_loss"],
            f"{figures['model_bytes'] / 1e6:.0f} MB",
            took[name] if took else "–",
        ]
        lines.append([name, "this one", *ours])
    return rows(lines, HEADER) if took is not None else rows([line[:-1] for line in lines], HEADER[:-1])
