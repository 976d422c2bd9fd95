"""`dapt plots DIR`: figures of the last comparison as SVG, PDF and PNG; and the page template of `dvc plots show`.

The report contains only the SVGs: PDF and PNG depend on the fonts of the machine, so DVC does not track them.
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
    """Write the page template of `dvc plots show`, with the Vega libraries included, so that it works offline."""
    with whole_file(PAGE) as file:
        bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default of `snippet`
        file.write(FRAME.format(bundle=bundle.replace("</script", "<\\/script")))
    print(PAGE)
