"""All that steps do to the tables, and how tasks end."""

from decimal import Decimal
from uuid import uuid4

import pytest

from agent_tasks import AgentTasks
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.errors import LeaseLost
from agent_tasks.store.queries import read
from agent_tasks.store.queries.children import joined_children, results, usage
from agent_tasks.task.amount import Amount
from agent_tasks.transitions import heartbeat, idempotency, ledger, release, spend
from agent_tasks.transitions.acquit import acquit
from agent_tasks.transitions.audit import entry
from agent_tasks.transitions.complete_input import complete_input
from agent_tasks.transitions.expire import died
from agent_tasks.transitions.fence import lock_owned
from agent_tasks.transitions.refuse import refuse
from agent_tasks.transitions.retry import retry
from tests import database
from tests.database import claimed, commit, fall_due, lapse, query, submitted
from tests.database.children import BROKEN, broken, end, run_child, spawn, undo
from tests.database.everything.who import ANA, PLENTY, WORKER


def use_steps(client: AgentTasks) -> None:
    key = str(uuid4())
    client.submit("echo", {"value": 1}, idempotency_key=key, identity=ANA)
    client.submit("echo", {"value": 1}, idempotency_key=key, identity=ANA)
    for _ in range(2):
        task = client.new_task(client.find_target("echo"), {"value": 1}, None, identity=ANA)
        client.accept(task, idempotency_key=f"{key} over HTTP", request=b"1")
    with client.database.connection() as connection:
        assert idempotency.is_kept(connection, tenant="acme", subject="ana", key=key)
    client.submit_many("echo", [{"value": n} for n in range(3)])
    several = [client.new_task(client.find_target("echo"), {"value": n}, None, identity=ANA) for n in range(2)]
    client.accept_all(several, [entry("submit", ANA) for _ in several])
    taken = claimed(client, submitted(client, budget=PLENTY), worker=WORKER.id)
    with client.database.connection() as connection, connection.transaction():
        lock_owned(connection, taken)
        complete_input(connection, taken, '{"value": 1}')
        database.charge(connection, taken)
        charged = CallIdentity("", "charge", "d", 0)
        spend.charge(connection, taken, tokens=1, usd=0.1, identity=charged)
        spend.cancel_charge(connection, taken, charged)
        assert ledger.recorded_charges(connection, taken)
        database.keep_partial(connection, taken)
        database.show_progress(connection, taken)
        database.emit(connection, taken)
        database.begin_call(connection, taken)
        database.end_call(connection, taken)
        reserving = ledger.CallBegin(taken, 1, "pay", "k", False, reserve=Amount(usd=Decimal("0.1")))
        assert ledger.begin_calls(connection, [reserving])
        ledger.settle_call(connection, ledger.CallEnd(taken, 1, "failed", "1", back=reserving.reserve))
        ledger.refuse_call(connection, ledger.CallBegin(taken, 2, "pay", "k", False), "1", 1)
        ledger.judge(connection, taken, ledger.recorded_calls(connection, taken).values())
        heartbeat.heartbeat(connection, [(taken.id, taken.run)], lease_seconds=60, seconds=60)
        commit(connection, taken, in_place=True)
        with pytest.raises(LeaseLost):
            commit(connection, taken)  # a run that has lost its step asks why
        with pytest.raises(LeaseLost):
            database.begin_call(connection, taken)
        claims = release.claims_of(connection, [WORKER.id])
        assert (taken.id, taken.run) in claims
        release.release(connection, claims, ring_seconds=60)
    taken = claimed(client, taken.id)
    with client.database.connection() as connection:
        refuse(connection, taken, "b", signature="a", only_if_served=False, lease_seconds=60)
    taken = claimed(client, taken.id)
    with client.database.connection() as connection:
        retry(connection, taken, BROKEN, 600.0, progress=None)


def use_trees(client: AgentTasks) -> None:
    root = claimed(client, submitted(client, budget=PLENTY))
    first, second, _ = spawn(client, root, 3)
    run_child(client, first)
    run_child(client, second, broken)
    client.get(root.id).cancel()
    failing = claimed(client, submitted(client, budget=PLENTY))
    run_child(client, spawn(client, failing, 2, on_child_failure="fail")[0], broken)
    again = client.get(root.id).resume()
    again.cancel()
    with client.database.connection() as connection:
        joined_children(connection, root.id, 1)
        results(connection, [root.id])
        usage(connection, ["echo", "agent1"])
    called_in = claimed(client, submitted(client, budget=PLENTY))
    spawn(client, called_in, 2)
    fall_due(client, called_in.id)
    undoing = claimed(client, submitted(client))
    with client.database.connection() as connection:
        commit(connection, undoing, undoable=True)
    client.get(undoing.id).cancel()
    end(client, claimed(client, undoing.id), undo)


def use_quarantine(client: AgentTasks) -> None:
    lost, died_with = claimed(client), claimed(client)
    for taken in (lost, died_with):
        lapse(client, taken.id)
    database.swept(client)
    with client.database.connection() as connection:
        acquit(connection, [(lost.id, lost.run)])
        assert read.suspects(connection, queues=["agents"], steps=["echo.echo"])[1]
        assert database.claimed_apart(client, died_with.id, worker="q") is not None
        assert died(connection, "q")


def use_ends(client: AgentTasks) -> None:
    done = submitted(client)
    run_child(client, done)
    client.get(done).acknowledge()
    old = submitted(client)
    query(
        client,
        "UPDATE agent_tasks.tasks SET status = 'completed', finished_at = now() - interval '9 d', due_at = NULL "
        "WHERE id = %s",
        old,
    )
    orphan = submitted(client)
    query(
        client,
        "UPDATE agent_tasks.tasks "
        "SET queue = 'nobody', sensitive = true, pending_since = now() - interval '9 d' WHERE id = %s",
        orphan,
    )
    poison = claimed(client)
    query(client, "UPDATE agent_tasks.tasks SET crashes = 2, suspect = 2 WHERE id = %s", poison.id)
    undoing = claimed(client)
    with client.database.connection() as connection:
        commit(connection, undoing, undoable=True)
    client.get(undoing.id).cancel()
    undoing = claimed(client, undoing.id)
    query(client, "UPDATE agent_tasks.tasks SET crashes = 2, suspect = 2 WHERE id = %s", undoing.id)
    for taken in (poison, undoing, claimed(client)):
        lapse(client, taken.id)
