"""LangGraph in a step: nodes that have ended do not run again, and each request and tool call is made once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

pytest.importorskip("langgraph")
pytest.importorskip("pydantic_ai")

from langgraph.checkpoint.memory import InMemorySaver

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Context, InvalidInput
from agent_tasks.engine.steps.decision import ParkFor, decide
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised
from agent_tasks.integrations.langgraph import prune, recorded, run
from agent_tasks.transitions.forget import forget
from agent_tasks.transitions.purge import purge as retire
from tests import agents_langgraph as acme
from tests.agents_pydantic_ai import done
from tests.database import query, row_of, submitted
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


def effects() -> Counter[str]:
    return Counter(effect for effect in done if effect != "node")


def test_requests_and_parallel_tools_are_recorded_and_what_they_use_is_counted(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    first = driver.run(task_id, acme.watch)
    assert value_of(first) == {"output": "BONN, OSLO, ROME", "requests": 3}
    driver.crash(first)
    assert value_of(driver.run(task_id, acme.watch)) == value_of(first)
    assert effects() == dict.fromkeys(MADE, 1)
    row = row_of(client, task_id)
    assert (row["spent_usd"], row["spent_tokens"], row["held_usd"]) == (Decimal("0.03"), 36, 0)
    made = Counter(call["name"] for call in calls_of(client, task_id))
    assert made == {"model.request Scripted": 3, "look": 3, "graph begins": 1, "graph": 1}


def test_a_worker_that_is_lost_at_any_write_repeats_at_most_what_it_was_in(driver: Driver) -> None:
    for moments in range(0, 28, 4):
        done.clear()
        task_id = submitted(driver.client, budget=Budget(usd=1.0))
        lost = driver.run(task_id, acme.watch, Perishable, moments=moments)
        if isinstance(outcome := result_of(lost), Raised):
            assert isinstance(outcome.error, DatabaseAway), outcome.error
        driver.crash(lost)
        assert value_of(driver.run(task_id, acme.watch))["output"] == "BONN, OSLO, ROME"
        made = effects()
        assert set(made) == MADE
        assert sum(made.values()) <= len(made) + 2, "those in flight, of two tools at once"
        assert done.count("node") <= 4, "a node that has ended does not run again"
        row, calls = row_of(driver.client, task_id), calls_of(driver.client, task_id)
        assert row["held_usd"] == 0
        assert row["spent_usd"] == sum(call["usd"] for call in calls) >= Decimal("0.03")


def asked(client: AgentTasks, task_id: UUID) -> dict[str, Any]:
    """What is asked of a person, by the digests of the calls."""
    events = [event.data for event in client.get(task_id).events() if event.type == "approval_asked"]
    return {data["call"]: data["arguments"] for data in events}


def answered(driver: Driver, function: Any, moments: int | None, answer: Any) -> Any:
    """Run a step until it returns, lost once; what is asked is answered when the step is parked."""
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0))
    for _ in range(10):
        run = driver.run(task_id, function, Perishable, moments=moments)
        outcome = result_of(run)
        if isinstance(outcome, Raised):
            assert isinstance(outcome.error, DatabaseAway), outcome.error
            moments = None
            driver.crash(run)
            continue
        decision = decide(run, outcome, limit=1_000_000, draining=False)
        driver.commits.commit(run.claim, decision)
        if not isinstance(decision, ParkFor):
            return value_of(run)
        for call, question in asked(client, task_id).items():
            client.get(task_id).signal("approval", {"call": call, **answer(question)}, signal_id=call)
    raise AssertionError("it never ends")


def test_a_tool_waits_for_its_approval_and_what_is_not_approved_is_not_done(driver: Driver) -> None:
    said = answered(driver, acme.spend, None, lambda question: {"approved": question["cents"] == 5})
    assert said == "The tool call was denied., paid 5"
    assert effects() == {"ask 0": 1, "pay 5": 1, "ask 2": 1}


@pytest.mark.parametrize("moments", [2, 8, 15, 20])
def test_an_approved_tool_runs_once_whatever_write_its_worker_is_lost_at(driver: Driver, moments: int) -> None:
    assert answered(driver, acme.spend, moments, lambda _: {"approved": True}) == "paid 5, paid 900"
    made = effects()
    assert (made["pay 900"], made["pay 5"]) == (1, 1)


@pytest.mark.parametrize("moments", [None, 3, 8, 13])
def test_interrupts_of_one_node_are_each_given_their_own_answer(driver: Driver, moments: int | None) -> None:
    seen = answered(driver, acme.count, moments, lambda question: {"result": question.upper()})
    assert sorted(seen) == ["FIRST? SECOND?", "one", "three", "two"]
    assert effects()["one"] == 1, "it has ended, and makes no call"


def test_an_answer_is_for_one_interrupt_and_others_are_ignored(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client)

    def parked() -> None:
        run = driver.run(task_id, acme.count)
        driver.commits.commit(run.claim, decide(run, result_of(run), limit=1_000_000, draining=False))

    parked()
    handle = client.get(task_id)
    (first,) = asked(client, task_id)
    handle.signal("approval", {"call": first, "result": "ay"})
    handle.signal("approval", {"call": first, "result": "again"})
    parked()
    (_, second) = asked(client, task_id)
    handle.signal("approval", {"call": second, "result": "bee"})
    run = driver.run(task_id, acme.count)
    while not isinstance(decision := decide(run, result_of(run), limit=1_000_000, draining=False), ParkFor):
        assert sorted(value_of(run)) == ["ay bee", "one", "three", "two"]
        break
    else:
        driver.commits.commit(run.claim, decision)
        assert sorted(value_of(driver.run(task_id, acme.count))) == ["ay bee", "one", "three", "two"]
    assert [event.type for event in handle.events()].count("approval_ignored") == 1


def test_an_answer_that_passes_the_budget_is_kept_for_the_task_that_resumes(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0, tokens=15))
    short = driver.run(task_id, acme.watch)
    with pytest.raises(BudgetExhausted):
        value_of(short)
    assert len(effects()) == 4
    driver.settle(short)
    resumed = client.get(task_id).resume(budget=Budget(usd=1.0, tokens=100))
    assert value_of(driver.run(resumed.id, acme.watch))["output"] == "BONN, OSLO, ROME"
    assert effects() == dict.fromkeys(MADE, 1)
    threads = query(client, "SELECT DISTINCT thread_id FROM langgraph.checkpoints")
    assert {row["thread_id"] for row in threads} == {str(task_id), str(resumed.id)}


def test_what_another_worker_has_taken_over_is_written_no_more(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client)
    moved: list[Any] = []

    async def slow(ctx: Context) -> Any:
        async def overtaken(state: Any) -> Any:
            if not moved:
                moved.append(query(client, "UPDATE agent_tasks.tasks SET run = run + 1 WHERE id = %s", task_id))
            return {"seen": ["late"]}

        graph = acme.StateGraph(acme.Seen)
        graph.add_node("overtaken", overtaken)
        graph.add_edge(acme.START, "overtaken")
        return await run(ctx, graph, {"seen": []})

    lost = driver.run(task_id, slow)
    with pytest.raises(Exception, match="does not own step"):
        value_of(lost)
    late = "SELECT FROM langgraph.checkpoint_writes WHERE position('late'::bytea in blob) > 0"
    assert not query(client, late)
    driver.crash(lost)
    assert value_of(driver.run(task_id, slow)) == {"seen": ["late"]}
    assert query(client, late)


def test_two_graphs_of_a_step_have_threads_of_their_own(driver: Driver) -> None:
    task_id = submitted(driver.client)

    async def both(ctx: Context) -> Any:
        graph = acme.StateGraph(acme.Seen)
        graph.add_node("one", acme._node("one"))
        graph.add_edge(acme.START, "one")
        runs = [run(ctx, graph, {"seen": [name]}, thread=name) for name in ("a", "b")]
        apart = await asyncio.gather(*runs)
        again = await run(ctx, graph, {"seen": []}, thread="a")
        return [state["seen"] for state in (*apart, again)]

    assert value_of(driver.run(task_id, both)) == [["a", "one"], ["b", "one"], ["a", "one", "one"]]


def test_plain_nodes_call_recorded_functions_and_models(driver: Driver) -> None:
    task_id = submitted(driver.client, budget=Budget(usd=1.0))
    plain = recorded(lambda at: (done.append(f"saw {at}"), at.upper())[1])
    model = recorded(acme.Scripted(), price=acme.price)

    def node(state: Any) -> Any:
        return {"seen": [plain("rome"), plain("rome"), model.invoke("hello").content]}

    async def step(ctx: Context) -> Any:
        graph = acme.StateGraph(acme.Seen)
        graph.add_node("node", node)
        graph.add_edge(acme.START, "node")
        return (await run(ctx, graph, {"seen": []}))["seen"]

    lost = driver.run(task_id, step)
    assert value_of(lost) == ["ROME", "ROME", ""]
    assert done == ["saw rome", "saw rome", "request 0"]
    assert row_of(driver.client, task_id)["spent_usd"] == Decimal("0.01")
    assert plain("oslo") == "OSLO"
    assert model.invoke("hello").usage_metadata == acme.Scripted().invoke("hello").usage_metadata


def test_what_a_database_says_to_a_node_is_the_nodes_own(driver: Driver) -> None:
    """It is no word about our Postgres, for which the step would run again and again."""

    async def node(state: Any) -> Any:
        raise psycopg.OperationalError("theirs is away")

    async def step(ctx: Context) -> Any:
        graph = acme.StateGraph(acme.Seen)
        graph.add_node("node", node)
        graph.add_edge(acme.START, "node")
        return await run(ctx, graph, {"seen": []})

    with pytest.raises(psycopg.OperationalError, match="theirs is away"):
        value_of(driver.run(submitted(driver.client), step))


def test_what_cannot_run_in_a_step_is_refused_by_name(driver: Driver) -> None:
    async def own(ctx: Context) -> Any:
        return await run(ctx, acme.counted.compile(checkpointer=InMemorySaver()), {"seen": []})

    async def stops(ctx: Context) -> Any:
        return await run(ctx, acme.counted.compile(interrupt_before=["two"]), {"seen": []})

    async def text(ctx: Context) -> Any:
        return await run(ctx, "a graph", {})

    for step, problem in ((own, "without a checkpointer"), (stops, "stops by interrupt"), (text, "takes a StateGraph")):
        with pytest.raises(InvalidInput, match=problem):
            value_of(driver.run(submitted(driver.client), step))
    with pytest.raises(InvalidInput, match="chat model, a tool or a function"):
        recorded(3)


def test_the_threads_of_purged_tasks_are_pruned(driver: Driver) -> None:
    client = driver.client
    task_id, kept = submitted(client), submitted(client)
    for each in (task_id, kept):
        value_of(driver.run(each, acme.watch))
    query(
        client,
        "UPDATE langgraph.checkpoints SET thread_id = gen_random_uuid()::text WHERE thread_id = %s",
        str(task_id),
    )
    url = str(client.settings.database_url)
    assert prune(url) > 0
    assert prune(url) == 0
    assert query(client, "SELECT FROM langgraph.checkpoints WHERE thread_id = %s", str(kept))


@pytest.mark.parametrize("how", ["purge", "retention", "forget"])
def test_the_threads_of_a_task_go_with_what_it_has_recorded(driver: Driver, how: str) -> None:
    client = driver.client
    mine, other = submitted(client, budget=Budget(usd=1.0)), submitted(client, budget=Budget(usd=1.0))
    for task in (mine, other):
        assert value_of(driver.run(task, acme.watch))["output"]
    named = f"{mine}/draft"
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        columns = query(
            client,
            "SELECT string_agg(quote_ident(column_name), ', ') AS names FROM information_schema.columns "
            "WHERE table_schema = 'langgraph' AND table_name = %s AND column_name <> 'thread_id'",
            table,
        )[0]["names"]
        sql = f"INSERT INTO langgraph.{table} (thread_id, {columns}) SELECT %s, {columns} FROM langgraph.{table} "
        query(client, sql + "WHERE thread_id = %s", named, str(mine))
    query(
        client,
        "INSERT INTO agent_tasks.calls (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key, "
        "run, finished_at) VALUES (%s, 0, 900, 'graph draft', 'completed', false, 'k', 1, now())",
        mine,
    )
    client.get(mine).cancel()
    if how == "purge":
        assert client.purge(mine).tables["langgraph"] > 0
    elif how == "retention":
        with client.database.connection() as connection:
            retire(connection, limit=10, seconds=0)
    else:
        query(client, "ALTER TABLE agent_tasks.tasks DISABLE TRIGGER tasks_terminal")
        query(client, "UPDATE agent_tasks.tasks SET sensitive = true WHERE id = %s", mine)
        query(client, "ALTER TABLE agent_tasks.tasks ENABLE TRIGGER tasks_terminal")
        with client.database.transaction() as connection:
            forget(connection, [mine])
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        left = query(client, f"SELECT DISTINCT thread_id FROM langgraph.{table}")
        assert {row["thread_id"] for row in left} == {str(other)}, table
