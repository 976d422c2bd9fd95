"""Pictures, from the same Vega-Lite templates that `dvc plots show` fills (figures/), rendered without a browser.

`dapt plots DIR` writes those of the last comparison as SVG, PDF and PNG. The report carries the SVGs alone: the others depend
on the fonts that a machine has, so they are in nothing that DVC tracks.
"""

import csv
import json
from pathlib import Path

import vl_convert

from dapt.core.paths import METRICS

TABLES = {
    "matrix": "crossdomain",
    "curves": "curves",
    "tasks": "tasks",
    "calibration": "calibration",
}  # picture → the table in metrics/ that it shows
CONFUSION = METRICS / "confusion"  # a table, and a picture, for each task with classes
FIGURES = Path(__file__).parent / "figures"


def figure(name: str, rows: list[dict]) -> dict:
    """The Vega-Lite specification of a picture with its data inside."""
    spec = json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))
    spec["data"]["values"] = rows
    return spec


def figures() -> dict[str, dict]:
    """The pictures of the last comparison, by name."""
    return {name: figure(name, read_csv(METRICS / f"{table}.csv")) for name, table in TABLES.items()} | {
        f"confusion_{table.stem}": figure("confusion", read_csv(table)) for table in sorted(CONFUSION.glob("*.csv"))
    }


def svg(spec: dict) -> str:
    return vl_convert.vegalite_to_svg(json.dumps(spec))


def read_csv(path: Path) -> list[dict]:
    """Rows with numbers where the text is one."""
    with open(path, encoding="utf-8", newline="") as file:
        return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
