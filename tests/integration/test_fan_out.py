"""How many children there may be, ten thousand and not one more, and what each may spend."""

import pytest

from agent_tasks import Budget, BudgetExhausted
from tests import rows
from tests.agents_children import CROWD
from tests.conftest import Fleet
from tests.eventually import eventually

LIMIT = 10_000


def test_the_limit_is_ten_thousand_where_nobody_sets_another(fleet: Fleet) -> None:
    assert fleet.settings.max_children == LIMIT


def test_ten_thousand_and_one_children_are_refused_and_none_is_spawned(fleet: Fleet) -> None:
    task = fleet.client.submit("family", {"folder": "/nowhere", "members": LIMIT + 1, "queue": CROWD})
    with pytest.raises(BudgetExhausted, match="10,001 children are more than the limit of 10,000") as refused:
        task.result(timeout=30)
    assert refused.value.details == {"resource": "children", "limit": LIMIT, "asked": LIMIT + 1}
    assert task.children() == []
    assert rows.events(fleet.client, task.id, "spawned") == []


def test_ten_thousand_children_are_spawned_in_one_commit_and_cancelled_in_one(fleet: Fleet) -> None:
    task = fleet.client.submit("family", {"folder": "/nowhere", "members": LIMIT, "queue": CROWD})
    eventually(lambda: task.stored().status == "waiting", timeout=60)
    (spawned,) = rows.events(fleet.client, task.id, "spawned")
    assert spawned["data"] == {"children": LIMIT, "agents": ["member"]}
    sql = """
        SELECT count(*) AS n, count(DISTINCT child_index) AS places, min(status) AS first, max(status) AS last
        FROM agent_tasks.tasks WHERE parent_id = %s
    """
    assert rows.query(fleet.client, sql, task.id) == [
        {"n": LIMIT, "places": LIMIT, "first": "pending", "last": "pending"}
    ]
    task.cancel()
    assert rows.query(fleet.client, sql, task.id)[0]["first"] == "cancelled"


def test_an_adaptive_split_follows_what_the_agents_were_seen_to_use(fleet: Fleet) -> None:
    family = {"buyer": {"tokens": 3}, "member": {"folder": "/nowhere", "index": 0}}  # a member charges 1 token
    for task in [task for agent, value in family.items() for task in fleet.client.submit_many(agent, [value] * 5)]:
        task.result(timeout=30)
    children = [{"agent": agent, "input": value} for agent, value in family.items()]
    task = fleet.client.submit("foreman", {"family": children, "split": "adaptive"}, budget=Budget(tokens=4000))
    assert len(task.result(timeout=30)) == 2
    assert [child.stored().budget.limit.tokens for child in task.children()] == [3000, 1000]
