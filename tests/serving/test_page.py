"""The page in a real Chromium: four models answer side by side, by keyboard, on a narrow screen, in the dark."""

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from chromium import chromium, needed, watched
from server import Server

pytestmark = needed
MODELS = ["base", "biomed", "biomed_finance", "finance"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def opened(browser: Browser, address: str, **settings) -> Page:
    """The page when its first answers are there; what its scripts complain of, and requests elsewhere, fail the test."""
    page = watched(browser, lambda url: url.startswith(address), **settings)
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
    return page


def test_four_models_answer_side_by_side(browser, server):
    page = opened(browser, server.address)
    assert page.locator("#answers h3").all_text_contents() == MODELS
    page.fill("#sentence", "fever [MASK]")
    page.press("#sentence", "Control+Enter")
    (filled,) = server.results("fill-mask", model="biomed", text=["fever [MASK]"])
    page.wait_for_function("document.querySelector('#fill-said').textContent === ''")
    panel = page.locator("#answers article").nth(1)
    assert panel.locator("li > span:first-child").all_text_contents() == [one["token"] for one in filled["masks"][0]]
    width = panel.locator(".bar").first.get_attribute("style")
    assert width == f"width: {100 * filled['masks'][0][0]['score']}%"
    assert not page.complaints


def test_a_text_is_scored_under_each_model_and_the_lowest_loss_is_first(browser, server):
    page = opened(browser, server.address)
    page.fill("#text", "fever and chills")
    page.click("#score button")
    page.wait_for_function("document.querySelector('#score-said').textContent.includes('stronger')")
    titles = page.locator("#losses h3").all_text_contents()
    losses = [float(title.split("loss per token ")[1].split()[0]) for title in titles]
    assert losses == sorted(losses) and "(lowest)" in titles[0] and len(titles) == 4
    assert "rgba" in page.locator("#losses .tokens span").first.get_attribute("style")
    assert page.locator("#matrix th[scope=row]").first.text_content() == "base"
    assert not page.complaints


def test_what_cannot_be_answered_is_said(browser, server):
    page = opened(browser, server.address)
    page.fill("#sentence", "no mask here")
    page.click("#fill button")
    page.wait_for_function("document.querySelector('#fill-said').textContent.includes('has no [MASK]')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_by_everybody(browser, server, scheme, width):
    page = opened(browser, server.address, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = Axe().run(page)
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything_in_order(browser, server):
    page = opened(browser, server.address)
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["sentence", "BUTTON", "text", "BUTTON", "matrix", "A"]


def test_a_key_is_asked_for_once(browser, served):
    asked = []

    def answer(dialog) -> None:
        asked.append(dialog.message)
        dialog.accept("a key")

    with Server(served, variables={"DAPT_API_KEY": "a key"}) as server:
        page = browser.new_context().new_page()
        page.on("dialog", answer)
        page.goto(server.address)
        page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
        assert page.locator("#answers h3").all_text_contents() == MODELS
        assert asked == ["Enter the key of this server"]
        page.evaluate("sessionStorage.clear()")
        page.remove_listener("dialog", answer)
        page.on("dialog", lambda dialog: (asked.append("cancelled"), dialog.dismiss()))
        page.reload()
        page.wait_for_function("document.querySelector('#fill-said').textContent.includes('the key is missing')")
    assert asked[1:] == ["cancelled"]
