"""Pictures, from the Vega-Lite templates in figures/, which `dvc plots show` fills too, rendered without a browser.

`dapt plots DIR` writes those of the last comparison as SVG, PDF and PNG. The report contains only the SVGs: the other two
depend on the fonts of a machine, so nothing that DVC tracks contains them.
"""

import csv
import json
from pathlib import Path

import vl_convert

from dapt.core.paths import METRICS

TABLES = {
    "matrix": "crossdomain",
    "differences": "crossdomain",
    "tasks": "tasks",
    "curves": "curves",
    "calibration": "calibration",
}  # picture → the table in metrics/ that it shows
CONFUSION = METRICS / "confusion"  # one table, and one picture, for each task with classes
INK, FAINT = "currentColor", "#80808060"
THEME = {  # the colours of the page that a picture is on, light or dark
    "background": None,
    "title": {"color": INK},
    "header": {"labelColor": INK, "titleColor": INK},
    "axis": {"labelColor": INK, "titleColor": INK, "gridColor": FAINT, "domainColor": FAINT, "tickColor": FAINT},
    "legend": {"labelColor": INK, "titleColor": INK},
    "view": {"stroke": FAINT},
}
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


def themed(spec: dict) -> dict:
    """The specification in the colours of the page around it; what it says of colours itself stays."""
    own = spec.get("config", {})
    config = {name: theme | own.get(name, {}) if isinstance(theme, dict) else theme for name, theme in THEME.items()}
    return spec | {"config": own | config}


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
