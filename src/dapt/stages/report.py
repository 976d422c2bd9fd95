"""`dapt report`: reports/, made from metrics/ alone: a page (index.html), its Markdown twin (report.md), the pictures
as SVG, a card for each model, and the data card (data.html).

The page is the twin rendered by markdown-it, with the pictures inside: one text, and nothing to fetch.
"""

from dapt.core import config
from dapt.core.files import whole_file, whole_folder
from dapt.core.paths import METRICS, REPORTS
from dapt.reporting import data_card
from dapt.reporting.markdown import page
from dapt.reporting.metrics import Figures
from dapt.reporting.model_cards import card
from dapt.reporting.plots import figures, svg
from dapt.reporting.report_page import markdown


def run() -> None:
    params = config.load()
    found = Figures.read(params, METRICS)
    text, data = markdown(params, found), data_card.markdown(params, found)
    pictures = {name: svg(spec) for name, spec in figures().items()}
    files = {f"{name}.svg": picture for name, picture in pictures.items()}
    files |= {"report.md": text, "index.html": page(text, pictures), "data.md": data, "data.html": page(data, {})}
    files |= {
        f"cards/{name}.md": card(params, name, found.comparison, found.train, found.base) for name in params.models
    }
    with whole_folder(REPORTS) as folder:
        for name, content in files.items():
            with whole_file(folder / name) as file:
                file.write(content)
    print(f"report: {(REPORTS / 'index.html').resolve()}")
