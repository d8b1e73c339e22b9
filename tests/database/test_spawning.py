"""What a worker makes of a FanOut: children with what is theirs of their parent, and a share of its budget."""

from typing import Any

import pytest

from agent_tasks import AgentTasks, Budget, Child, FanOut, Identity
from agent_tasks.engine.steps.spawning import Spawning
from agent_tasks.task.budget import Spend
from agent_tasks.transitions.submit import NewTask
from tests.database import claimed, submitted
from tests.database.children import run_child
from tests.database.test_children import spender


def spawned(client: AgentTasks, children: list[Child], split: Any = "equal", **options: Any) -> list[NewTask]:
    """The children that a task submitted with these options would get."""
    claim = claimed(client, submitted(client, **options))
    return (
        Spawning(client).spawn(claim, FanOut(children, then="echo", reserve=1, split=split), Spend(), Spend()).children
    )


def past(client: AgentTasks, agent: str, *tokens: int) -> None:
    """The agent has completed tasks that used so many tokens each, and a thousandth of that in usd."""
    inputs: dict[str, Any] = {"echo": {}, "buyer": {}, "count": {"to": 1}}
    for used in tokens:
        run_child(client, client.submit(agent, inputs[agent]).id, spender(used, used / 1000))


def test_children_are_whose_their_parent_is(client: AgentTasks) -> None:
    ana = Identity(subject="ana", tenant="acme", actors=("before",))
    (child,) = spawned(client, [Child("buyer")], identity=ana, session_id="s", queue="special", priority=7)
    assert child.identity == ana.extended("echo")
    assert (child.session_id, child.queue, child.priority, child.sensitive) == ("s", "special", 7, False)


def test_children_of_a_sensitive_task_are_sensitive_whatever_its_agent_is(client: AgentTasks) -> None:
    claim = claimed(client, submitted(client))
    claim.row["sensitive"] = True  # as a child of a sensitive agent's task
    found = Spawning(client).spawn(claim, FanOut([Child("buyer")], then="echo"), Spend(), Spend())
    assert [child.sensitive for child in found.children] == [True]


@pytest.mark.parametrize(("reserve", "kept"), [(None, 5.0), (0, 0.0), (20, 20.0)])
def test_a_parent_keeps_the_time_that_it_reserves_a_twentieth_by_default_and_none_with_zero(
    client: AgentTasks, reserve: float | None, kept: float
) -> None:
    claim = claimed(client, submitted(client, budget=Budget(seconds=100)))
    made = FanOut([Child("buyer")], then="echo", reserve=reserve)
    found = Spawning(client).spawn(claim, made, Spend(), Spend())
    assert found.reserve_seconds == pytest.approx(kept)
    assert [child.budget.seconds for child in found.children] == [pytest.approx(100 - kept)]


def test_without_a_past_adaptive_shares_are_equal(client: AgentTasks) -> None:
    children = [Child("echo"), Child("buyer")]
    shares = [child.budget.tokens for child in spawned(client, children, "adaptive", budget=Budget(tokens=1000))]
    assert shares == [500, 500]


def test_adaptive_shares_follow_what_95_of_100_of_the_past_tasks_stayed_within(client: AgentTasks) -> None:
    past(client, "echo", *range(10, 210, 10))  # p95 is 190.5, and so 191
    past(client, "buyer", *[573] * 4, 10_000)  # p95 is far above the usual
    past(client, "count", *[764] * 5)
    budget = Budget(tokens=955_000, usd=955.0, seconds=101)
    echo, count = spawned(client, [Child("echo"), Child("count", {"to": 1})], "adaptive", budget=budget)
    assert (echo.budget.tokens, count.budget.tokens) == (191_000, 764_000)
    assert echo.budget.usd is not None
    assert count.budget.usd is not None
    assert echo.budget.usd / count.budget.usd == pytest.approx(190.5 / 764)
    assert echo.budget.seconds == count.budget.seconds == pytest.approx(100)  # side by side, all of it
    echo, buyer = spawned(client, [Child("echo"), Child("buyer")], "adaptive", budget=budget)
    assert echo.budget.tokens is not None
    assert buyer.budget.tokens is not None
    assert buyer.budget.tokens / echo.budget.tokens > 8000 / 191


def test_an_agent_without_a_past_gets_the_mean_of_the_others_and_weights_count_all_the_same(client: AgentTasks) -> None:
    past(client, "echo", 100)
    past(client, "buyer", 300)
    children = [Child("echo"), Child("buyer", weight=2), Child("count", {"to": 1})]
    shares = [child.budget.tokens for child in spawned(client, children, "adaptive", budget=Budget(tokens=900_000))]
    assert shares == [100_000, 600_000, 200_000]


def test_an_equal_split_does_not_look_at_the_past(client: AgentTasks) -> None:
    past(client, "echo", 100)
    past(client, "buyer", 300)
    shares = [
        child.budget.tokens for child in spawned(client, [Child("echo"), Child("buyer")], budget=Budget(tokens=900_000))
    ]
    assert shares == [450_000, 450_000]
