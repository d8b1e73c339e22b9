"""The thread that sends bells: every message is sent, or comes back once, whatever becomes of the broker meanwhile."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from kombu.messaging import Producer

from agent_tasks.doorbell import sender as module
from agent_tasks.doorbell.bell import Taken
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.refusals import Refused
from agent_tasks.doorbell.sender import Batch, BrokerAway, Item, Sender
from agent_tasks.doorbell.unsent import UnsentBells
from tests.eventually import eventually
from tests.team_app import made


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    monkeypatch.setattr(module, "PATIENCE", 0.7)
    sender = Sender(made("memory://"), Breaker("the broker", BrokerAway, Exception, lambda error: None))
    yield sender
    sender.close()


class Wire:
    """What was sent, what came back, and of which queues the broker wants nothing."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.sent: list[str] = []
        self.kept: list[Any] = []
        self.refused: list[str] = []
        self.before: Callable[[str], None] = lambda name: None

    def batch(self, *names: str) -> Batch:
        items: list[Item] = [(Taken({"id": name}, name[0], 0), name) for name in names]  # type: ignore[misc]
        return Batch(items, self._send, self.kept.extend, lambda queue, error: self.refused.append(queue))

    def _send(self, producer: Producer, message: Taken) -> None:
        name = message.headers["id"]
        self.before(name)
        self.sent.append(name)
        self.sender.moved()


@pytest.fixture
def wire(sender: Sender) -> Wire:
    return Wire(sender)


def test_what_a_slow_broker_fails_to_take_after_the_caller_has_gone_comes_back(sender: Sender, wire: Wire) -> None:
    goes_on = threading.Event()

    def before(name: str) -> None:
        if name == "a3":
            goes_on.wait(20)
            raise OSError("it is gone")

    wire.before = before
    batch = wire.batch("a1", "a2", "a3", "a4")
    sender.do(batch)
    assert (batch.is_taken, wire.kept, sender.breaker.is_open) == (True, [], False)
    goes_on.set()
    eventually(lambda: len(wire.kept) == 2)
    assert (wire.sent, sorted(wire.kept)) == (["a1", "a2"], ["a3", "a4"])
    assert wire.kept[0] == "a4", "what failed is not to be before all others again"


def test_what_a_thread_that_stands_still_has_comes_back_at_once_and_only_once(sender: Sender, wire: Wire) -> None:
    goes_on, ended = threading.Event(), threading.Event()

    def before(name: str) -> None:
        goes_on.wait(20)
        ended.set()
        raise OSError("it is gone")

    wire.before = before
    batch = wire.batch("a1", "a2")
    sender.do(batch)
    assert (batch.is_taken, wire.kept, sender.breaker.is_open) == (False, ["a1", "a2"], True)
    goes_on.set()
    assert ended.wait(20)
    assert batch.ended.wait(20)
    assert (wire.sent, wire.kept) == ([], ["a1", "a2"])


def test_who_waits_behind_a_large_batch_that_goes_on_does_not_take_the_broker_for_gone(
    sender: Sender, wire: Wire
) -> None:
    is_enough = threading.Event()
    large = wire.batch(*(f"a{number}" for number in range(10_000)))

    def before(name: str) -> None:
        is_enough.wait(0.001)

    wire.before = before
    sender.do(large)
    small = wire.batch("b1")
    sender.do(small)
    assert (small.is_taken, sender.breaker.is_open) == (True, False)
    is_enough.set()
    assert small.ended.wait(30)
    assert (len(wire.sent), wire.sent[-1], wire.kept) == (10_001, "b1", [])


def test_a_broken_connection_is_made_again_and_the_rest_of_the_batch_goes_on_over_it(
    sender: Sender, wire: Wire
) -> None:
    sender.do(wire.batch("a1"))
    broken = sender._connection

    def before(name: str) -> None:
        if name == "b3" and sender._connection is broken:
            raise OSError("it is gone")

    wire.before = before
    sender.do(batch := wire.batch("b1", "b2", "b3", "b4"))
    assert (batch.is_taken, wire.sent, wire.kept) == (True, ["a1", "b1", "b2", "b3", "b4"], [])
    assert sender._connection is not broken


def test_a_connection_that_is_whole_is_kept_where_another_callers_time_is_over(sender: Sender, wire: Wire) -> None:
    sender.do(wire.batch("a1"))
    whole = sender._connection
    goes_on, at_it = threading.Event(), threading.Event()

    def before(name: str) -> None:
        at_it.set()
        goes_on.wait(20)
        sender.breaker.failed(BrokerAway("no answer to somebody else"))

    wire.before = before
    first, second = wire.batch("b1"), wire.batch("c1")
    sender._jobs.put(first)
    assert at_it.wait(20)
    sender._jobs.put(second)
    goes_on.set()
    assert second.ended.wait(20)
    assert (wire.sent, wire.kept) == (["a1", "b1"], ["c1"])
    assert sender._connection is whole


def test_a_queue_that_is_refused_holds_up_no_other_and_is_not_tried_again(sender: Sender, wire: Wire) -> None:
    def before(name: str) -> None:
        if name.startswith("x"):
            raise Refused("no such name")

    wire.before = before
    sender.do(batch := wire.batch("a1", "x1", "a2", "x2", "b1"))
    assert (wire.sent, wire.kept, wire.refused) == (["a1", "a2", "b1"], [], ["x"])
    assert (batch.is_taken, sender.breaker.is_open) == (True, False)


def test_where_no_thread_can_be_started_nothing_is_raised_and_all_is_kept_until_one_can(
    sender: Sender, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    rung: list[Any] = []
    unsent = UnsentBells(lambda rows, keep: rung.extend(rows) is None)
    row: Any = {"id": uuid4(), "version": 1}
    with monkeypatch.context() as patches:
        patches.setattr(threading.Thread, "start", refuse)
        batch = wire.batch("a1", "a2")
        sender.do(batch)
        assert (batch.is_taken, sorted(wire.kept), wire.sent) == (False, ["a1", "a2"], [])
        unsent.keep([row])
    unsent.keep([])
    eventually(lambda: rung == [row])
    unsent.close()
    sender.do(wire.batch("a3"))
    assert wire.sent == ["a3"]
