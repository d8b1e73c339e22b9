"""Alerts: each rule fires once where something stands still, and is resolved once where it goes on."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from agent_tasks import AgentTasks, AlertRule, Budget, TaskNotFound
from agent_tasks.store.queries.alert_values import measured
from agent_tasks.sweeps import alerts
from agent_tasks.sweeps.sweeper import Sweeper
from agent_tasks.transitions import alert as rows
from agent_tasks.transitions import heartbeat, spend
from tests.database import Row, claimed, query, submitted
from tests.database.alerting import LONG, WORKER, aged, checked, waiting
from tests.database.children import broken, run_child
from tests.database.webhooks import deliveries, ended, endpoint


def told(client: AgentTasks) -> list[Row]:
    return query(client, "SELECT * FROM agent_tasks.outbox WHERE type LIKE 'alert.%%' ORDER BY id")


def types_told(client: AgentTasks) -> list[str]:
    return [row["type"] for row in told(client)]


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
