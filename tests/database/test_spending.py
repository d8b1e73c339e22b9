"""What was spent: each charge once, by what is asked, and only what one may see."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, Budget, Identity, InvalidInput, PermissionDenied, Spent
from agent_tasks.transitions import spend
from tests.database import claimed, query, submitted

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))


def charged(client: AgentTasks, identity: Identity | None, *charges: tuple[int, float, str | None]) -> Any:
    """A task that is charged so many tokens and dollars for each model."""
    task = claimed(client, submitted(client, identity=identity, budget=Budget(usd=100.0)))
    with client.database.connection() as connection:
        for tokens, usd, model in charges:
            spend.charge(connection, task, tokens=tokens, usd=usd, model=model)
    return task.id


@pytest.fixture
def spent(client: AgentTasks) -> AgentTasks:
    charged(client, ANA, (100, 1.0, "large"), (10, 0.125, "small"))
    charged(client, BOB, (50, 0.5, "large"), (0, 0.25, None))
    charged(client, EVE, (1_000, 8.0, "large"))
    charged(client, None, (1, 0.0625, None))
    submitted(client, identity=ANA)
    return client


def sums(found: list[Spent], *keys: str) -> list[tuple[Any, ...]]:
    return [(*(getattr(each, key) for key in keys), each.tokens, each.usd) for each in found]


def test_each_charge_counts_once_by_what_is_asked(spent: AgentTasks) -> None:
    assert sums(spent.spend("tenant"), "tenant") == [("other", 1_000, 8.0), ("acme", 160, 1.875), ("", 1, 0.0625)]
    assert sums(spent.spend(["tenant", "subject"]), "tenant", "subject") == [
        ("other", "eve", 1_000, 8.0), ("acme", "ana", 110, 1.125), ("acme", "bob", 50, 0.75), ("", None, 1, 0.0625),
    ]  # fmt: skip
    assert sums(spent.spend("model"), "model") == [
        ("large", 1_150, 9.5), (None, 1, 0.3125), ("small", 10, 0.125)
    ]  # fmt: skip
    assert sums(spent.spend("agent", model="large", tenant="acme"), "agent") == [("echo", 150, 1.5)]
    (all_of_it,) = spent.spend(())
    assert (all_of_it.tasks, all_of_it.charges, all_of_it.tokens) == (4, 6, 1_161)
    assert sums(spent.spend("tenant", limit=1), "tenant") == [("other", 1_000, 8.0)]


def test_days_are_those_of_the_charges_and_today_is_meant_where_nothing_is_said(spent: AgentTasks) -> None:
    with spent.database.transaction() as connection:
        connection.execute("SET LOCAL session_replication_role = replica")  # history is not rewritten
        connection.execute(
            "UPDATE agent_tasks.events SET at = at - interval '3 d' FROM agent_tasks.tasks "
            "WHERE tasks.id = task_id AND tenant = 'other'"
        )
    today = datetime.now(UTC).date()
    assert {each.day for each in spent.spend()} <= {today, today - timedelta(1)}
    assert sums(spent.spend("tenant"), "tenant") == [("acme", 160, 1.875), ("", 1, 0.0625)]
    old = spent.spend(["day", "tenant"], since=timedelta(days=7), until=timedelta(days=1))
    assert [(each.tenant, each.usd) for each in old] == [("other", 8.0)]
    assert len(spent.spend("tenant", since=datetime.now(UTC) - timedelta(days=7))) == 3


def test_an_identity_sees_what_its_own_tasks_spent_and_is_refused_what_others_did(spent: AgentTasks) -> None:
    assert sums(spent.spend("subject", identity=ANA), "subject") == [("ana", 110, 1.125)]
    assert sums(spent.spend("tenant", identity=BOSS), "tenant") == [("acme", 160, 1.875)]
    assert sums(spent.spend("subject", identity=BOSS, subject="bob"), "subject") == [("bob", 50, 0.75)]
    with pytest.raises(PermissionDenied, match="the tenant 'other'"):
        spent.spend("tenant", tenant="other", identity=BOSS)
    with pytest.raises(PermissionDenied, match="tasks:all"):
        spent.spend("tenant", subject="bob", identity=ANA)
    with pytest.raises(PermissionDenied):
        spent.spend("tenant", tenant="", identity=EVE)


@pytest.mark.parametrize(
    "asked",
    [
        {"by": "colour"}, {"by": ["agent", "status"]}, {"since": "today"}, {"until": datetime(2026, 11, 27)},
        {"tenant": 7}, {"model": ""}, {"limit": 0}, {"since": timedelta(-1)},
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(client: AgentTasks, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        client.spend(**asked)


def test_a_span_of_which_nobody_waits_for_the_sums_is_refused(client: AgentTasks) -> None:
    now = datetime.now(UTC)
    for since, until in ((timedelta(401), None), (now - timedelta(500), timedelta(90)), (now - timedelta(402), now)):
        with pytest.raises(InvalidInput, match="400 days apart at most, not 4") as refusal:
            client.spend(since=since, until=until)
        assert refusal.value.info.details["field"] == "since"
    assert client.spend(since=timedelta(399)) == client.spend(since=now - timedelta(500), until=timedelta(200)) == []


def test_a_span_that_ends_before_it_begins_is_refused(client: AgentTasks) -> None:
    now = datetime.now(UTC)
    for since, until in ((now, now - timedelta(1)), (timedelta(1), timedelta(2)), (None, timedelta(2))):
        with pytest.raises(InvalidInput, match="since must be earlier than until") as refusal:
            client.spend(since=since, until=until)
        assert refusal.value.info.details["field"] == "since"
    assert client.spend(since=now + timedelta(hours=1)) == [], "the clock of who asks may be ahead"


def test_nothing_is_spent_where_nothing_was_charged(client: AgentTasks) -> None:
    assert client.spend() == []
    assert client.spend(()) == []
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.events WHERE type = 'charged'") == [{"n": 0}]
