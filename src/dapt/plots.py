"""Pictures, from the same Vega-Lite templates that `dvc plots show` fills (figures/), rendered without a browser."""

import json
from pathlib import Path

import vl_convert

from dapt.files import whole_file

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


def write_figure(name: str, rows: list[dict], folder: Path) -> None:
    """NAME.svg and NAME.png (at twice the size) in `folder`."""
    spec = json.dumps(figure(name, rows))
    with whole_file(folder / f"{name}.svg") as file:
        file.write(vl_convert.vegalite_to_svg(spec))
    with whole_file(folder / f"{name}.png", "wb") as file:
        file.write(vl_convert.vegalite_to_png(spec, scale=2))


def write_page() -> None:
    """The page that `dvc plots show` fills, with Vega and its kin inside: it works without a network."""
    with whole_file(PAGE) as file:
        file.write(FRAME.format(bundle=vl_convert.javascript_bundle().replace("</script", "<\\/script")))
    print(PAGE)
