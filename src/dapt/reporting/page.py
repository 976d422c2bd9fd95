"""The report's pages: Markdown rendered by markdown-it as one HTML file that fetches nothing.

Everything can be read without a script. The script (web/page.js) adds what a browser can do: charts with tooltips in place
of the pictures, tables that sort, and opened details when the page is printed.
"""

import html
import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import vl_convert
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dapt.reporting.plots import svg, themed

WEB = Path(__file__).parent / "web"
PICTURE = re.compile(r'<img src="([\w.-]+)\.svg" alt="([^"]*)" ?/?>')
ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader", "td": "cell"}


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that can stand inside a page."""
    return vl_convert.javascript_bundle().replace("</script", "<\\/script")  # type: ignore[call-arg]  # as its stub has it


def page(text: str, charts: dict[str, dict]) -> str:
    """The Markdown as HTML; `charts` are the Vega-Lite specifications of the pictures that it names."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(text)
    contents = list(with_anchors(tokens))
    with_labels(tokens)
    body = parser.renderer.render(tokens, parser.options, {})
    title = html.escape(tokens[1].content)
    links = "\n".join(f'<li><a href="#{anchor}">{html.escape(words)}</a></li>' for anchor, words in contents)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{asset("page.css")}</style>
</head>
<body>
<nav aria-label="Contents">
<ul>
{links}
</ul>
</nav>
<main>
{PICTURE.sub(lambda found: figure(found[1], found[2], charts[found[1]]), body)}</main>
{scripts(charts)}</body>
</html>
"""


def asset(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def scripts(charts: dict[str, dict]) -> str:
    """The specifications, what draws them, and the page's own script."""
    specifications = json.dumps({name: themed(spec) for name, spec in charts.items()}).replace("</", "<\\/")
    parts = [f'<script type="application/json" id="charts">{specifications}</script>']
    parts += [f"<script>{bundle()}</script>"] * bool(charts)
    return "\n".join([*parts, f"<script>\n{asset('page.js')}</script>\n"])


def figure(name: str, caption: str, spec: dict) -> str:
    """A picture, which the script replaces by its chart. To a screen reader it is its caption: its figures are in tables."""
    return f'<figure role="img" aria-label="{caption}"><div aria-hidden="true" data-chart="{name}">{svg(themed(spec))}</div></figure>'


def with_anchors(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Gives each heading of the second level an anchor; anchors and words, for the contents."""
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            anchor = re.sub(r"\W+", "-", inside.content.lower()).strip("-")
            opening.attrSet("id", anchor)
            yield anchor, inside.content


def with_labels(tokens: list[Token]) -> None:
    """Gives each cell its column's name, which a narrow screen shows beside it unless the cell says nothing, and each part of a
    table its role, which browsers forget where a table is not laid out as one."""
    header: list[str] = []
    column = 0
    for opening, inside in pairwise(tokens):
        if opening.type == "thead_open":
            header = []
        elif opening.type == "tr_open":
            column = 0
        elif opening.type == "th_open":
            header.append(inside.content)
        elif opening.type == "td_open":
            opening.attrSet("data-label", header[column])
            if inside.content == "–":
                opening.attrSet("class", "nothing")
            column += 1
        if opening.nesting == 1 and opening.tag in ROLES:
            opening.attrSet("role", ROLES[opening.tag])
