"""Pydantic AI in a step: each request and tool call is made once, whatever write its worker is lost at."""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent as Framework
from pydantic_ai.models.test import TestModel

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Context, InvalidInput, SyncContext
from agent_tasks.engine.steps.decision import ParkFor, decide
from agent_tasks.engine.steps.run import Raised
from agent_tasks.integrations.pydantic_ai import TaskDurability, durable, run
from tests import agents_pydantic_ai as acme
from tests.database import fall_due, query, row_of, submitted
from tests.database.approving import asked, paid
from tests.database.driving import Driver, driving, result_of, value_of
from tests.database.perishable import Perishable

REQUESTS = {"request 0": 1, "request 2": 1, "request 3": 1}
LOOKS = {"look Rome": 1, "look Oslo": 1, "look Bonn": 1}


@pytest.fixture
def driver(client: AgentTasks) -> Iterator[Driver]:
    acme.done.clear()
    with driving(client) as driver:
        yield driver


def calls_of(client: AgentTasks, task_id: UUID) -> list[dict[str, Any]]:
    sql = "SELECT name, status, usd, tokens FROM agent_tasks.calls WHERE task_id = %s ORDER BY ordinal"
    return query(client, sql, task_id)


def test_requests_and_parallel_tools_are_recorded_and_what_they_use_is_counted(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    first = driver.run(task_id, acme.watch)
    assert value_of(first) == {"output": "saw ROME, OSLO, BONN", "requests": 3}
    driver.crash(first)
    again = driver.run(task_id, acme.watch)
    assert value_of(again) == value_of(first)
    assert Counter(acme.done) == REQUESTS | LOOKS
    row = row_of(client, task_id)
    assert (row["spent_usd"], row["spent_tokens"], row["held_usd"]) == (Decimal("0.03"), 36, 0)
    calls = calls_of(client, task_id)
    assert sorted(Counter(call["name"].rpartition("__")[2] for call in calls).items()) == [
        ("<agent>.call_tool:look", 3),
        ("model.request", 3),
    ]
    assert {call["usd"] for call in calls if call["name"].endswith("request")} == {Decimal("0.01")}


def test_a_worker_that_is_lost_at_any_write_repeats_at_most_what_it_was_in(driver: Driver) -> None:
    for moments in range(0, 24, 2):
        acme.done.clear()
        task_id = submitted(driver.client, budget=Budget(usd=1.0))
        lost = driver.run(task_id, acme.watch, Perishable, moments=moments)
        driver.crash(lost)
        assert value_of(driver.run(task_id, acme.watch))["output"] == "saw ROME, OSLO, BONN"
        made = Counter(acme.done)
        assert set(made) == {*REQUESTS, *LOOKS}
        assert sum(made.values()) <= len(made) + 2, "those in flight, of two tools at once"
        row, calls = row_of(driver.client, task_id), calls_of(driver.client, task_id)
        assert row["held_usd"] == 0
        assert row["spent_usd"] == sum(call["usd"] for call in calls) >= Decimal("0.03")


def test_an_approval_is_bound_to_the_arguments_it_was_given_for_and_is_consumed_once(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    first = driver.run(task_id, acme.spend)
    driver.commits.commit(first.claim, decide(first, result_of(first), limit=1_000_000, draining=False))
    assert row_of(client, task_id)["waiting_for"]["names"] == ["approval"]
    assert acme.done == ["ask 0"]
    assert sorted(asked(client, task_id).values()) == ["pay 5", "pay 900"]
    handle = client.get(task_id)
    handle.signal("approval", {"call": "another call", "approved": True})
    handle.signal("approval", True)
    assert paid(driver, task_id, acme.spend, None, approve={"pay 900": False, "pay 5": True}) == (
        "['The tool call was denied.', 'paid 5']"
    )
    assert acme.done == ["ask 0", "pay 5", "ask 2"]
    assert [event.type for event in handle.events()].count("approval_ignored") == 2


def park(driver: Driver, task_id: UUID, step: Any) -> None:
    run = driver.run(task_id, step)
    decision = decide(run, result_of(run), limit=1_000_000, draining=False)
    assert isinstance(decision, ParkFor), result_of(run)
    driver.commits.commit(run.claim, decision)


@pytest.mark.parametrize("rest", [{}, {"message": "no, too much"}, {"result": None}], ids=str)
def test_an_answer_that_does_not_say_so_approves_nothing(driver: Driver, rest: dict[str, Any]) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    park(driver, task_id, acme.spend)
    for call in asked(client, task_id):
        client.get(task_id).signal("approval", {"call": call, **rest})
    park(driver, task_id, acme.spend)
    assert acme.done == ["ask 0"]
    ignored = [event.data for event in client.get(task_id).events() if event.type == "approval_ignored"]
    assert [data["why"] for data in ignored] == ["it does not say whether the call is approved"] * 2


def test_an_ignored_answer_is_no_call_and_begins_no_new_time(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    park(driver, task_id, acme.spend)
    before = row_of(client, task_id)
    client.get(task_id).signal("approval", "x" * 10_000)
    query(client, "UPDATE agent_tasks.signals SET sent_at = sent_at + interval '1000 s' RETURNING 1")
    park(driver, task_id, acme.spend)
    after = row_of(client, task_id)
    assert after["spent_calls"] == before["spent_calls"]
    assert timedelta(seconds=-1000) < after["due_at"] - before["due_at"] < timedelta(seconds=-900)
    (ignored,) = [event.data for event in client.get(task_id).events() if event.type == "approval_ignored"]
    assert ignored == {"why": "it is no Approval", "payload": '"' + "x" * 999}


@pytest.mark.parametrize("backwards", [False, True])
def test_an_answer_reaches_the_run_that_asked_for_it_where_two_wait_at_once(driver: Driver, backwards: bool) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))

    def payer(cents: int) -> Framework[None, Any]:
        def pays(messages: Any, info: Any) -> Any:
            seen = acme.returned(messages)
            return acme.answer(
                acme.TextPart(str(seen)) if seen else acme.ToolCallPart("pay", {"cents": cents}, f"c{cents}")
            )

        agent: Framework[None, Any] = Framework(
            acme.FunctionModel(pays),
            name=f"payer{cents}",
            output_type=[str, acme.DeferredToolRequests],
            capabilities=[acme.durability()],
        )
        agent.tool_plain(requires_approval=True)(acme.pay)
        return agent

    async def both(ctx: Context) -> list[str]:
        results = await asyncio.gather(run(ctx, payer(1), "pay"), run(ctx, payer(2), "pay"))
        return [result.output for result in results]

    park(driver, task_id, both)
    for call, _ in sorted(asked(client, task_id).items(), key=lambda pair: pair[1], reverse=backwards):
        client.get(task_id).signal("approval", {"call": call, "approved": True})
        last = driver.run(task_id, both)
        decision = decide(last, result_of(last), limit=1_000_000, draining=False)
        driver.commits.commit(last.claim, decision)
    assert value_of(last) == ["['paid 1']", "['paid 2']"]
    assert sorted(acme.done) == ["pay 1", "pay 2"]
    assert "approval_ignored" not in [event.type for event in client.get(task_id).events()]


def test_an_approved_call_is_made_once_whatever_write_its_worker_is_lost_at(driver: Driver) -> None:
    for moments in range(0, 16, 3):
        acme.done.clear()
        task_id = submitted(driver.client, budget=Budget(usd=1.0))
        assert (
            paid(driver, task_id, acme.spend, moments, approve={"pay 900": True, "pay 5": True})
            == "['paid 5', 'paid 900']"
        )
        made = Counter(acme.done)
        assert (made["pay 900"], made["pay 5"]) == (1, 1)


def test_what_nobody_has_approved_in_time_is_not_done(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client)
    first = driver.run(task_id, acme.spend)
    driver.commits.commit(first.claim, decide(first, result_of(first), limit=1_000_000, draining=False))
    query(
        client,
        'UPDATE agent_tasks.calls SET wait = wait || \'{"until": "2001-01-01T00:00:00Z"}\' '
        "WHERE task_id = %s AND status = 'started'",
        task_id,
    )
    fall_due(client, task_id)
    query(client, "UPDATE agent_tasks.tasks SET status = 'pending', waiting_for = NULL WHERE id = %s", task_id)
    assert "Nobody answered in time." in value_of(driver.run(task_id, acme.spend))
    assert acme.done == ["ask 0", "ask 2"]


def test_an_answer_that_passes_the_budget_is_kept_for_the_task_that_resumes(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(tokens=15))

    async def step(ctx: Context) -> str:
        agent = Framework(
            acme.FunctionModel(acme.thinks), name="a", capabilities=[acme.durability()], tools=[acme.look]
        )
        return (await run(ctx, agent, "look")).output

    short = driver.run(task_id, step)
    assert isinstance(result_of(short), Raised)
    with pytest.raises(BudgetExhausted):
        value_of(short)
    assert acme.done == ["request 0", "look Rome", "look Oslo", "request 2"]
    driver.settle(short)
    assert row_of(client, task_id)["error"]["type"] == "budget_exhausted"
    resumed = client.get(task_id).resume(budget=Budget(tokens=100))
    assert value_of(driver.run(resumed.id, step)) == "saw ROME, OSLO, BONN"
    assert acme.done[4:] == ["look Bonn", "request 3"]
    assert row_of(client, resumed.id)["spent_tokens"] == 12


def test_a_model_without_a_known_price_is_an_error_that_keeps_the_answer(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client)
    known: list[float] = []

    def price(usage: Any, model: str) -> float:
        if not known:
            raise LookupError(model)
        return known[0]

    async def step(ctx: Context) -> str:
        model = acme.FunctionModel(lambda messages, info: acme.answer(acme.TextPart("yes")), model_name="acme-1")
        agent = Framework(model, name="a", capabilities=[TaskDurability(price=price)])
        acme.done.append("runs")
        return (await run(ctx, agent, "well?")).output

    unpriced = driver.run(task_id, step)
    with pytest.raises(InvalidInput, match=r"TaskDurability\(price=\)"):
        value_of(unpriced)
    driver.settle(unpriced)
    known.append(0.5)
    resumed = client.get(task_id).resume()
    assert value_of(driver.run(resumed.id, step)) == "yes"
    assert row_of(client, resumed.id)["spent_usd"] == Decimal("0.5")


@pytest.mark.parametrize("what", ["a price that fails", "no usage", "no name"])
def test_an_answer_is_kept_whatever_is_wrong_with_its_cost(driver: Driver, what: str) -> None:
    def price(usage: Any, model: str) -> float:
        if "fixed" not in acme.done:
            raise ZeroDivisionError
        return 0.5

    def responds(messages: Any, info: Any) -> Any:
        acme.did("asked")
        usage = acme.RequestUsage(unmeasured_requests=1) if what == "no usage" else acme.RequestUsage(**acme.USAGE)
        return acme.ModelResponse(parts=[acme.TextPart("yes")], usage=usage)

    class Nameless(acme.FunctionModel):
        async def request(self, *args: Any, **kwargs: Any) -> Any:
            return dataclasses.replace(await super().request(*args, **kwargs), model_name=None)

    kind = Nameless if what == "no name" else acme.FunctionModel

    async def step(ctx: Context) -> str:
        by = price if what == "a price that fails" or "fixed" in acme.done else None
        agent = Framework(kind(responds, model_name="acme-1"), name="a", capabilities=[TaskDurability(price=by)])
        return (await run(ctx, agent, "well?")).output

    task_id = submitted(driver.client)
    first = driver.run(task_id, step)
    with pytest.raises(ZeroDivisionError if what == "a price that fails" else InvalidInput):
        value_of(first)
    driver.crash(first)
    acme.done.append("fixed")
    assert value_of(driver.run(task_id, step)) == "yes"
    assert acme.done == ["asked", "fixed"]
    assert row_of(driver.client, task_id)["spent_usd"] == Decimal("0.5")


def test_outside_of_a_step_an_agent_is_as_it_was_and_its_fake_model_costs_nothing_within(driver: Driver) -> None:
    agent = Framework(TestModel(custom_output_text="hello"), name="a", capabilities=[TaskDurability()])
    assert agent.run_sync("hi").output == "hello"

    async def step(ctx: Context) -> str:
        with durable(ctx):
            return (await agent.run("hi")).output

    task_id = submitted(driver.client)
    assert value_of(driver.run(task_id, step)) == "hello"
    assert row_of(driver.client, task_id)["spent_usd"] == 0
    assert [call["tokens"] > 0 for call in calls_of(driver.client, task_id)] == [True]


def test_what_a_tool_may_not_be_given_is_refused_by_name(driver: Driver) -> None:
    def look() -> str:
        return "seen"

    async def step(ctx: Context) -> Any:
        agent = Framework(TestModel(), name="a", capabilities=[TaskDurability()])
        agent.tool_plain(metadata={"agent_tasks": {"at_most_twice": True}})(look)
        return (await run(ctx, agent, "hi")).output

    with pytest.raises(InvalidInput, match="tool look takes at_most_once"):
        value_of(driver.run(submitted(driver.client), step))

    def plain(ctx: SyncContext) -> None:
        with durable(ctx):  # type: ignore[arg-type]
            pass

    with pytest.raises(InvalidInput, match="async step"):
        value_of(driver.run(submitted(driver.client), plain))
