"""The console while things change: pages that follow, forms that stay, streams that come back."""

import pytest

from tests.browser.conftest import AGENTS, ANA
from tests.browser.console import DESK, SCRIPT, Console
from tests.eventually import eventually

pytestmark = pytest.mark.browser

STATUS = "document.querySelector('h1 .status').textContent"


def test_a_task_goes_on_before_the_eyes_of_whoever_looks(console: Console) -> None:
    task = console.client.submit("columnist", {"topic": "salt"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    browser = console.browser
    browser.show(*DESK)
    console.open(f"/tasks/{task.id}")
    assert browser.ask(STATUS) == "waiting"
    browser.ask("window.unloaded = false; addEventListener('beforeunload', () => window.unloaded = true)")
    task.signal("approval", {"ok": True})
    browser.until(f"{STATUS} === 'completed'")
    assert browser.ask("window.unloaded") is False
    assert browser.ask("document.querySelectorAll('.timeline svg rect').length") > 3
    assert browser.ask("document.querySelector('.timeline rect').namespaceURI") == "http://www.w3.org/2000/svg"
    assert browser.errors == []


def test_what_is_half_typed_stays_where_it_is(console: Console) -> None:
    browser = console.browser
    browser.show(*DESK)
    console.open("/inbox")
    note = f"#entry-{console.tasks['waiting'].id} textarea"
    browser.type(note, "half typ")
    task = console.client.submit("columnist", {"topic": "the moon"}, identity=ANA)
    browser.until(f"document.getElementById('entry-{task.id}') !== null")
    assert browser.ask(f"document.querySelector('{note}').value") == "half typ"
    assert browser.ask(f"document.activeElement === document.querySelector('{note}')")
    browser._say("Input.insertText", text="ed")
    task.cancel()
    browser.until(f"document.getElementById('entry-{task.id}') === null")
    assert browser.ask(f"document.querySelector('{note}').value") == "half typed"


def test_what_was_opened_stays_open(console: Console) -> None:
    browser = console.browser
    task = console.client.submit("columnist", {"topic": "sand"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    console.open(f"/tasks/{task.id}")
    browser.click("#checkpoints summary")
    task.signal("approval", {"ok": False})
    browser.until(f"{STATUS} === 'completed'")
    assert browser.ask("document.getElementById('checkpoints').open")


def test_a_person_approves_in_the_inbox(console: Console) -> None:
    browser = console.browser
    task = console.client.submit("columnist", {"topic": "wind"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    console.open("/inbox")
    entry = f"#entry-{task.id}"
    browser.type(f"{entry} textarea", "well done")
    browser.click(f"{entry} button[value=true]")
    assert task.result(20)["published"] is True
    browser.until("document.querySelector('.said') !== null")
    browser.until(f"document.querySelector('{entry}') === null")


def test_of_two_who_answer_the_second_reads_that_it_is_over(console: Console) -> None:
    browser = console.browser
    task = console.client.submit("columnist", {"topic": "rain"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    console.open(f"/tasks/{task.id}")
    browser.ask("document.body.append(document.querySelector('form.answer'))")  # out of the stream's reach
    task.signal("approval", {"ok": False})
    task.wait(20)
    browser.click("body > form.answer button[value=true]")
    browser.until("document.querySelector('.problem')?.textContent.includes('no longer takes signals')")
    assert task.read().result["published"] is False


def test_a_stream_comes_back_when_its_gateway_does(console: Console) -> None:
    browser = console.browser
    task = console.client.submit("columnist", {"topic": "ice"}, identity=ANA)
    eventually(lambda: task.read().status == "waiting")
    port = console.url.rpartition(":")[2].partition("/")[0]
    console.open(f"/tasks/{task.id}")
    console.running.kill()
    task.signal("approval", {"ok": True})
    task.wait(20)
    assert browser.ask(STATUS) == "waiting"
    console.running, _ = console.processes.gateway("--port", port, agents=AGENTS, gateway_auth="off")
    browser.until(f"{STATUS} === 'completed'")


def test_the_way_back_leads_to_what_was_asked_for(console: Console) -> None:
    browser = console.browser
    console.open("/tasks")
    browser.type("[name=agent]", "faulty")
    browser.click(".filters button")
    browser.until("location.search.includes('agent=faulty') && document.querySelector('tbody .id') !== null")
    browser.click("tbody .id")
    browser.until("location.pathname.split('/').length > 3")
    browser.go_back()
    browser.until("location.search.includes('agent=faulty') && document.readyState === 'complete'")
    assert browser.ask("document.querySelector('[name=agent]').value") == "faulty"


def test_a_bar_of_the_histogram_narrows_what_is_shown(console: Console) -> None:
    browser = console.browser
    console.open("/tasks?agent=tallier")
    browser.click(".histogram a:last-of-type rect")
    browser.until("location.search.includes('created_after') && document.querySelectorAll('tbody tr').length > 0")


def test_the_keyboard_reaches_the_search_and_the_content(console: Console) -> None:
    browser = console.browser
    console.open("/tasks")
    browser.press("/")
    assert browser.ask("document.activeElement.id") == "search"
    assert browser.ask("document.activeElement.value") == ""


def test_no_text_of_anybody_runs_anywhere(console: Console) -> None:
    browser = console.browser
    assert "document.title" in SCRIPT
    for path in ("", "/tasks", "/inbox", "/sessions", "/schedules", "/audit", "/deliveries", console.page_of("waiting"),
                 console.page_of("failed"), f"{console.page_of('waiting')}?from=0&to=1"):  # fmt: skip
        console.open(path)
        console.client.submit("tallier", {"to": 0, "name": SCRIPT})
        assert browser.ask("document.title") != "taken"
        assert browser.ask("[...document.images].every(image => image.src.includes('/static/icon.svg?v='))")
        assert browser.errors == []
