"""Pictures of the last comparison as SVG, PDF and PNG: `dapt plots DIR`; and the page that `dvc plots show` fills.

The report carries the SVGs alone: the others depend on the fonts that a machine has, so they are in nothing that DVC
tracks.
"""

import json
from pathlib import Path

import vl_convert

from dapt.core.files import whole_file
from dapt.reporting.plots import figures, svg

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
        bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub does not say that `snippet` has a default
        file.write(FRAME.format(bundle=bundle.replace("</script", "<\\/script")))
    print(PAGE)
