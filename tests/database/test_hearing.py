"""A process whose bells no worker hears says so, once."""

import logging
import threading

import pytest

from agent_tasks import AgentTasks
from agent_tasks.doorbell import hearing
from agent_tasks.transitions.heartbeat import WorkerRecord, sign_on
from tests.eventually import eventually

ELSEWHERE = "redis://elsewhere:6379/0"
SAID = "no worker hears the bells of this process"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(hearing, "AFTER_SECONDS", 0.01)
    caplog.set_level(logging.WARNING)


def alive(client: AgentTasks, *places: str | None) -> None:
    with client.database.connection() as connection:
        for number, place in enumerate(places):
            sign_on(connection, WorkerRecord(f"w{number}", "host", 1, ("agents",), (), bells=place), seconds=60)


def test_the_first_bell_that_no_worker_hears_is_told_of_with_what_to_do(
    client: AgentTasks, caplog: pytest.LogCaptureFixture
) -> None:
    alive(client, ELSEWHERE, None)
    for _ in range(3):
        client.submit("hops", {"to": 1})
    eventually(lambda: SAID in caplog.text)
    said = [record.getMessage() for record in caplog.records if SAID in record.getMessage()]
    assert len(said) == 1
    assert f"it rings at {client.bells.place}, and workers take from {ELSEWHERE}: name" in said[0]
    assert "AGENT_TASKS_APP" in said[0]


def test_a_process_that_rings_before_any_worker_is_there_says_so_once_there_is_one(
    client: AgentTasks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    look = hearing.Hearing.look

    def noted(each: hearing.Hearing) -> bool:
        looks.append(look(each))
        return looks[-1]

    monkeypatch.setattr(hearing.Hearing, "look", noted)
    client.submit("hops", {"to": 1})
    eventually(lambda: len(looks) > 1)
    assert SAID not in caplog.text
    alive(client, ELSEWHERE)
    eventually(lambda: SAID in caplog.text)
    assert looks[0] is False


def test_a_process_that_may_have_no_more_threads_submits_all_the_same(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def none_left(thread: threading.Thread) -> None:
        if thread.name == "agent-tasks-hearing":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert client.submit("hops", {"to": 1}).page_of_events()


@pytest.mark.parametrize("of_here", [True, False])
def test_nothing_is_said_where_a_worker_hears_or_none_says_where_it_takes_from(
    client: AgentTasks, caplog: pytest.LogCaptureFixture, of_here: bool
) -> None:
    alive(client, *((ELSEWHERE, client.bells.place) if of_here else (None,)))
    hearing.Hearing(client.database, client.bells.place, 60).look()
    assert SAID not in caplog.text
