"""Alerts: each rule fires once where something stands still, and is resolved once where it goes on."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, Alert, AlertRule, Budget, Identity, InvalidInput, PermissionDenied, TaskNotFound
from agent_tasks.client import alerts as limits
from agent_tasks.store.queries.alert_values import measured
from agent_tasks.sweeps import alerts
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.transitions import alert as rows
from agent_tasks.transitions import heartbeat, spend
from tests.database import Row, claimed, park, query, submitted
from tests.database.children import broken, run_child
from tests.database.webhooks import deliveries, ended, endpoint

ANA = Identity(subject="ana", tenant="acme")
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))
NOBODYS = Identity(subject="carl", scopes=("tasks:all",))
LONG = AlertRule("pending", 3600)
WORKER = heartbeat.WorkerRecord("w", "h", 1, ("agents",), ("echo.echo",))


def told(client: AgentTasks) -> list[Row]:
    return query(client, "SELECT * FROM agent_tasks.outbox WHERE type LIKE 'alert.%%' ORDER BY id")


def types_told(client: AgentTasks) -> list[str]:
    return [row["type"] for row in told(client)]


def checked(client: AgentTasks, name: str = "a", **options: Any) -> Alert:
    """The alert after one more check of all."""
    query(client, "UPDATE agent_tasks.alerts SET due_at = clock_timestamp()")
    alerts.run_once(client)
    return client.alert(name, **options)


def aged(client: AgentTasks, task_id: Any, seconds: float = 7200) -> None:
    """The task has been pending, or has waited, for so long."""
    query(
        client,
        """
        UPDATE agent_tasks.tasks SET pending_since = now() - make_interval(secs => %s),
            waiting_for = waiting_for || jsonb_build_object('since', now() - make_interval(secs => %s)) WHERE id = %s
        """,
        seconds,
        seconds,
        task_id,
    )


def waiting(client: AgentTasks, **options: Any) -> Any:
    taken = claimed(client, submitted(client, **options))
    with client.database.connection() as connection:
        park(connection, taken, "go")
    return taken.id


class Case:
    """How a rule comes to fire, and how it is over."""

    rule: AlertRule
    found: str
    """Of what the sentence speaks."""

    def begin(self, client: AgentTasks) -> None: ...

    def end(self, client: AgentTasks) -> None: ...


class Waiting(Case):
    rule = AlertRule("waiting", timedelta(hours=1), waits_for="signal")
    found = "has waited for 7,2"

    def begin(self, client: AgentTasks) -> None:
        self.task = waiting(client)
        aged(client, self.task)

    def end(self, client: AgentTasks) -> None:
        client.get(self.task).signal("go", 1)


class Pending(Case):
    rule = LONG
    found = "has been pending for 7,2"

    def begin(self, client: AgentTasks) -> None:
        self.task = submitted(client)
        aged(client, self.task)

    def end(self, client: AgentTasks) -> None:
        claimed(client, self.task)


class Unserved(Case):
    rule = AlertRule("unserved", queue="agents")
    found = "has had no worker for 7,2"

    def begin(self, client: AgentTasks) -> None:
        self.task = submitted(client)
        aged(client, self.task)

    def end(self, client: AgentTasks) -> None:
        with client.database.connection() as connection:
            heartbeat.sign_on(connection, WORKER, seconds=60)


class Failures(Case):
    rule = AlertRule("failures", 0.5, agent="echo", least=2)
    found = "1 of 2 tasks of echo failed within 3,600 s (50.0%); the threshold is 50.0%"

    def begin(self, client: AgentTasks) -> None:
        run_child(client, submitted(client))
        run_child(client, submitted(client), broken)
        client.get(submitted(client)).cancel()

    def end(self, client: AgentTasks) -> None:
        run_child(client, submitted(client))


class Spend(Case):
    rule = AlertRule("spend", 5, window=timedelta(hours=1))
    found = "tasks spent 6.00 USD within 3,600 s; the threshold is 5.00 USD"

    def begin(self, client: AgentTasks) -> None:
        taken = claimed(client, submitted(client, budget=Budget(usd=100.0)))
        with client.database.connection() as connection:
            for _ in range(2):
                spend.charge(connection, taken, tokens=1, usd=3.0)

    def end(self, client: AgentTasks) -> None:
        with client.database.transaction() as connection:
            connection.execute("SET LOCAL session_replication_role = replica")  # history is not rewritten
            connection.execute("UPDATE agent_tasks.events SET at = at - interval '2 h'")


class Orphans(Case):
    rule = AlertRule("orphans", queue="agents")
    found = "tasks given up as orphans within 3,600 s: 1; the threshold is 1"

    def begin(self, client: AgentTasks) -> None:
        Sweeper(client).run("orphans")
        query(client, "UPDATE agent_tasks.watches SET since = now() - interval '1 d', last_at = now()")
        task = submitted(client)
        run_child(client, submitted(client), broken)  # which is no orphan
        aged(client, task, 9 * 86_400)
        Sweeper(client).run("orphans")

    def end(self, client: AgentTasks) -> None:
        with client.database.transaction() as connection:
            connection.execute("SET LOCAL session_replication_role = replica")  # what has ended does not change
            connection.execute("UPDATE agent_tasks.tasks SET finished_at = finished_at - interval '2 h'")


class Deliveries(Case):
    rule = AlertRule("deliveries")
    found = "webhooks not delivered within 3,600 s: 1; the threshold is 1"

    def begin(self, client: AgentTasks) -> None:
        billing = endpoint(client, types=["task.submitted"])
        submitted(client)
        ended(client, deliveries(client, billing)[0]["id"])

    def end(self, client: AgentTasks) -> None:
        query(client, "UPDATE agent_tasks.deliveries SET ended_at = ended_at - interval '2 h' WHERE status = 'failed'")


@pytest.mark.parametrize("case", [case() for case in Case.__subclasses__()], ids=lambda case: case.rule.kind)
def test_each_kind_fires_once_and_is_resolved_once(
    client: AgentTasks, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.put_alert("a", case.rule).state == "ok"
    assert (checked(client).state, told(client)) == ("ok", [])
    case.begin(client)
    firing = [checked(client) for _ in range(3)]
    assert [alert.state for alert in firing] == ["firing"] * 3
    assert len({alert.since for alert in firing}) == 1
    assert types_told(client) == ["alert.firing"]
    case.end(client)
    assert [checked(client).state for _ in range(3)] == ["ok"] * 3
    assert types_told(client) == ["alert.firing", "alert.resolved"]
    first, last = (row["data"] for row in told(client))
    assert (first["alert"], first["kind"], first["state"]) == ("a", case.rule.kind, "firing")
    assert case.found in first["message"]
    assert first["value"] >= first["threshold"] == firing[0].threshold
    assert last["state"] == "ok"
    assert last["since"] > first["since"]
    lines = [record.getMessage() for record in caplog.records if record.name == alerts.__name__]
    assert [line.split(":")[0] for line in lines] == ["alert firing", "alert resolved"]


def test_there_is_a_case_for_each_kind() -> None:
    from agent_tasks.client.alert_rule import _KINDS

    assert {case.rule.kind for case in Case.__subclasses__()} == set(_KINDS)


def test_a_change_is_one_line_of_the_log(client: AgentTasks, caplog: pytest.LogCaptureFixture) -> None:
    client.put_alert("night", LONG)
    aged(client, submitted(client))
    with caplog.at_level(logging.WARNING):
        checked(client, "night")
        checked(client, "night")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("alert firing: alert=night tenant=- kind=pending: night: task ")


def test_the_housekeeping_checks_what_is_due_and_nothing_else(client: AgentTasks) -> None:
    client.put_alert("a", LONG)
    aged(client, submitted(client))
    assert Sweeper(client).run("housekeeping")["alerts"] == 1
    (first,) = query(client, "SELECT run, extract(epoch FROM due_at - now())::float8 AS left FROM agent_tasks.alerts")
    assert 0 < first["left"] <= rows.EVERY_SECONDS
    Sweeper(client).run("housekeeping")
    assert query(client, "SELECT run FROM agent_tasks.alerts") == [{"run": first["run"]}]


def test_the_sums_of_a_long_window_are_made_less_often(client: AgentTasks) -> None:
    client.put_alert("a", AlertRule("spend", 5, window=timedelta(days=10)))
    alerts.run_once(client)
    (row,) = query(client, "SELECT extract(epoch FROM due_at - now())::float8 AS left FROM agent_tasks.alerts")
    assert 800 < row["left"] <= 864


def test_two_sweepers_at_once_tell_of_a_change_once(client: AgentTasks) -> None:
    for number in range(20):
        client.put_alert(f"a{number}", LONG)
    aged(client, submitted(client))

    with ThreadPoolExecutor(4) as threads:
        changed = [each.result() for each in [threads.submit(alerts.run_once, client) for _ in range(4)]]
    assert sum(changed) == 20
    assert sorted(row["data"]["alert"] for row in told(client)) == sorted(f"a{number}" for number in range(20))


def test_what_a_late_sweeper_measured_is_not_written(client: AgentTasks) -> None:
    client.put_alert("a", LONG)
    task = submitted(client)
    aged(client, task)
    with client.database.connection() as connection:
        late = rows.claim(connection)
        assert late is not None
        old = measured(connection, late, lease_seconds=15)
        claimed(client, task)
        assert checked(client).state == "ok"
        assert rows.check(connection, late, old, "late") is None
    assert (client.alert("a").state, told(client)) == ("ok", [])


def test_what_was_measured_for_a_rule_that_was_changed_meanwhile_is_not_written(client: AgentTasks) -> None:
    client.put_alert("a", LONG)
    aged(client, submitted(client))
    with client.database.connection() as connection:
        late = rows.claim(connection)
        assert late is not None
        old = measured(connection, late, lease_seconds=15)
        client.put_alert("a", AlertRule("pending", 86_400))
        assert rows.check(connection, late, old, "late") is None
    assert (client.alert("a").state, told(client)) == ("ok", [])


def test_a_changed_rule_keeps_its_state_until_it_is_checked(client: AgentTasks) -> None:
    client.put_alert("a", LONG)
    aged(client, submitted(client))
    since = checked(client).since
    again = client.put_alert("a", AlertRule("pending", 1800))
    assert (again.state, again.since, again.threshold) == ("firing", since, 1800)
    alerts.run_once(client)
    assert client.alert("a").checked_at != again.checked_at, "it is due at once"
    assert types_told(client) == ["alert.firing"]
    client.put_alert("a", AlertRule("pending", 86_400))
    assert (checked(client).state, types_told(client)) == ("ok", ["alert.firing", "alert.resolved"])


def test_an_alert_that_is_removed_while_it_fires_is_resolved(client: AgentTasks) -> None:
    client.put_alert("a", LONG)
    client.put_alert("quiet", AlertRule("deliveries"))
    aged(client, submitted(client))
    checked(client)
    assert client.remove_alert("a")
    assert client.remove_alert("quiet")
    assert not client.remove_alert("a")
    assert types_told(client) == ["alert.firing", "alert.resolved"]
    assert told(client)[1]["data"]["message"] == "a was removed."
    with pytest.raises(TaskNotFound, match="No alert is named 'a'"):
        client.alert("a")


def test_a_receiver_that_takes_no_alert_keeps_none_alive(client: AgentTasks) -> None:
    """What failed to tell of an alert is no dead delivery: else the alert would fire because it fires."""
    billing = endpoint(client)
    client.put_alert("a", AlertRule("deliveries"))
    submitted(client)
    ended(client, deliveries(client, billing)[0]["id"])
    assert checked(client).value == 1
    (about,) = [row for row in deliveries(client, billing) if row["type"] == "alert.firing"]
    ended(client, about["id"])
    assert checked(client).value == 1
    query(client, "UPDATE agent_tasks.deliveries SET ended_at = ended_at - interval '2 h' WHERE task_id IS NOT NULL")
    assert (checked(client).state, client.alert("a").value) == ("ok", 0)


def test_a_share_of_few_tasks_says_nothing(client: AgentTasks) -> None:
    client.put_alert("a", AlertRule("failures", 0.1, least=3))
    for _ in range(2):
        run_child(client, submitted(client), broken)
    found = checked(client)
    assert (found.state, found.value, found.found) == ("ok", None, {"failed": 2, "ended": 2})
    run_child(client, submitted(client), broken)
    assert (checked(client).state, checked(client).value) == ("firing", 1.0)


def test_a_queue_is_unserved_since_its_worker_was_last_seen(client: AgentTasks) -> None:
    """A worker that was just restarted beside a long queue is no alarm."""
    client.put_alert("a", AlertRule("unserved"))
    aged(client, submitted(client))
    with client.database.connection() as connection:
        heartbeat.sign_on(connection, WORKER, seconds=60)
        heartbeat.sign_off(connection, WORKER.id)
    found = checked(client)
    assert (found.state, found.found and found.found["step"]) == ("ok", "echo")
    query(client, "UPDATE agent_tasks.workers SET seen_at = now() - interval '2 min'")
    assert checked(client).state == "firing"


def test_filters_choose_whose_tasks_count(client: AgentTasks) -> None:
    aged(client, submitted(client, queue="slow"))
    aged(client, waiting(client))
    firing = {
        name: checked(client, name).state == "firing"
        for name, rule in {
            "slow": AlertRule("pending", 60, queue="slow"),
            "other queue": AlertRule("pending", 60, queue="fast"),
            "agent": AlertRule("pending", 60, agent="echo"),
            "other agent": AlertRule("pending", 60, agent="hops"),
            "signal": AlertRule("waiting", 60, waits_for="signal"),
            "timer": AlertRule("waiting", 60, waits_for="timer"),
        }.items()
        if client.put_alert(name, rule)
    }
    assert [name for name, fires in firing.items() if fires] == ["slow", "agent", "signal"]


@pytest.mark.parametrize("kind", ["pending", "unserved", "waiting"])
def test_what_is_paused_fires_nothing(client: AgentTasks, kind: Any) -> None:
    held = waiting(client) if kind == "waiting" else submitted(client)
    aged(client, held)
    client.put_alert("a", AlertRule(kind, 60))
    assert checked(client).state == "firing"
    client.pause(held)
    assert checked(client).state == "ok"
    client.resume_paused(held)
    aged(client, held)
    assert checked(client).state == "firing"


@pytest.mark.parametrize("kind", ["pending", "unserved", "waiting"])
def test_many_that_are_paused_hide_none_that_is_not(client: AgentTasks, kind: Any) -> None:
    """No sweep has put them off yet, nor does one where they wait without a time-out."""
    held = [task.id for task in client.submit_many("echo", [{}] * 101)]
    other = submitted(client, queue="other")
    for task in (*held, other) if kind == "waiting" else ():
        wait = """status = 'waiting', due_at = NULL, waiting_for = jsonb_build_object('kind', 'signal', 'name', 'go',
            'since', now())"""
        query(client, f"UPDATE agent_tasks.tasks SET {wait} WHERE id = %s", task)
    for task in held:
        aged(client, task, 9000)
    aged(client, other, 7200)
    client.pause(queue="agents")
    client.put_alert("a", AlertRule(kind, 3600))
    found = checked(client)
    assert (found.state, (found.found or {}).get("task_id")) == ("firing", str(other))


def test_tenants_are_sealed(client: AgentTasks) -> None:
    """Each watches its own tasks, and is told of its own alerts; a trusted program watches all of them."""
    acme, other, nobodys = (endpoint(client, tenant, trusted=False) for tenant in ("acme", "other", ""))
    trusted, anas = endpoint(client), endpoint(client, "acme", subject="ana")
    client.put_alert("a", LONG, identity=BOSS)
    client.put_alert("a", LONG, identity=EVE)
    client.put_alert("b", LONG, identity=NOBODYS)
    client.put_alert("all", LONG)
    aged(client, submitted(client, identity=ANA))
    aged(client, submitted(client))
    states = {(each.tenant, each.name): each.state for each in [checked(client, "all"), *client.alerts()]}
    assert states == {("acme", "a"): "firing", ("other", "a"): "ok", ("", "b"): "ok", ("", "all"): "firing"}
    heard = {
        name: [row["type"] for row in deliveries(client, id) if row["type"].startswith("alert.")]
        for name, id in {"acme": acme, "other": other, "nobodys": nobodys, "trusted": trusted, "anas": anas}.items()
    }
    assert heard == {"acme": ["alert.firing"], "other": [], "nobodys": [], "trusted": ["alert.firing"], "anas": []}
    seen = {
        identity.tenant: [e.type for e in client.webhooks.feed(identity=identity).events if e.type.startswith("alert")]
        for identity in (BOSS, EVE, NOBODYS)
    }
    assert seen == {"acme": ["alert.firing"], "other": [], "": []}
    assert [each.name for each in client.alerts(identity=BOSS)] == ["a"]
    assert [each.name for each in client.alerts(identity=NOBODYS)] == ["b"]
    assert client.alerts(identity=ANA) == []
    for tenant, name, identity in (("acme", "a", EVE), ("acme", "a", ANA), ("", "all", NOBODYS)):
        with pytest.raises(TaskNotFound):
            client.alert(name, tenant=tenant, identity=identity)
        assert not client.remove_alert(name, tenant=tenant, identity=identity)
    for tenant, identity in (("other", BOSS), ("acme", ANA)):
        with pytest.raises(PermissionDenied, match="tasks:all"):
            client.put_alert("a", LONG, tenant=tenant, identity=identity)
    with pytest.raises(PermissionDenied, match="trusted program's"):
        client.put_alert("all", LONG, identity=NOBODYS)


def test_an_endpoint_for_some_agents_hears_of_their_alerts(client: AgentTasks) -> None:
    echoes, others = endpoint(client, agents=["echo"]), endpoint(client, agents=["hops"])
    client.put_alert("a", AlertRule("pending", 60, agent="echo"))
    client.put_alert("b", LONG)
    query(client, "DELETE FROM agent_tasks.deliveries")
    aged(client, submitted(client))
    checked(client)
    about = [row for row in deliveries(client, echoes) if row["type"] == "alert.firing"]
    assert (len(about), deliveries(client, others)) == (1, [])


def test_an_agent_that_nobody_knows_is_taken_and_said(client: AgentTasks) -> None:
    with client.database.connection() as connection:
        from agent_tasks.store.queries import catalog

        catalog.register_agents(connection, {"echo": {"first_step": "echo", "signals": None}})
    assert client.put_alert("a", AlertRule("pending", 60, agent="echoo")).unknown_agent
    assert not client.put_alert("b", AlertRule("pending", 60, agent="echo")).unknown_agent
    assert not client.put_alert("c", LONG).unknown_agent


def test_what_is_written_is_audited(client: AgentTasks) -> None:
    client.put_alert("a", LONG, identity=BOSS)
    client.remove_alert("a", identity=BOSS)
    said = [(each.operation, each.target, each.subject, each.data) for each in client.audit(tenant="acme")]
    assert said == [("remove_alert", "a", "boss", None), ("put_alert", "a", "boss", {"kind": "pending"})]


def test_there_are_so_many_alerts_at_most(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 2)
    for name in ("a", "b", "a"):
        client.put_alert(name, LONG)
    client.put_alert("a", LONG, tenant="acme")
    with pytest.raises(InvalidInput, match="2 alerts already"):
        client.put_alert("c", LONG)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no kind": ({"kind": "slow", "threshold": 1}, "kind"),
    "a list for a kind": ({"kind": ["pending"], "threshold": 1}, "kind"),
    "no threshold": ({"kind": "pending"}, "threshold"),
    "no share": ({"kind": "failures"}, "threshold"),
    "a share above one": ({"kind": "failures", "threshold": 20}, "threshold"),
    "a share of none": ({"kind": "failures", "threshold": 0}, "threshold"),
    "a share in time": ({"kind": "failures", "threshold": timedelta(1)}, "threshold"),
    "no money": ({"kind": "spend", "threshold": 0}, "threshold"),
    "not a number": ({"kind": "spend", "threshold": float("nan")}, "threshold"),
    "infinite": ({"kind": "pending", "threshold": float("inf")}, "threshold"),
    "a flag": ({"kind": "orphans", "threshold": True}, "threshold"),
    "half an orphan": ({"kind": "orphans", "threshold": 1.5}, "threshold"),
    "more than are counted": ({"kind": "orphans", "threshold": 1_000_000}, "threshold"),
    "no time": ({"kind": "pending", "threshold": 0.5}, "threshold"),
    "text": ({"kind": "pending", "threshold": "1h"}, "threshold"),
    "a short window": ({"kind": "orphans", "window": 1}, "window"),
    "a long window": ({"kind": "spend", "threshold": 1, "window": timedelta(days=32)}, "window"),
    "a window of what has none": ({"kind": "pending", "threshold": 1, "window": 3600}, "window"),
    "an agent of deliveries": ({"kind": "deliveries", "agent": "echo"}, "agent"),
    "a queue of spend": ({"kind": "spend", "threshold": 1, "queue": "agents"}, "queue"),
    "an agent that no name is": ({"kind": "pending", "threshold": 1, "agent": "a b"}, "agent"),
    "an agent that no text is": ({"kind": "pending", "threshold": 1, "agent": 7}, "agent"),
    "an empty queue": ({"kind": "pending", "threshold": 1, "queue": ""}, "queue"),
    "an unknown wait": ({"kind": "waiting", "threshold": 1, "waits_for": "godot"}, "waits_for"),
    "a wait of what is pending": ({"kind": "pending", "threshold": 1, "waits_for": "timer"}, "waits_for"),
    "a share of none at all": ({"kind": "failures", "threshold": 0.5, "least": 0}, "least"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_rule_that_cannot_be_is_refused(case: str) -> None:
    options, field = BAD[case]
    with pytest.raises(InvalidInput) as refusal:
        AlertRule(**options)
    assert refusal.value.info.details["field"] == field


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, None])
def test_a_name_that_cannot_be_is_refused(client: AgentTasks, name: Any) -> None:
    for do in (lambda: client.put_alert(name, LONG), lambda: client.alert(name), lambda: client.remove_alert(name)):
        with pytest.raises(InvalidInput, match="name"):
            do()
    with pytest.raises(InvalidInput, match="rule must be an AlertRule"):
        client.put_alert("a", {"kind": "pending"})  # type: ignore[arg-type]
