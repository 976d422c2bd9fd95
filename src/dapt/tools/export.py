"""`dapt report --export DIR`: the report to pass on or to write a paper from. It has the pages and cards, each with a last line
about the commit, dvc.lock's hash and out-of-date stages; the figures as SVG, PDF and PNG; the tables as CSV and LaTeX
(tables.tex).
"""

from pathlib import Path

from dapt.core.files import read_json, whole_file
from dapt.core.paths import METRICS, REPORTS
from dapt.reporting.comparison import COMPARISON
from dapt.reporting.latex import latex
from dapt.reporting.provenance import provenance
from dapt.telling.errors import UserError
from dapt.tools import plots
from dapt.tools.staleness import out_of_date


def stamped(text: str, line: str, ending: str) -> str:
    """Append a line to a page or card; other files are unchanged.

    >>> stamped("# Report\\n", "commit abc", ".md")
    '# Report\\n\\ncommit abc\\n'
    >>> stamped("<p>Report</p>\\n</body>\\n</html>\\n", "commit abc", ".html")
    '<p>Report</p>\\n<p>commit abc</p>\\n</body>\\n</html>\\n'
    """
    if ending == ".html":
        before, after = text.rsplit("</body>", 1)
        return f"{before}<p>{line}</p>\n</body>{after}"
    return f"{text}\n{line}\n" if ending == ".md" else text


def run(folder: Path) -> None:
    if not (REPORTS / "index.html").is_file():
        raise UserError(
            f"{REPORTS} has no report; create it with dvc repro report, or download it with dvc pull {REPORTS}"
        )
    stale = out_of_date("report")
    line = ". ".join([provenance(), *stale])
    texts = {
        path.relative_to(REPORTS): stamped(path.read_text(encoding="utf-8"), line, path.suffix)
        for path in sorted(REPORTS.rglob("*.*"))
    }
    texts |= {path.relative_to(METRICS): path.read_text(encoding="utf-8") for path in sorted(METRICS.rglob("*.csv"))}
    texts[Path("tables.tex")] = latex(read_json(COMPARISON), [provenance(), *stale]) + "\n"
    plots.run(folder)
    for name, text in texts.items():
        with whole_file(folder / name) as file:
            file.write(text)
        print(folder / name)
    print(line)
