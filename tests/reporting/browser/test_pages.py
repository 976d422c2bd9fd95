"""The pages in a real browser that can reach nothing but the file: at three widths, in both themes, with and without scripts."""

import re
import shutil
from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from chromium import chromium, needed, watched
from dapt.reporting import data_card
from dapt.reporting.metrics import Figures
from dapt.reporting.page import page
from repositories import committed_params, run

PICTURES = 7  # matrix, differences, tasks, curves, calibration, and the confusion of two tasks
PARAMS = committed_params()
pytestmark = needed


@pytest.fixture(scope="module")
def browser():
    with chromium("--host-resolver-rules=MAP * ~NOTFOUND") as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(twin, charts, committed_metrics, tmp_path_factory) -> Path:
    """The folder of the report and the data card."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "index.html").write_text(page(twin, charts))
    (folder / "data.html").write_text(page(data_card.markdown(PARAMS, Figures.read(PARAMS, committed_metrics)), {}))
    return folder


def opened(browser: Browser, path: Path, width: int = 1000, **settings) -> Page:
    """The page with everything unfolded and drawn; what its scripts complain of, and any request, fails the test."""
    viewport = {"width": width, "height": 800}
    page = watched(browser, lambda url: url == path.as_uri(), viewport=viewport, **settings)
    page.goto(path.as_uri())
    if settings.get("java_script_enabled", True):
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        page.wait_for_function(
            "[...document.querySelectorAll('[data-chart]')].every(one => one.querySelector('.vega-embed svg'))"
        )
    return page


@pytest.mark.parametrize("name", ["index", "data"])
@pytest.mark.parametrize("width", [400, 900, 1600])
def test_nothing_keeps_people_from_reading_it_and_nothing_scrolls_sideways(browser, pages, name, width):
    page = opened(browser, pages / f"{name}.html", width)
    for theme, paper in {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}.items():
        page.emulate_media(color_scheme=theme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
        found = [
            (one["id"], one["nodes"][0]["html"][:100])
            for one in Axe().run(page)["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert found == [] and not page.complaints
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 400:
        wide = "[...document.querySelectorAll('main *:not(svg *)')].filter(one => one.scrollWidth > innerWidth).length"
        assert page.evaluate(wide) == 0


def test_the_contents_stay_visible(browser, pages):
    for width in (400, 900, 1600):
        page = opened(browser, pages / "index.html", width)
        page.click("nav a >> text=Reproduce")
        page.wait_for_function("scrollY > 1000")
        top, shown = (page.locator(part).bounding_box() for part in ("nav", "#reproduce"))
        assert top["y"] >= 0 and shown["y"] < 800
        assert shown["y"] >= top["y"] + top["height"] or shown["x"] >= top["x"] + top["width"]


def column(page: Page, number: int) -> list[str]:
    return page.locator("main table").first.locator(f"tbody tr td:nth-child({number})").all_text_contents()


def test_tables_sort_by_number_both_ways_and_by_name(browser, pages):
    page = opened(browser, pages / "index.html")
    heading = page.locator("main table").first.locator("thead th")
    figures = [float(text) for text in column(page, 3)]
    heading.nth(2).locator("button").click()
    assert [float(text) for text in column(page, 3)] == sorted(figures) != figures
    assert heading.nth(2).get_attribute("aria-sort") == "ascending"
    heading.nth(2).locator("button").press("Enter")
    assert [float(text) for text in column(page, 3)] == sorted(figures, reverse=True)
    heading.nth(1).locator("button").click()
    assert column(page, 2) == sorted(column(page, 2)) and heading.nth(2).get_attribute("aria-sort") is None


def test_a_cell_that_says_nothing_is_sorted_last(browser, pages):
    page = opened(browser, pages / "index.html")
    table = page.locator("main table", has=page.locator("text=bm25")).first
    last = table.locator("thead th").last.locator("button")
    for _ in range(2):
        last.click()
        cells = table.locator("tbody tr td:last-child").all_text_contents()
        empty = [text == "–" for text in cells]
        assert empty == sorted(empty) and any(empty) and not all(empty)


def test_charts_have_tooltips_with_their_figures(browser, pages, committed_metrics):
    page = opened(browser, pages / "index.html")
    page.locator("[data-chart=matrix] .mark-rect path").first.hover(force=True)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    words = tooltip.text_content()
    assert all(name in words for name in ("model", "held-out text", "loss", "low", "high", "perplexity"))
    assert not page.complaints


def test_without_scripts_everything_is_there_to_read(browser, pages):
    page = opened(browser, pages / "index.html", java_script_enabled=False)
    assert page.locator("main svg").count() == PICTURES and page.locator("th button").count() == 0
    assert page.locator("main svg").first.is_visible() and page.locator("main table").count() > 15


def test_printed_it_is_dark_on_white_with_every_detail(browser, pages):
    page = opened(browser, pages / "index.html", color_scheme="dark")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = false)")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.pdf()[:5] == b"%PDF-"
    assert page.evaluate("[...document.querySelectorAll('details')].every(one => one.open)")


def test_dvc_plots_show_draws_all_pictures_offline_and_begins_with_the_matrix(browser, committed_run, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(committed_run, folder)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "plots", "show", "-o", str(tmp_path / "plots"))
    path = tmp_path / "plots/index.html"
    assert not re.search(r"<(script|link)[^>]+(src|href)=", path.read_text())
    page = browser.new_context().new_page()
    page.goto(path.as_uri())
    drawn = "[...document.querySelectorAll('.vega-embed')].filter(one => one.querySelector('.marks')).length"
    page.wait_for_function(f"{drawn} === {PICTURES - 1}")
    names = page.locator(".vega-embed").evaluate_all("all => all.map(one => one.id)")
    assert "crossdomain" in names[0] and "tasks" in names[1], "the report alone has the differences"
