"""The page of a hook in a browser: read, filled in wrongly, filled in, and opened again."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.eventually import eventually
from tests.gateway import Gateway
from tests.gateway.browser import CHROMIUM, Browser
from tests.gateway.hooks.asked import Asked

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
PHONE, DESK = (390, 844), (1000, 800)
FOLDER = os.environ.get("AGENT_TASKS_TEST_SCREENSHOTS")
"""Where pictures of the pages are kept, for a person to look at."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def pictured(browser: Browser, tmp_path: Path, name: str) -> None:
    """Take a picture, and see that nothing is wider than the window and that nothing was refused by the policy."""
    browser.screenshot(Path(FOLDER or tmp_path) / f"hook_{name}.png")
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    assert [each for each in browser.refusals if "Content Security Policy" in each or "Refused" in each] == []
    assert browser.ask("getComputedStyle(document.querySelector('main')).borderRadius") is not None


def test_a_person_answers_by_the_form(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    asked = Asked(gateway.client, tmp_path).by("mailing", expires=172_800)
    browser.show(*DESK)
    browser.open(gateway.url + asked.path)
    assert browser.ask("document.querySelector('h1').innerText") == "Approval"
    assert browser.ask("getComputedStyle(document.querySelector('button')).backgroundColor") == "rgb(31, 95, 191)"
    pictured(browser, tmp_path, "form")
    browser.show(*PHONE, dark=True)
    pictured(browser, tmp_path, "form_phone_dark")
    browser.show(*PHONE)
    pictured(browser, tmp_path, "form_phone")
    browser.type("textarea, input[type=text]", "not bad, but")
    browser.click("button")
    browser.until("document.querySelector('.error') !== null")
    assert browser.ask("document.querySelector('input[type=text], textarea').value") == "not bad, but"
    assert asked.status == "waiting"
    pictured(browser, tmp_path, "error_phone")
    browser.click("input[value=true]")
    browser.click("button")
    browser.until("document.querySelector('h1')?.innerText === 'Your answer was sent'")
    pictured(browser, tmp_path, "done_phone")
    assert asked.task.result(20) == {"ok": True, "remark": "not bad, but"}
    browser.open(gateway.url + asked.path)
    browser.until("document.querySelector('h1')?.innerText === 'This was answered already'")
    pictured(browser, tmp_path, "ended_phone")


def test_a_form_of_every_kind_of_field(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    asked = Asked(gateway.client, tmp_path).by("asking")
    browser.show(*DESK)
    browser.open(gateway.url + asked.path)
    pictured(browser, tmp_path, "all_fields")
    browser.click("button")
    browser.until("document.querySelectorAll('.error').length === 11")
    pictured(browser, tmp_path, "all_errors")
    browser.show(*PHONE)
    pictured(browser, tmp_path, "all_errors_phone")
    asked.task.cancel()


def test_pages_that_ask_for_nothing(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    browser.show(*DESK)
    asked = Asked(gateway.client, tmp_path).by("mailing", expires=0.05)
    for name, path in (("expired", asked.path), ("unknown", "/hooks/h1.e30.none")):
        eventually(lambda path=path: httpx2.get(gateway.url + path).status_code in (404, 410))
        browser.open(gateway.url + path)
        browser.until("document.querySelector('form') === null && document.querySelector('main') !== null")
        pictured(browser, tmp_path, name)
    asked.task.cancel()
