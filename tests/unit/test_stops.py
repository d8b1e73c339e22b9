"""Telling a run to stop: which one, and before what else."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import fakeredis
import pytest

from agent_tasks.doorbell.line import Line
from agent_tasks.doorbell.mirror import Mirror
from agent_tasks.doorbell.publisher import STOP_CHANNEL, Publisher
from agent_tasks.doorbell.raw_bells import RawBells
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.heartbeat import Leases
from agent_tasks.engine.steps.active import ActiveRuns
from agent_tasks.engine.steps.run import StepRun

TASK = uuid4()


def run(number: int, *, task_id: UUID = TASK, undo_step: int | None = None) -> StepRun:
    claim: Any = SimpleNamespace(id=task_id, run=number, undo_step=undo_step)
    nothing: Any = None
    context: Any = SimpleNamespace(stop=lambda: None)
    return StepRun(claim, nothing, nothing, {}, context, nothing, quantum_ends=0)


def stop(active: ActiveRuns, text: str | None) -> Leases:
    client: Any = SimpleNamespace(
        settings=SimpleNamespace(overrun_seconds=1.0, lease_seconds=30.0), database=SimpleNamespace(route=None)
    )
    worker: Any = None
    leases = Leases(client, worker, active, Gate())
    leases._next_beat = 1e9
    leases._stop_named(text)
    return leases


def test_a_run_that_is_replaced_in_its_own_process_is_told_and_held_until_it_ends() -> None:
    active, old, new = ActiveRuns(), run(1), run(2)
    active.add(old)
    active.add(new)
    assert old.stopped_at is not None
    assert new.stopped_at is None
    assert active.all() == [old, new]
    active.remove(old)
    assert active.all() == [new]


def test_a_run_that_goes_on_with_its_next_step_is_not_told() -> None:
    active, first, following = ActiveRuns(), run(1), run(1)
    active.add(first)
    active.add(following)
    active.remove(first)
    assert active.all() == [following]
    assert first.stopped_at is None
    assert following.stopped_at is None


@pytest.mark.parametrize("undo_step", [None, 3])
def test_the_word_to_stop_reaches_the_run_that_it_names_and_no_other(undo_step: int | None) -> None:
    active, named, later = ActiveRuns(), run(4), run(5, task_id=uuid4(), undo_step=undo_step)
    later.claim.id = TASK
    active._runs = {(TASK, 4): named, (TASK, 5): later}
    stop(active, f"{TASK} 4")
    assert named.stopped_at is not None
    assert (later.stopped_at, later.hurried) == (None, False)


def test_an_undo_is_hurried_by_a_word_that_names_its_task_alone() -> None:
    active, undoing = ActiveRuns(), run(5, undo_step=3)
    active.add(undoing)
    stop(active, str(TASK))
    assert undoing.stopped_at is None
    assert undoing.hurried


def test_lost_word_is_made_up_for_by_the_next_heartbeat() -> None:
    assert stop(ActiveRuns(), None)._next_beat == 0.0


def test_runs_are_stop_named_before_any_bell_rings_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    server = fakeredis.FakeRedis()
    line, keys = Line(server), (b"k" * 32,)
    order: list[str] = []
    monkeypatch.setattr(RawBells, "add", lambda bells, row, pipeline: order.append("bell"))
    publisher = Publisher(keys, RawBells(line, lambda: keys[0]), Mirror(line, 15.0, keys))
    stop = publisher._stop
    monkeypatch.setattr(publisher, "_stop", lambda row, pipeline: (order.append("stop"), stop(row, pipeline)))
    heard = server.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(STOP_CHANNEL)
    heard.get_message()
    about = {"status": "pending", "version": 1, "finished_at": None}
    rows: list[dict[str, Any]] = [{"id": uuid4(), "run": 1, "was": "waiting", **about} for _ in range(1200)]
    rows.append({"id": TASK, "run": 7, "was": "running", **about})
    assert publisher.publish(rows)
    assert order == ["stop", *["bell"] * 1201]
    message = heard.get_message(timeout=1)
    assert message is not None
    assert message["data"].decode() == f"{TASK} 7"
