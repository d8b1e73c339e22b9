"""The OpenAI Agents SDK in a step: each request and tool call is made once, whatever write its worker is lost at."""

# pyright: reportAttributeAccessIssue=false, reportInvalidTypeArguments=false
# To pyright `agents` is tests/agents.py, not the SDK.

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("agents")
pytest.importorskip("pydantic_ai")

from agents import Agent as Framework
from agents import LocalShellTool, Runner, WebSearchTool, function_tool
from agents.mcp import MCPServerStdio

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Context, InvalidInput
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised
from agent_tasks.integrations.openai_agents import run
from tests import agents_openai as acme
from tests.agents_pydantic_ai import done
from tests.database import query, row_of, submitted
from tests.database.approving import paid
from tests.database.driving import Driver, driving, result_of, value_of
from tests.database.perishable import Perishable

MADE = {"request 0", "request 2", "request 3", "look Rome", "look Oslo", "look Bonn"}


@pytest.fixture
def driver(client: AgentTasks) -> Iterator[Driver]:
    done.clear()
    with driving(client) as driver:
        yield driver


def calls_of(client: AgentTasks, task_id: UUID) -> list[dict[str, Any]]:
    return query(client, "SELECT name, usd FROM agent_tasks.calls WHERE task_id = %s ORDER BY ordinal", task_id)


def test_requests_and_parallel_tools_are_recorded_and_what_they_use_is_counted(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    first = driver.run(task_id, acme.watch)
    assert value_of(first) == {"output": "BONN, OSLO, ROME", "requests": 3}
    driver.crash(first)
    assert value_of(driver.run(task_id, acme.watch)) == value_of(first)
    assert Counter(done) == dict.fromkeys(MADE, 1)
    row = row_of(client, task_id)
    assert (row["spent_usd"], row["spent_tokens"], row["held_usd"]) == (Decimal("0.03"), 36, 0)
    assert Counter(call["name"] for call in calls_of(client, task_id)) == {"model.request request": 3, "look": 3}


def test_a_worker_that_is_lost_at_any_write_repeats_at_most_what_it_was_in(driver: Driver) -> None:
    for moments in range(0, 24, 2):
        done.clear()
        task_id = submitted(driver.client, budget=Budget(usd=1.0))
        lost = driver.run(task_id, acme.watch, Perishable, moments=moments)
        if isinstance(outcome := result_of(lost), Raised):
            assert isinstance(outcome.error, DatabaseAway), outcome.error
        driver.crash(lost)
        assert value_of(driver.run(task_id, acme.watch))["output"] == "BONN, OSLO, ROME"
        made = Counter(done)
        assert set(made) == MADE
        assert sum(made.values()) <= len(made) + 2, "those in flight, of two tools at once"
        row, calls = row_of(driver.client, task_id), calls_of(driver.client, task_id)
        assert row["held_usd"] == 0
        assert row["spent_usd"] == sum(call["usd"] for call in calls) >= Decimal("0.03")


def test_an_interruption_is_a_wait_and_what_is_not_approved_is_not_done(driver: Driver) -> None:
    task_id = submitted(driver.client, budget=Budget(usd=1.0))
    said = paid(driver, task_id, acme.spend, None, approve={"pay 900": False, "pay 5": True})
    assert "paid 5" in said
    assert "paid 900" not in said
    assert done == ["ask 0", "pay 5", "ask 2"]


def test_an_approved_call_is_made_once_whatever_write_its_worker_is_lost_at(driver: Driver) -> None:
    for moments in range(0, 16, 3):
        done.clear()
        task_id = submitted(driver.client, budget=Budget(usd=1.0))
        assert (
            paid(driver, task_id, acme.spend, moments, approve={"pay 900": True, "pay 5": True}) == "paid 5, paid 900"
        )
        made = Counter(done)
        assert (made["pay 900"], made["pay 5"]) == (1, 1)


def test_an_answer_that_passes_the_budget_is_kept_for_the_task_that_resumes(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(tokens=15))
    short = driver.run(task_id, acme.watch)
    with pytest.raises(BudgetExhausted):
        value_of(short)
    assert len(done) == 4
    driver.settle(short)
    resumed = client.get(task_id).resume(budget=Budget(tokens=100))
    assert value_of(driver.run(resumed.id, acme.watch))["output"] == "BONN, OSLO, ROME"
    assert done[4:] == ["look Bonn", "request 3"]


def test_a_model_without_a_known_price_is_an_error_and_what_a_tool_raises_is_its_own(driver: Driver) -> None:
    pytest.importorskip("genai_prices")

    async def unpriced(ctx: Context) -> str:
        return (await run(ctx, acme.watcher, "look")).final_output

    with pytest.raises(InvalidInput, match="No price is known of the model 'request'"):
        value_of(driver.run(submitted(driver.client), unpriced))

    @function_tool(failure_error_function=None)
    async def look(at: str) -> str:
        raise ConnectionError(at)

    async def failing(ctx: Context) -> str:
        agent = acme.watcher.clone(tools=[look])
        return (await run(ctx, agent, "look", price=acme.price)).final_output

    with pytest.raises(ConnectionError):
        value_of(driver.run(submitted(driver.client), failing))


def test_outside_of_a_step_an_agent_is_as_it_was(driver: Driver) -> None:
    agent: Framework[Any] = acme.watcher
    assert Runner.run_sync(agent, "look").final_output == "BONN, OSLO, ROME"
    assert agent.tools == [acme.look]


def _shell(request: Any) -> str:
    return "done"


@function_tool(needs_approval=True)
async def asked(at: str) -> str:
    return at


@pytest.mark.parametrize(
    ("agent", "error"),
    [
        (Framework("a", mcp_servers=[MCPServerStdio({"command": "none"})]), "Agent a has MCP servers.*function tool"),
        (Framework("a", tools=[LocalShellTool(_shell)]), "Tool local_shell of agent a is a LocalShellTool"),
        (Framework("a", handoffs=[Framework("b", tools=[LocalShellTool(_shell)])]), "of agent b is a LocalShellTool"),
        (Framework("a", tools=[acme.watcher.as_tool("watch", "d")]), "is the tool watch, has a model object"),
        (
            Framework("a", tools=[Framework("b", handoffs=[acme.watcher]).as_tool("watch", "d")]),
            "is the tool watch, has a model object",
        ),
        (Framework("a", tools=[Framework("b", tools=[asked]).as_tool("sub", "d")]), "the tool sub, needs an approval"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_the_first_request(
    driver: Driver, agent: Framework[Any], error: str
) -> None:
    async def refused(ctx: Context) -> str:
        return (await run(ctx, agent, "look")).final_output

    with pytest.raises(InvalidInput, match=error):
        value_of(driver.run(submitted(driver.client), refused))
    assert done == []


def test_tools_that_the_provider_runs_and_agents_with_a_named_model_are_not_refused(driver: Driver) -> None:
    hosted, named = WebSearchTool(), Framework("b", model="gpt-5").as_tool("sub", "d")

    async def with_hosted(ctx: Context) -> str:
        known: Any = acme.watcher
        agent = known.clone(tools=[*known.tools, hosted, named])
        return (await run(ctx, agent, "look", price=acme.price)).final_output

    assert value_of(driver.run(submitted(driver.client), with_hosted)) == "BONN, OSLO, ROME"
