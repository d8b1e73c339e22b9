"""Alerts: rules that can be, and those that are refused."""

from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, AlertRule, InvalidInput
from agent_tasks.client import alerts as limits
from tests.database.alerting import BOSS, LONG


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
