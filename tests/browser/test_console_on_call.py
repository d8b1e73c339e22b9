"""The console as somebody on call has it, who has never seen it, and is given the id of a task."""

import pytest

from tests.browser.conftest import ANA
from tests.browser.console import DESK, PHONE, Console
from tests.eventually import eventually

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_from_an_id_to_why_since_when_at_what_cost_and_who_in_three_clicks(
    console: Console, size: tuple[int, int]
) -> None:
    task = console.client.submit("columnist", {"topic": "fog"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    browser = console.browser
    browser.show(*size)
    console.open()
    browser.press("/")
    browser._say("Input.insertText", text=str(task.id))
    browser.submit("#search")
    browser.until("location.search.includes('text=') && document.querySelectorAll('tbody .id').length === 1")
    browser.click("tbody .id")
    browser.until("document.querySelector('.why') !== null")
    console.picture(f"on_call_{size[0]}")
    why = browser.ask("document.querySelector('.why').innerText")
    waiting_for = task.read().waiting_for
    assert waiting_for is not None
    since = waiting_for.since
    for part in ("Waits for the signal approval", f"{since:%H:%M:%S}", "until", "publish", "fog"):
        assert part in why
    assert "Whoever may send signals (tasks:signal) as ana of acme, or with tasks:all in that tenant, or admin." in why
    assert "$0.1050" in browser.ask("document.querySelector('.budget').innerText")
    top = browser.ask("document.querySelector('form.answer button').getBoundingClientRect().top + scrollY")
    assert top < size[1], "what releases it is seen without scrolling"
    browser.click("form.answer button[value=true]")
    assert task.result(20)["published"] is True
