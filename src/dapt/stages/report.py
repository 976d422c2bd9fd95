"""`dapt report`: reports/, made from metrics/ alone: a page (index.html), the same text as Markdown (report.md), the pictures
as SVG, a card for each model, and the data card (data.html, data.md).

A page is its Markdown rendered by markdown-it, with the pictures inside: one text for both, and nothing to fetch.
"""

from dapt.core import config
from dapt.core.files import whole_file, whole_folder
from dapt.core.paths import METRICS, REPORTS
from dapt.reporting import data_card
from dapt.reporting.metrics import Figures
from dapt.reporting.model_cards import card
from dapt.reporting.page import page
from dapt.reporting.plots import figures, svg
from dapt.reporting.report_page import markdown


def run() -> None:
    params = config.load()
    found = Figures.read(params, METRICS)
    text, data = markdown(params, found), data_card.markdown(params, found)
    charts = figures()
    files = {f"{name}.svg": svg(spec) for name, spec in charts.items()}
    files |= {"report.md": text, "index.html": page(text, charts), "data.md": data, "data.html": page(data, {})}
    files |= {f"cards/{name}.md": card(params, name, found) for name in params.models}
    with whole_folder(REPORTS) as folder:
        for name, content in files.items():
            with whole_file(folder / name) as file:
                file.write(content)
    print(f"report: {(REPORTS / 'index.html').resolve()}")
