"""The console with authentication on: from the key to an approval, and to the end of the session."""

from collections.abc import Iterator

import pytest

from agent_tasks.client.keys import NewKey
from tests.browser.conftest import AGENTS, ANA
from tests.browser.console import DESK, Console
from tests.eventually import eventually
from tests.gateway import EVERYTHING

pytestmark = pytest.mark.browser


@pytest.fixture
def locked(console: Console) -> Iterator[Console]:
    """The same deployment behind a gateway that asks for a key."""
    running, url = console.processes.gateway(agents=AGENTS)
    yield Console(console.browser, console.client, console.processes, running, f"{url}/console")
    running.kill()


def signed_in(console: Console) -> NewKey:
    key = console.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    browser = console.browser
    browser.show(*DESK)
    browser.forget()
    browser.open(console.url)
    browser.until("document.querySelector('#key') !== null")
    browser.type("#key", key.key)
    browser.click("form button")
    browser.until("document.querySelector('h1')?.textContent === 'Now'")
    return key


def test_somebody_signs_in_with_a_key_and_approves(locked: Console) -> None:
    browser = locked.browser
    task = locked.client.submit("columnist", {"topic": "dunes"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    signed_in(locked)
    browser.click("nav a[href$='/inbox']")
    entry = f"#entry-{task.id}"
    browser.until(f"document.querySelector('{entry} button[value=true]') !== null")
    assert "dunes" in browser.ask(f"document.querySelector('{entry} .matter').textContent")
    browser.type(f"{entry} textarea", "well done")
    browser.click(f"{entry} button[value=true]")
    browser.until("document.querySelector('.said')?.textContent.includes('was sent')")
    assert task.result(20)["published"] is True
    (sent,) = locked.client.audit(task_id=task.id, operation="signal")
    assert (sent.door, sent.subject) == ("console", "ana")
    assert "said" not in browser.ask("location.search"), "a reload does not say it again"


def test_a_session_that_ends_leads_to_the_sign_in_or_keeps_what_was_typed(locked: Console) -> None:
    browser = locked.browser
    task = locked.client.submit("columnist", {"topic": "reefs"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    key = signed_in(locked)
    locked.open(f"/tasks/{task.id}")
    browser.type("form.answer textarea", "half typed")
    locked.client.revoke_key(key.id)
    browser.until("!document.getElementById('ended').hidden")
    assert browser.ask("document.querySelector('form.answer textarea').value") == "half typed"
    browser.click("form.answer button[value=true]")
    browser.until("document.querySelector('h1')?.textContent.includes('send it again')")
    again = locked.client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
    browser.type("#key", again.key)
    browser.click("main button")
    browser.until("document.querySelector('h1')?.textContent === 'Send it again?'")
    browser.click("main button")
    browser.until("document.querySelector('.said') !== null")
    assert task.result(20)["published"] is True
    locked.open("/tasks")
    locked.client.revoke_key(again.id)
    browser.until("location.pathname.endsWith('/sign-in')")


def test_a_second_click_sends_nothing_twice(locked: Console) -> None:
    browser = locked.browser
    signed_in(locked)
    locked.open("/agents")
    before = len(locked.client.search(agent="tallier", subject="ana", limit=1000).tasks)
    browser.click("#submit-tallier summary")
    browser.type("#submit-tallier input[name='answer.to']", "0")
    browser.ask(
        "(() => { const form = document.querySelector('#submit-tallier form');"
        "form.requestSubmit(); form.requestSubmit(); })()"
    )
    browser.until("document.querySelector('.said') !== null")
    eventually(lambda: len(locked.client.search(agent="tallier", subject="ana", limit=1000).tasks) == before + 1)


def test_a_text_that_is_to_be_copied_is_copied(locked: Console) -> None:
    browser = locked.browser
    task = locked.client.submit("tallier", {"to": 0}, identity=ANA)
    signed_in(locked)
    locked.open(f"/tasks/{task.id}")
    browser.click("#copies summary")
    browser.ask("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    browser.click("[data-copy-from=copy-cli]")
    browser.until("window.copied !== undefined")
    assert browser.ask("window.copied").startswith(f"agent-tasks status {task.id}")
