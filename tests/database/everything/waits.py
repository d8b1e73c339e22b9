"""All that waits, fan-outs and hooks do to the tables."""

from datetime import UTC, datetime

import pytest

from agent_tasks import AgentTasks, Budget, HookClosed
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.store.queries.children import called_children
from agent_tasks.transitions import call_children, ledger, logs, signal
from agent_tasks.transitions import park as parking
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.count_down import join_met
from agent_tasks.transitions.ledger import RecordedCall
from agent_tasks.transitions.note import note
from agent_tasks.transitions.park import OpenWait
from tests.database import claimed, fall_due, open_wait, operations_of, park, parked, query, submitted
from tests.database.children import broken, run_child
from tests.database.everything.who import PLENTY


def use_waits(client: AgentTasks) -> None:
    waiting = claimed(client, submitted(client))
    with client.database.connection() as connection:
        park(connection, waiting, "go", "on")
        signal.inbox(connection, waiting.id, ["other"])
    task = client.get(waiting.id)
    task.signal("other", 1, signal_id="1")
    with client.database.connection() as connection:
        (kept,) = signal.inbox(connection, waiting.id, ["other"])
        signal.refuse(connection, waiting.id, kept["seq"], "no")
    task.signal("go", 1)
    with client.database.connection() as connection:
        signal.receipt(connection, waiting.id, "1")
        signal.sent(connection, waiting.id, "1")
        signal.is_kept(connection, waiting.id, "go", signal_id="1")
        signal.consumed(connection, waiting.id, 1)
        at = datetime.now(UTC).isoformat()
        record = {"task_id": str(waiting.id), "at": at, "level": "info", "logger": "acme", "message": "m"}
        logs.keep(connection, [{**record, "step": "go", "step_number": 0, "run": 1}], most=2)  # type: ignore[typeddict-item]
        logs.read(connection, waiting.id, after=0, limit=9)
        signal.senders(connection, waiting.id, 1, ["go"], is_parked=False)
        parked(connection, claimed(client, waiting.id))
    fall_due(client, waiting.id)
    asking = claimed(client, submitted(client))
    url = operations_of(client, asking).hook(HookOptions("go"))
    often = operations_of(client, asking).hook(HookOptions("news", once=False))
    with client.database.connection() as connection:
        park(connection, asking, "go")
    assert client.hook(url).waiting
    client.answer_hook(often, 1, key="1")
    client.answer_hook(url, 1, key="1")
    within = claimed(client, submitted(client))
    url_within = operations_of(client, within).hook(HookOptions("go"))
    with client.database.connection() as connection:
        parking.park(connection, within, [open_wait(0)], progress=None)
    assert not client.hook(url_within).waiting
    with pytest.raises(HookClosed):
        client.answer_hook(url, 1, key="2")


def use_straight(client: AgentTasks) -> None:
    waiting = claimed(client, submitted(client))
    with client.database.connection() as connection:
        ledger.judge(connection, waiting, [])
        assert parking.take(connection, waiting, [open_wait(0)], [1]) == []
        note(connection, waiting, open_wait(2).record, "1", 1)
        parking.keep(connection, waiting, [open_wait(0)])
        parking.cancel(connection, waiting, open_wait(0), 2)
        with connection.transaction():
            parking.park(connection, waiting, [open_wait(1)], progress=None)
            signal.deliver(connection, waiting.id, ring_seconds=60)
    client.get(waiting.id).signal("go", 1, wait_id="1")
    again = claimed(client, waiting.id)
    with client.database.connection() as connection:
        assert parking.take(connection, again, [open_wait(1)], [3])
    client.get(waiting.id).cancel()
    client.get(waiting.id).resume().cancel()


def use_fan_outs(client: AgentTasks) -> None:
    parent = claimed(client, submitted(client, budget=PLENTY))
    first, second = (_spawned_by_call(client, parent, ordinal) for ordinal in (0, 1))
    with client.database.transaction() as connection:
        assert not call_children.take(connection, parent, [0, 1], [1, 2])
        call_children.cancel(connection, parent, second, 2, ring_seconds=60)
        waits = [OpenWait(first, {"kind": "children"}, 0.0, None)]
        parking.park(connection, parent, waits, progress=None)
        assert join_met(connection, parent.id, [0], ring_seconds=60) is None
        children = called_children(connection, parent.id, 0, 0)
    run_child(client, children[0]["id"], broken)
    client.get(parent.id).cancel()
    again = claimed(client, client.get(parent.id).resume().id)
    with client.database.transaction() as connection:
        recorded = ledger.recorded_calls(connection, again)[0]
        unfinished = called_children(connection, again.id, 0, 0)
        budgets = [Budget() for _ in unfinished]
        call_children.go_on(connection, again, recorded, unfinished, budgets, left=None, ring_seconds=60)
        waits = [OpenWait(recorded, {"kind": "children"}, 0.0, None)]
        parking.park(connection, again, waits, progress=None)
    over = "wait = wait || jsonb_build_object('until', clock_timestamp())"
    query(client, f"UPDATE agent_tasks.calls SET {over} WHERE task_id = %s AND status = 'started'", again.id)
    fall_due(client, again.id)


def _spawned_by_call(client: AgentTasks, parent: Claim, ordinal: int) -> RecordedCall:
    record = open_wait(ordinal).record
    target = client.find_target("echo")
    with client.database.transaction() as connection:
        row, _ = call_children.spawn(
            connection,
            parent,
            record,
            [client.new_task(target, {"value": n}, None) for n in range(2)],
            on_child_failure="collect",
            left=None,
            reserve_seconds=0.0,
            clamped={},
            ring_seconds=60,
        )
    record.wait = row["wait"]
    return record
