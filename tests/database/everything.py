"""All that the system does to its tables, once each: as a caller, a worker, the sweeps and the command line would."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from agent_tasks import AgentTasks, AlertRule, Budget, HookClosed, Identity
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.authoring.place import Place
from agent_tasks.cli.application import app
from agent_tasks.client import sessions
from agent_tasks.client.keys import verify
from agent_tasks.client.pushes import find_pushes, put_push, remove_push
from agent_tasks.engine.process.registration import NEWEST
from agent_tasks.errors import InvalidInput, InvalidState, LeaseLost
from agent_tasks.store.notify import Listener, notify
from agent_tasks.store.queries import calls, catalog, console, doors, lifetime, living, read, recording
from agent_tasks.store.queries import sessions as session_rows
from agent_tasks.store.queries.children import called_children, joined_children, results, sensitive_child, usage
from agent_tasks.store.queries.readiness import obstacle, short_limits
from agent_tasks.store.session import working
from agent_tasks.sweeps import alerts
from agent_tasks.sweeps.sweeper import ROUNDS, Sweeper
from agent_tasks.task.amount import Amount
from agent_tasks.task.task_filter import TaskFilter
from agent_tasks.transitions import bulk as bulk_rows
from agent_tasks.transitions import (
    call_children,
    delivery,
    heartbeat,
    idempotency,
    job,
    lane,
    ledger,
    logs,
    release,
    signal,
    spend,
)
from agent_tasks.transitions import park as parking
from agent_tasks.transitions.acquit import acquit
from agent_tasks.transitions.audit import entry
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete_input import complete_input
from agent_tasks.transitions.count_down import join_met
from agent_tasks.transitions.expire import died
from agent_tasks.transitions.fence import lock_owned
from agent_tasks.transitions.invoke import Runtime
from agent_tasks.transitions.ledger import RecordedCall
from agent_tasks.transitions.note import note
from agent_tasks.transitions.park import OpenWait
from agent_tasks.transitions.ping import ping
from agent_tasks.transitions.push import PushRow
from agent_tasks.transitions.refuse import refuse
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.sign_out import end_session
from agent_tasks.transitions.submit import NewTask
from agent_tasks.transitions.watch import DELIVERER, watch
from tests import database
from tests.database import claimed, commit, fall_due, lapse, open_wait, operations_of, park, parked, query, submitted
from tests.database.children import BROKEN, broken, end, run_child, spawn, undo
from tests.database.webhooks import deliveries, ended, endpoint

ANA = Identity(subject="ana", tenant="acme", scopes=("tasks:all",))
PLENTY = Budget(seconds=3600, tokens=100_000, usd=10.0, steps=500, calls=500)
WORKER = heartbeat.WorkerRecord("w", "h", 1, ("agents",), ("echo.echo",))


def everything(client: AgentTasks) -> None:
    with client.database.connection() as connection:
        catalog.register_agents(connection, {"echo": {"first_step": "echo", "signals": None}})
        catalog.signing_key(connection)
        assert obstacle(connection, NEWEST) is None
        assert short_limits(connection) == []
        notify(connection, [("somebody", "a word")])
    with Listener(client.database, lambda channel, text: None) as listener:
        listener.ask(["somebody"], ["nobody"])
    with client.database.connection() as connection:
        heartbeat.sign_on(connection, WORKER, seconds=60)
    _steps(client)
    _trees(client)
    _waits(client)
    _straight(client)
    _fan_outs(client)
    _quarantine(client)
    _ends(client)
    _reads(client)
    _schedules(client)
    _bulks(client)
    _webhooks(client)
    _endpoints(client)
    _keys(client)
    _sessions(client)
    _pauses(client)
    _deliveries(client)
    _alerts(client)
    _sweeps(client)
    _console(client)
    _command_line(client)
    with client.database.connection() as connection:
        heartbeat.sign_off(connection, WORKER.id)


def _steps(client: AgentTasks) -> None:
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


def _trees(client: AgentTasks) -> None:
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


def _waits(client: AgentTasks) -> None:
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


def _straight(client: AgentTasks) -> None:
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


def _fan_outs(client: AgentTasks) -> None:
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


def _quarantine(client: AgentTasks) -> None:
    lost, died_with = claimed(client), claimed(client)
    for taken in (lost, died_with):
        lapse(client, taken.id)
    database.swept(client)
    with client.database.connection() as connection:
        acquit(connection, [(lost.id, lost.run)])
        assert read.suspects(connection, queues=["agents"], steps=["echo.echo"])[1]
        assert database.claimed_apart(client, died_with.id, worker="q") is not None
        assert died(connection, "q")


def _ends(client: AgentTasks) -> None:
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


def _reads(client: AgentTasks) -> None:
    with client.database.connection() as connection, connection.transaction():
        code = {"echo.echo": {"value": {"integer"}}}
        assert list(living.states(connection, code, ["echo.echo"]))
        list(living.undos(connection, code))
        list(living.signals(connection, ["echo.echo"], []))
        living.schedules(connection)
        recording.recording(connection, submitted(client))
    root = claimed(client, submitted(client))
    children = spawn(client, root, 2)
    with client.database.connection() as connection:
        sensitive_child(connection, root.id)
    task = client.get(root.id)
    task.children()
    task.page_of_children(1)
    task.calls(1)
    with pytest.raises(InvalidInput):
        task.page_of_events(1_000)
    task.tree()
    client.get(children[0]).tree(root=True)
    task.traceback()
    list(task.events())
    for status in ("pending", "running", "waiting", "completed", "failed", None):
        client.living(status=status, limit=10)  # type: ignore[arg-type]
    client.living(agent="echo", tenant="acme", subject="ana", kind="signal", identity=ANA, limit=10)
    client.search(status="pending", agent="echo", identity=ANA)
    client.search(created_after=timedelta(1), metadata={"none": 1}, text="failed")
    client.search(ended_after=timedelta(1), agent="echo")
    client.spend(["agent", "model", "day"], since=timedelta(1), tenant="acme", identity=ANA)
    client.agents()
    client.audit(identity=ANA)
    with client.database.connection() as connection:
        read.find_many(connection, children)
        calls.costs(connection, [root.id])
        read.kept(connection, root.id)
        read.children_by_status(connection, root.id)
        read.recorded_calls(connection, root.id, 0)
        read.repetition(connection, root.id, 1)
        read.tree_repetition(connection, root.id)
        read.workers(connection, seconds=60)
        read.serving(connection, [("echo", "echo", "agents")], lease_seconds=60)
        read.steps_ahead(connection)
        read.seconds_since_sweep(connection, "orphans")
        read.place(connection)
        read.transaction_status(connection, read.transaction(connection)["id"])
        working(connection, [connection.info.backend_pid])
        catalog.registered_agent(connection, "echo")
        catalog.registered_names(connection)
        catalog.answers(connection)
        doors.pace(connection, "echo")
        lifetime.lifetime(connection, root.id)
        doors.session_queue(connection, "s", "echo", ANA)
        doors.open_tasks(connection, "acme", 100)
        catalog.note_keys(connection, "orphans", ["k"])
        catalog.watch_keys(connection, "orphans")


def _schedules(client: AgentTasks) -> None:
    client.schedule("echo", {"value": 1}, name="s", every=60, identity=ANA)
    client.schedules()
    client.unschedule("s", identity=Identity(subject="eve", tenant="acme"))
    client.unschedule("none")
    client.pause_schedule("s", reason="r", identity=ANA)
    client.trigger_schedule("s")
    client.unpause_schedule("s")
    client.schedule("echo", {"value": 1}, name="missed", every=60, catch_up="none")
    query(client, "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - interval '1 s'")
    query(client, "UPDATE agent_tasks.schedules SET next_at = now() - interval '1 h' WHERE name = 'missed'")


def _endpoints(client: AgentTasks) -> None:
    webhooks = client.webhooks
    for url in ("https://a.example", "https://b.example"):
        webhooks.put("endpoint", url, tenant="acme")
    webhooks.get("endpoint", identity=ANA)
    webhooks.list()
    webhooks.list(tenant="acme", identity=ANA)
    webhooks.ping("endpoint", tenant="acme")
    webhooks.rotate("endpoint", tenant="acme")
    client.submit("echo", {"value": 1}, identity=ANA, callback_url="https://c.example").cancel()
    webhooks.disable("endpoint", tenant="acme")
    webhooks.enable("endpoint", tenant="acme")
    webhooks.remove("endpoint", tenant="acme")
    query(client, "UPDATE agent_tasks.outbox SET at = now() - interval '9 d' WHERE type = 'webhook.ping'")
    query(
        client,
        "UPDATE agent_tasks.deliveries SET status = 'dropped', due_at = NULL, ended_at = now() - interval '9 d' "
        "WHERE type = 'webhook.ping'",
    )


def _bulks(client: AgentTasks) -> None:
    """Each operation on a few tasks of a session, and on some of the many that there are."""
    few = TaskFilter(session_id="bulk")
    client.submit_many("echo", [{"value": n} for n in range(4)], session_id="bulk")
    waits = submitted(client, session_id="bulk")
    with client.database.connection() as connection:
        database.park(connection, claimed(client, waits), "go")
    client.bulk("signal", few, name="go")
    client.bulk("prioritise", few, priority=9)
    client.bulk("move", few, to="agents-too")
    client.bulk("cancel", few, dry_run=True)
    client.bulk("cancel", few, limit=4)
    client.bulk("resume", few, limit=2)
    client.bulk("acknowledge", few)
    client.bulk("purge", few)
    left = client.bulk("cancel", TaskFilter(session_id="bulk", created_after=timedelta(hours=1)), wait=False)
    assert left.id is not None
    client.get_bulk(left.id, identity=None)
    client.stop_bulk(left.id)
    assert client.bulks(identity=ANA) == []
    with client.database.connection() as connection:
        bulk_rows.postpone(connection, UUID(int=1), seconds=1.0)
    gone = submitted(client, identity=Identity(subject="gone", tenant="acme"))
    with pytest.raises(InvalidState):
        client.purge(gone)
    client.purge(subject="gone", tenant="acme", cancel=True, dry_run=True)
    assert client.purge(subject="gone", tenant="acme", cancel=True).tasks == 1


def _webhooks(client: AgentTasks) -> None:
    billing = endpoint(client, "acme", name=str(uuid4()), agents=["echo"])
    names = query(client, "SELECT name FROM agent_tasks.webhooks WHERE id = %s", billing)
    client.submit("echo", {"value": 1}, identity=ANA).cancel()
    old = deliveries(client, billing)[0]["id"]
    ended(client, old)
    webhooks, name = client.webhooks, names[0]["name"]
    webhooks.replay(old, identity=ANA)
    webhooks.replay_range(name, tenant="acme", only="all")
    webhooks.delivery(old)
    task_id = deliveries(client, billing)[0]["task_id"]
    for options in ({}, {"tenant": "acme"}, {"tenant": "acme", "webhook": name}, {"task_id": task_id}):  # type: ignore[var-annotated]
        webhooks.deliveries(**options, status="failed", limit=10)
        webhooks.deliveries(**options, identity=ANA, limit=10)
    page = webhooks.feed(tenant="acme")
    webhooks.feed(after=page.next, identity=Identity(subject="ana", tenant="acme"))
    query(client, "DELETE FROM agent_tasks.webhooks WHERE id = %s", billing)


def _keys(client: AgentTasks) -> None:
    key = client.create_key(tenant="acme", subject="ana", scopes=["tasks:read"], expires_in=60)
    verify(client, key.key)
    client.keys("acme")
    client.keys()
    client.revoke_key(key.id)


def _sessions(client: AgentTasks) -> None:
    runtime = Runtime("echo", ANA, 900.0, 28_800.0)
    session = f"session-{uuid4()}"

    def make() -> NewTask:
        target = client.find_target("echo")
        return client.new_task(target, {"value": 1}, None, identity=ANA, session_id=session)

    task = sessions.invoke(client, runtime, session, make, exclusive=True).row["id"]
    assert sessions.invoke(client, runtime, session, make, exclusive=True).found == "work"
    taken = claimed(client, task)
    with client.database.connection() as connection:
        ping(connection, runtime)
        job.complete(connection, job.add(connection, "job", None, Place(task, 0, taken.run, ANA, session)))
    end(client, taken)
    assert sessions.last_task(client, runtime, session) == task
    assert sessions.invoke(client, runtime, session, make, exclusive=True).found == "result"
    with client.database.connection() as connection:
        ping(connection, runtime)


def _deliveries(client: AgentTasks) -> None:
    hook, other = uuid4(), uuid4()
    for each in (hook, other):
        sql = (
            "INSERT INTO agent_tasks.webhooks (id, tenant, name, url, secret) VALUES (%s, 'hooks', %s, 'https://a', '')"
        )
        query(client, sql, each, str(each))
    taken = claimed(client, submitted(client, identity=Identity(subject="ana", tenant="hooks")))
    for number in range(2):
        address = PushRow(id=str(number), url="https://a.example/", token="t", scheme="Bearer", credentials="c")
        put_push(client, taken.id, address, ANA)
    assert len(find_pushes(client, taken.id)) == 2
    remove_push(client, taken.id, "1", ANA)
    name = f"webhook:{hook}"
    terms: dict[str, Any] = {"usual_room": 10, "limit": 1000, "failing": 5, "lease_seconds": 60}
    terms |= {"tenant_room": {"another": 0}, "usual_tenant_room": 100}
    with client.database.transaction() as connection:
        database.emit(connection, taken)
        lane.failed(connection, {name: 5}, given_up_seconds=60)
        found = delivery.claim(connection, room={"webhook:1": 1}, **terms)
        assert name in {each["lane"] for each in found.claimed}
        assert found.moved
        assert all(delivery.is_wanted(connection, each) for each in found.claimed)
        assert lane.urls(connection, [hook]) == {hook: "https://a"}
        outcomes = [delivery.Outcome(each["id"], each["attempt"], "delivered", 200) for each in found.claimed]
        _, woken = delivery.finish(connection, outcomes)
        assert woken
        lane.pause(connection, {name: 5.0}, {name: 5.0})
        lane.worked(connection, [name])
        lane.forget(connection)
        delivery.give_up(connection, name, seconds=60, lease_seconds=60, limit=100)
        assert lane.disable(connection, hook, url=None, why="gone")
        assert delivery.drop(connection, name, limit=100)
        watch(connection, DELIVERER, gap_seconds=60)
        doors.has_pending_deliveries(connection)


def _alerts(client: AgentTasks) -> None:
    endpoint(client, name=str(uuid4()))
    rules = [AlertRule(kind, 1.0) for kind in ("waiting", "pending", "unserved", "failures", "spend")]  # type: ignore[arg-type]
    for rule in (*rules, AlertRule("orphans"), AlertRule("deliveries")):
        client.put_alert(rule.kind, rule)
        client.put_alert(rule.kind, replace(rule, agent="echo") if rule.kind == "pending" else rule, identity=ANA)
    client.alert("pending", tenant="acme", identity=ANA)
    client.alerts()
    assert alerts.run_once(client)
    client.remove_alert("pending")
    query(client, "UPDATE agent_tasks.alerts SET due_at = clock_timestamp()")


def _sweeps(client: AgentTasks) -> None:
    Sweeper(client).run("orphans")  # its watch begins
    query(client, "UPDATE agent_tasks.watches SET since = now() - interval '1 d', last_at = now()")
    query(
        client,
        "UPDATE agent_tasks.tasks SET due_at = now() WHERE id IN (SELECT id FROM agent_tasks.tasks "
        "WHERE status = 'pending' LIMIT 9)",
    )
    fall_due(client, submitted(client, queue="another"))  # its bell waits
    Sweeper(client).run_due()
    client.redis.delete("agents")  # bells are lost, and rung
    query(
        client,
        "UPDATE agent_tasks.tasks SET due_at = now() WHERE id IN (SELECT id FROM agent_tasks.tasks "
        "WHERE status = 'pending' LIMIT 9)",
    )
    for sweeps in ROUNDS.values():
        for sweep in sweeps.values():
            sweep(client)
    client.unschedule("s")


def _console(client: AgentTasks) -> None:
    one = submitted(client)
    with client.database.connection() as connection:
        assert console.now(connection)["snapshot"]
        end_session(connection, "s", 1.0)
        assert console.session(connection, "s")["ended"]
        assert console.payloads(connection, one) is not None
        assert console.sensitive(connection, [one]) == set()
        assert console.checkpoints(connection, one, 100) == []
        assert console.states(connection, one, [0, 1]) == {}
        assert console.signals(connection, one, 50) == []
        assert [event["seq"] for event in console.latest_events(connection, one, 1)] == [2]
        assert console.given(connection, one, 0) is not None
        assert console.latest_calls(connection, one, 9) == []
        assert console.arguments(connection, [one], 9)[one]["state"] is None
        for identity in (None, ANA):
            console.usual(connection, ["echo"], identity)
            console.step_times(connection, ["echo"], identity)
        assert session_rows.totals(connection, "nobody's", "acme", ANA) == []


def _pauses(client: AgentTasks) -> None:
    pending, waiting, within = submitted(client), claimed(client), claimed(client)
    with client.database.connection() as connection:
        park(connection, waiting, "go", timeout=600)
        database.park_within(connection, within, open_wait(1, "go"), open_wait(2, "come"))
    client.pause(pending)
    client.pause(agent="echo", reason="why")
    with pytest.raises(InvalidState):
        client.pause(agent="echo")
    assert client.get(pending).snapshot().paused
    assert database.try_claim(client, pending) is None
    for task_id in (waiting.id, within.id):
        fall_due(client, task_id)
    sweeper = Sweeper(client)
    sweeper.run("due")
    client.get(within.id).signal("come", 1)
    client.resume_paused(pending)
    client.resume_paused(agent="echo")
    client.pause(ended := submitted(client))
    client.get(ended).cancel()
    sweeper.run("due")
    assert len(client.pauses(ended=True)) >= 2
    again = claimed(client, within.id)
    waits = [open_wait(1, "go")]
    (kept,) = query(client, "SELECT wait FROM agent_tasks.calls WHERE task_id = %s AND ordinal = 1", again.id)
    waits[0].record.wait, waits[0].record.status = {**kept["wait"], "until": "2020-01-01T00:00:00+00:00"}, "started"
    with client.database.connection() as connection, connection.transaction():
        parking.take(connection, again, waits, [1])


def _command_line(client: AgentTasks) -> None:
    one = str(submitted(client))
    commands: list[list[str]] = [
        ["ps"], ["ps", "--status", "completed"], ["status", one], ["status", one, "--traceback"], ["status", one[:13]],
        ["tree", one], ["events", one], ["logs", one], ["schedules"],
        ["audit"], ["doctor"], ["doctor", "--sweeps"], ["keys", "list"],
        ["doctor", "--deliverer"],
        ["cancel", one], ["resume", one], ["ls", "--metadata", "none=1"], ["spend"],
        ["pause", "--queue", "none"], ["pauses", "--ended"], ["unpause", "--queue", "none"],
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AGENT_TASKS_")]:
            patch.delenv(name)
        patch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
        patch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
        for command in commands:
            found: Any = CliRunner().invoke(app, command, prog_name="agent-tasks")
            assert found.exit_code in (0, 1), (command, found.output, found.exception)
