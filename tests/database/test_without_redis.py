"""Without Redis: status is read from Postgres, which sends word of changes; with Redis it sends none."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from agent_tasks import AgentTasks, Settings
from agent_tasks.aio import AsyncTaskHandle
from agent_tasks.client import following
from agent_tasks.doorbell.mirror import key
from agent_tasks.doorbell.postgres_notices import PostgresNotices
from agent_tasks.doorbell.publisher import STOP_CHANNEL
from agent_tasks.store.notify import Listener, Pooled
from tests.database import claimed, query
from tests.database.test_waiting import end
from tests.eventually import eventually

END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Silent:
    """The bells of a broker that nobody listens to: here nothing runs."""

    path, why, place = "none", "nothing is rung", "nowhere"

    def ring(self, rows: Sequence[Any], keep: Any) -> bool:
        return True

    def put_back(self, messages: Sequence[Any]) -> bool:
        return True

    def waiting(self, queues: Sequence[str]) -> dict[str, int | None]:
        return dict.fromkeys(queues)

    bells_waiting = waiting

    def problem(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


def opened(settings: Settings) -> AgentTasks:
    client = AgentTasks(settings.model_copy(update={"redis_url": ""}))
    vars(client)["bells"] = Silent()
    return client


@pytest.fixture
def lone(settings: Settings) -> Iterator[AgentTasks]:
    """A deployment without Redis."""
    client = opened(settings)
    yield client
    client.close()


@pytest.fixture
def other(settings: Settings) -> Iterator[AgentTasks]:
    """Another process of it."""
    client = opened(settings)
    yield client
    client.close()


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks by himself after a minute only: what wakes him sooner is word."""
    for name in ("FIRST_POLL_SECONDS", "SLOWEST_POLL_SECONDS", "DEAF_FIRST_POLL_SECONDS", "DEAF_SLOWEST_POLL_SECONDS"):
        monkeypatch.setattr(following, name, 60.0)


def listens(client: AgentTasks, channel: str) -> bool:
    """Whether it has told Postgres, and was called back for what it may have missed."""
    notices = client.notices
    assert isinstance(notices, PostgresNotices)
    return notices.hears and channel in notices._callbacks and notices._commands.empty()


def test_word_wakes_waiters_at_once(lone: AgentTasks, other: AgentTasks, seldom: None) -> None:
    taken = claimed(other)
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(lone.get(taken.id).result, 30) for _ in range(50)]
        eventually(lambda: listens(lone, key(taken.id)))
        end(other, taken)
        assert [future.result() for future in waiting] == ["done"] * 50


def test_an_async_caller_waits_for_fifty_tasks(lone: AgentTasks, other: AgentTasks, seldom: None) -> None:
    claims = [claimed(other) for _ in range(50)]

    async def main() -> list[object]:
        waiting = [asyncio.create_task(AsyncTaskHandle(lone.get(taken.id)).result(30)) for taken in claims]
        while not all(listens(lone, key(taken.id)) for taken in claims):
            await asyncio.sleep(0.01)
        for taken in claims:
            await asyncio.to_thread(end, other, taken)
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == ["done"] * 50


def test_events_are_followed_as_they_come(lone: AgentTasks, other: AgentTasks, seldom: None) -> None:
    taken = claimed(other)
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(lambda: [event.type for event in lone.get(taken.id).events(follow=True, timeout=30)])
        eventually(lambda: listens(lone, key(taken.id)))
        end(other, taken)
        assert following.result()[-1] == "finished"


def test_a_run_is_told_to_stop(lone: AgentTasks, other: AgentTasks) -> None:
    taken, said = claimed(other), []
    with lone.notices.listening(STOP_CHANNEL, said.append):
        eventually(lambda: listens(lone, STOP_CHANNEL))
        other.get(taken.id).cancel()
        eventually(lambda: f"{taken.id} {taken.run}" in said)


def test_a_connection_that_is_lost_is_made_again_and_who_waits_looks_meanwhile(
    lone: AgentTasks, other: AgentTasks, seldom: None
) -> None:
    taken, said = claimed(other), []
    with lone.notices.listening(key(taken.id), said.append):
        eventually(lambda: listens(lone, key(taken.id)))
        query(other, END_OTHERS)
        before = len(said)
        eventually(lambda: said[before:] == [None])  # word may have been missed
        end(other, taken)
        eventually(lambda: said[-1] == "")


def test_where_no_word_comes_it_is_looked_for_every_two_seconds(
    lone: AgentTasks, other: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pooled(self: Listener) -> Listener:
        raise Pooled

    monkeypatch.setattr(Listener, "__enter__", pooled)
    taken = claimed(other)
    task = lone.get(taken.id)
    assert following.pace(task) == (0.2, 2.0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(task.result, 30)
        eventually(lambda: lone.notices._callbacks)
        end(other, taken)
        began = time.monotonic()
        assert waiting.result() == "done"
    assert time.monotonic() - began < 10


def test_behind_a_pooler_nothing_is_kept_of_what_was_listened_to(
    lone: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pooled(self: Listener) -> Listener:
        raise Pooled

    monkeypatch.setattr(Listener, "__enter__", pooled)
    notices = lone.notices
    assert isinstance(notices, PostgresNotices)
    with notices.listening("first", lambda text: None):
        eventually(lambda: not any(thread.is_alive() for thread in notices._threads))
        assert notices._commands.empty()
        for _ in range(3):
            with notices.listening("later", lambda text: None):
                assert notices._commands.empty()
    assert notices._commands.empty()


def test_a_surprise_ends_no_listening_and_meanwhile_who_waits_looks_himself(
    lone: AgentTasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    surprised, goes_on = threading.Event(), threading.Event()
    hear = Listener.hear

    def surprising(self: Listener, waking: int, seconds: float) -> bool:
        if not surprised.is_set():
            surprised.set()
            raise ValueError("nobody thought of it")
        return hear(self, waking, seconds)

    def slowly(listener: Listener) -> Listener:
        if surprised.is_set():
            goes_on.wait(20)
        return entered(listener)

    entered = Listener.__enter__
    monkeypatch.setattr(Listener, "hear", surprising)
    monkeypatch.setattr(Listener, "__enter__", slowly)
    with lone.notices.listening(STOP_CHANNEL, lambda text: None):
        assert surprised.wait(20)
        eventually(lambda: not lone.notices.hears)
        goes_on.set()
        eventually(lambda: listens(lone, STOP_CHANNEL))
    assert "nobody thought of it" in caplog.text


def test_while_redis_is_away_who_waits_looks_as_often_as_without_one(settings: Settings, other: AgentTasks) -> None:
    away = AgentTasks(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    taken = claimed(other)
    task = away.get(taken.id)
    with away.notices.listening(key(taken.id), lambda text: None):
        eventually(lambda: following.pace(task) == (0.2, 2.0))
    away.close()


def test_words_go_together_and_none_is_left_behind_at_the_end(settings: Settings, other: AgentTasks) -> None:
    client = opened(settings)
    tasks = client.submit_many("echo", [{"value": n} for n in range(300)])
    heard: set[str] = set()
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        for task in tasks:
            connection.execute(f'LISTEN "{key(task.id)}"')  # type: ignore[arg-type]
        client.publisher.tell_of([task.id for task in tasks])
        client.close()
        for notice in connection.notifies(timeout=10, stop_after=len(tasks)):
            heard.add(notice.channel)
    assert heard == {key(task.id) for task in tasks}


def test_with_redis_postgres_sends_no_word(client: AgentTasks) -> None:
    taken = claimed(client)
    with psycopg.connect(client.settings.database_url, autocommit=True) as connection:
        for channel in (key(taken.id), STOP_CHANNEL):
            connection.execute(f'LISTEN "{channel}"')  # type: ignore[arg-type]
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.get(taken.id).wait, 30)
            eventually(lambda: client.notices._callbacks)
            client.get(taken.id).cancel()
            assert waiting.result().status == "cancelled"
        assert list(connection.notifies(timeout=0.2)) == []
