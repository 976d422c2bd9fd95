"""Pictures, from the same Vega-Lite templates that `dvc plots show` fills (figures/), rendered without a browser.

`dapt plots DIR` writes those of the last comparison as SVG, PDF and PNG. The report carries the SVGs alone: the others depend
on the fonts that a machine has, so they are in nothing that DVC tracks.
"""

import csv
import json
from pathlib import Path

import vl_convert

from dapt.core.files import whole_file
from dapt.core.paths import METRICS

TABLES = {"matrix": "crossdomain", "curves": "curves", "tasks": "tasks",
          "calibration": "calibration"}  # picture → the table in metrics/ that it shows
CONFUSION = METRICS / "confusion"  # a table, and a picture, for each task with classes
FIGURES = Path(__file__).parent / "figures"
PAGE = Path(".dvc/plots/page.html")  # .dvc/config names it as plots.html_template
FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>dapt: plots</title>
<style>body {{ font-family: sans-serif; margin: 2em; }} td {{ vertical-align: top; padding: 1em; }}</style>
<script>{bundle}</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


def figure(name: str, rows: list[dict]) -> dict:
    """The Vega-Lite specification of a picture with its data inside."""
    spec = json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))
    spec["data"]["values"] = rows
    return spec


def figures() -> dict[str, dict]:
    """The pictures of the last comparison, by name."""
    return {name: figure(name, read_csv(METRICS / f"{table}.csv")) for name, table in TABLES.items()} | {
        f"confusion_{table.stem}": figure("confusion", read_csv(table)) for table in sorted(CONFUSION.glob("*.csv"))}


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


def run(folder: Path) -> None:
    for name, spec in figures().items():
        with whole_file(folder / f"{name}.svg") as file:
            file.write(svg(spec))
        with whole_file(folder / f"{name}.pdf", "wb") as file:
            file.write(vl_convert.vegalite_to_pdf(json.dumps(spec)))
        with whole_file(folder / f"{name}.png", "wb") as file:
            file.write(vl_convert.vegalite_to_png(json.dumps(spec), scale=2))
        print(*(folder / f"{name}.{kind}" for kind in ("svg", "pdf", "png")))


def write_page() -> None:
    """The page that `dvc plots show` fills, with Vega and its kin inside: it works without a network."""
    with whole_file(PAGE) as file:
        file.write(FRAME.format(bundle=vl_convert.javascript_bundle().replace("</script", "<\\/script")))
    print(PAGE)
