"""Reservations of calls: calls made at once never spend more than the budget, whoever is lost, and it all adds up."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent_tasks import AgentTasks, Budget, BudgetExhausted, Context, InvalidInput, Next, Retry, SyncContext, Usage
from agent_tasks.cli.application import app
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised
from tests.database import query, row_of, submitted
from tests.database.driving import Driver, driving, result_of, value_of
from tests.database.perishable import Perishable

CENT = Decimal("0.01")


def calls_of(client: AgentTasks, task_id: UUID) -> list[dict[str, Any]]:
    columns = "name, status, tokens, usd, held_tokens, held_usd"
    return query(client, f"SELECT {columns} FROM agent_tasks.calls WHERE task_id = %s ORDER BY ordinal", task_id)


def held(client: AgentTasks, task_id: UUID) -> tuple[int, Decimal]:
    row = row_of(client, task_id)
    return row["held_tokens"], row["held_usd"]


def test_calls_made_at_once_reserve_no_more_than_the_budget_and_the_others_are_refused(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=0.1))
    seen: list[float | None] = []

    async def step(ctx: Context) -> list[str]:
        begun, go_on = [0], asyncio.Event()

        async def pay(number: int) -> str:
            begun[0] += 1
            await go_on.wait()
            await ctx.charge(usd=0.04)
            return "paid"

        async def one(number: int) -> str:
            try:
                return await ctx.using(reserve=Budget(usd=0.04)).call(pay, number)
            except BudgetExhausted as error:
                seen.append(ctx.budget.usd)
                go_on.set()
                return f"{error.details['resource']} {error.details['reserve']} {error.details['left']}"

        return sorted(await asyncio.gather(*(one(number) for number in range(3))))

    run = driver.run(task_id, step)
    assert value_of(run) == ["paid", "paid", "usd 0.04 0.02"]
    assert seen == [0.02]
    assert driver.settle(run)["status"] == "completed"
    assert held(client, task_id) == (0, 0)
    assert row_of(client, task_id)["spent_usd"] == Decimal("0.08")
    assert [(call["status"], call["usd"]) for call in calls_of(client, task_id)].count(("completed", CENT * 4)) == 2


def test_a_call_pays_out_of_its_reservation_and_gives_the_rest_back(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=1.0, tokens=100))
    seen: list[Any] = []

    def step(ctx: SyncContext) -> Next:
        def pay() -> None:
            seen.append((held(client, task_id), ctx.budget.usd, client.get(task_id).stored().budget.reserved.usd))
            ctx.charge(usd=0.02, tokens=30)
            seen.append((held(client, task_id), ctx.budget.usd))
            ctx.charge(usd=0.05)

        ctx.using(reserve=Budget(usd=0.05, tokens=50)).call(pay)
        seen.append((held(client, task_id), ctx.budget.usd))
        return Next("echo", value=1)

    driver.settle(driver.run(task_id, step))
    assert seen == [
        ((50, CENT * 5), 0.95, 0.05),
        ((20, CENT * 3), 0.95),
        ((0, 0), 0.93),
    ]
    (call,) = calls_of(client, task_id)
    assert (call["tokens"], call["usd"], call["held_usd"]) == (30, CENT * 7, 0)


def test_what_others_have_reserved_is_not_there_for_a_call_that_reserved_nothing(driver: Driver) -> None:
    task_id = submitted(driver.client, budget=Budget(usd=0.1))

    async def step(ctx: Context) -> str:
        begun, over = asyncio.Event(), asyncio.Event()

        async def holds() -> str:
            begun.set()
            await over.wait()
            return "held"

        async def spends() -> None:
            await begun.wait()
            try:
                await ctx.charge(usd=0.03)
            finally:
                over.set()

        holding = asyncio.create_task(ctx.using(reserve=Budget(usd=0.08)).call(holds))
        with pytest.raises(BudgetExhausted):
            await ctx.call(spends)
        return await holding

    assert value_of(driver.run(task_id, step)) == "held"


def test_a_charge_within_a_call_that_is_within_another_is_paid_out_of_both_reservations(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=0.1))
    seen: list[Any] = []

    def step(ctx: SyncContext) -> None:
        def inner() -> None:
            ctx.charge(usd=0.03)
            seen.append([call["held_usd"] for call in calls_of(client, task_id)])

        ctx.using(reserve=Budget(usd=0.05)).call(lambda: ctx.using(reserve=Budget(usd=0.02)).call(inner))

    value_of(driver.run(task_id, step))
    assert seen == [[CENT * 4, 0]]
    assert [call["usd"] for call in calls_of(client, task_id)] == [0, CENT * 3], "it is counted once"


def test_a_lost_call_keeps_its_reservation_until_it_is_made_again(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=0.1))
    tries: list[Any] = []

    async def step(ctx: Context) -> list[str]:
        async def mine() -> str:
            await asyncio.sleep(0.01 * len(tries))
            return await ctx.using(reserve=Budget(usd=0.06)).call(pay, 1)

        async def rival() -> str:
            if len(tries) == 1:
                return "waits"
            tries.append(ctx.budget.usd)
            try:
                return await ctx.using(reserve=Budget(usd=0.05)).call(pay, 2)
            except BudgetExhausted:
                return "refused"

        tries.append("begun")
        return list(await asyncio.gather(mine(), rival()))

    def pay(number: int) -> str:
        return f"paid {number}"

    lost = driver.run(task_id, step, Perishable, moments=2)  # before the outcome is written
    assert isinstance(result_of(lost), Raised)
    assert held(client, task_id) == (0, CENT * 6)
    driver.crash(lost)
    assert value_of(driver.run(task_id, step)) == ["paid 1", "refused"]
    assert tries == ["begun", "begun", 0.04]
    assert held(client, task_id) == (0, 0)


def test_a_lost_call_gives_its_reservation_back_when_its_step_or_its_task_ends(driver: Driver) -> None:
    client = driver.client
    for end in ("commits", "fails", "is cancelled"):
        task_id = submitted(client, budget=Budget(usd=0.1))

        def step(ctx: SyncContext) -> None:
            ctx.using(reserve=Budget(usd=0.06), key="one").call(lambda: None)

        lost = driver.run(task_id, step, Perishable, moments=2)
        driver.crash(lost)
        assert held(client, task_id)[1] == CENT * 6

        def goes_on(ctx: SyncContext, end: str = end) -> Next:
            if end == "fails":
                raise InvalidInput("no")
            return Next("echo", value=1)

        if end == "is cancelled":
            client.get(task_id).cancel()
        else:
            run = driver.run(task_id, goes_on)
            query(client, "DELETE FROM agent_tasks.calls WHERE task_id = %s", task_id)
            driver.settle(run)
        assert held(client, task_id) == (0, 0), end


def test_a_refused_call_is_refused_a_repeat_too_and_made_by_a_resumed_task(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=0.1))

    async def step(ctx: Context) -> list[str]:
        async def one(number: int) -> str:
            try:
                return await ctx.using(reserve=Budget(usd=0.06)).call(pay, number)
            except BudgetExhausted:
                return await ctx.call(cheap, number)

        return list(await asyncio.gather(one(1), one(2)))

    gate: list[bool] = []

    async def pay(number: int) -> str:
        while not gate:
            await asyncio.sleep(0)
        return "dear"

    def cheap(number: int) -> str:
        gate.append(True)
        return "cheap"

    first = driver.run(task_id, step)
    assert value_of(first) == ["dear", "cheap"]
    driver.crash(first)
    again = driver.run(task_id, step)
    assert value_of(again) == ["dear", "cheap"]

    def short(ctx: SyncContext) -> str:
        return ctx.using(reserve=Budget(usd=0.5)).call(lambda: "made")

    refused = submitted(client, budget=Budget(usd=0.1))
    assert driver.settle(driver.run(refused, short))["status"] == "failed"
    resumed = client.get(refused).resume(budget=Budget(usd=1.0))
    assert value_of(driver.run(resumed.id, short)) == "made"


def test_each_try_of_a_call_reserves_anew(driver: Driver) -> None:
    client, task_id = driver.client, submitted(driver.client, budget=Budget(usd=0.1))
    tries: list[Any] = []

    def step(ctx: SyncContext) -> str:
        def pay() -> str:
            tries.append(held(client, task_id)[1])
            ctx.charge(usd=0.01)
            if len(tries) < 3:
                raise ConnectionError
            return "paid"

        return ctx.using(reserve=Budget(usd=0.06), retry=Retry(attempts=3, base=0)).call(pay)

    assert value_of(driver.run(task_id, step)) == "paid"
    assert tries == [CENT * 6] * 3
    assert held(client, task_id) == (0, 0)


@pytest.mark.parametrize(
    "reserve", [0.05, {"usd": 1}, Budget(), Budget(seconds=1.0), Budget(usd=1.0, calls=2), Budget(steps=1)]
)
def test_a_reserve_that_means_nothing_is_refused(driver: Driver, reserve: Any) -> None:
    def step(ctx: SyncContext) -> None:
        ctx.using(reserve=reserve)

    with pytest.raises(InvalidInput) as refused:
        value_of(driver.run(submitted(driver.client), step))
    assert refused.value.details["field"] == "reserve"


def test_a_charge_says_for_which_call_and_model_it_was(driver: Driver) -> None:
    pytest.importorskip("genai_prices")
    client, task_id = driver.client, submitted(driver.client)

    def step(ctx: SyncContext) -> None:
        used = Usage(input_tokens=1_000_000, output_tokens=100_000)
        ctx.using(name="ask").call(lambda: ctx.charge_usage(used, model="openai:gpt-4o"))
        ctx.charge_usage(used, model="gpt-4o")

    run = driver.run(task_id, step)
    value_of(run)
    charged = [event.data for event in client.get(task_id).events() if event.type == "charged"]
    usd = charged[0]["usd"]
    assert charged == [
        {"tokens": 1_100_000, "usd": usd, "model": "openai:gpt-4o", "call": "ask", "ordinal": 0},
        {"tokens": 1_100_000, "usd": usd, "model": "gpt-4o"},
    ]
    assert usd == pytest.approx(2.5 + 1.0)
    (call,) = calls_of(client, task_id)
    assert (call["tokens"], call["usd"]) == (1_100_000, Decimal(str(usd)))
    driver.crash(run)
    value_of(driver.run(task_id, step))
    assert row_of(client, task_id)["spent_tokens"] == 2_200_000, "a repeated step counts nothing twice"


def test_what_calls_have_cost_is_shown_by_name_and_of_each_call_page_by_page(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, task_id = driver.client, submitted(driver.client)

    def step(ctx: SyncContext) -> None:
        for number in range(3):
            ctx.using(name="ask").call(lambda number: ctx.charge(tokens=100, usd=0.02), number)
        ctx.call(print)

    value_of(driver.run(task_id, step))
    page = client.get(task_id).calls(limit=3)
    assert [(call.ordinal, call.name, call.tokens, call.usd) for call in page.calls] == [
        (number, "ask", 100, 0.02) for number in range(3)
    ]
    rest = client.get(task_id).calls(limit=3, after=page.next)
    assert [(call.name, call.status, call.usd) for call in rest.calls] == [("print", "completed", 0.0)]
    assert rest.next is None
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
    for command in ("status", "tree"):
        shown = CliRunner().invoke(app, [command, str(task_id)])
        assert "ask ×3: 300 tokens, 0.06 usd" in " ".join(shown.output.split()), shown.output
    shown = CliRunner().invoke(app, ["events", str(task_id)])
    assert "100 tokens · 0.02 usd by ask" in " ".join(shown.output.split()), shown.output


# --- any calls, and any losses -------------------------------------------------------------------------------


class Boom(Exception):
    """The failure of a call."""


cents = st.integers(1, 6)
made = st.tuples(cents, st.lists(st.integers(1, 3), max_size=3), st.booleans())
"""A call: what it reserves, what it is charged (as long as that is within), whether it fails then; all in cents."""
groups = st.lists(st.lists(made, min_size=1, max_size=4), min_size=1, max_size=3)
losses = st.lists(st.integers(1, 20) | st.none(), max_size=4)

NEVER_MORE = """
    ALTER TABLE agent_tasks.tasks DROP CONSTRAINT IF EXISTS never_more;
    ALTER TABLE agent_tasks.tasks ADD CONSTRAINT never_more
        CHECK (spent_usd + reserved_usd + held_usd <= budget_usd AND spent_tokens + held_tokens <= budget_tokens)
"""
"""What no moment of a task may break, checked by Postgres at each write."""


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=groups, lost=losses, limit=st.integers(3, 20))
def test_calls_made_at_once_never_spend_more_than_the_budget_and_all_adds_up_whoever_is_lost(
    client: AgentTasks, program: list[list[Any]], lost: list[int | None], limit: int
) -> None:
    for statement in NEVER_MORE.split(";"):
        query(client, statement)
    task_id = submitted(client, budget=Budget(usd=limit / 100, tokens=limit))

    async def step(ctx: Context) -> list[Any]:
        async def one(site: str, reserve: int, charges: list[int], fails: bool) -> str:
            async def pay(site: str) -> str:
                left = reserve
                for amount in charges:
                    await asyncio.sleep(0)
                    if amount <= left:
                        left -= amount
                        await ctx.charge(usd=amount / 100, tokens=amount)
                if fails:
                    raise Boom
                return "paid"

            try:
                return await ctx.using(reserve=Budget(usd=reserve / 100, tokens=reserve), name="pay").call(pay, site)
            except BudgetExhausted as error:
                if "reserve" not in error.details:  # a charge within what was reserved
                    raise
                return await ctx.using(name="instead").call(lambda _: "refused", site)
            except Boom:
                return "failed"

        return [
            await asyncio.gather(*(one(f"{at}.{n}", *call) for n, call in enumerate(group)))
            for at, group in enumerate(program)
        ]

    with driving(client) as driver:
        for number, moments in enumerate([*lost, None]):
            run = driver.run(task_id, step, Perishable, moments=moments)
            _adds_up(client, task_id)
            outcome = result_of(run)
            if isinstance(outcome, Raised):
                assert isinstance(outcome.error, DatabaseAway), outcome.error
            if number < len(lost):
                driver.crash(run)
        assert not isinstance(outcome, Raised)
        assert held(client, task_id) == (0, 0), "no call is under way"
        driver.settle(run)
    row = row_of(client, task_id)
    assert row["status"] == "completed"
    statuses = [status for group in row["result"] for status in group]
    assert len(statuses) == sum(map(len, program))
    _adds_up(client, task_id)


def _adds_up(client: AgentTasks, task_id: UUID) -> None:
    """What the task holds is what its calls hold; what it spent is what they cost, and what its history says."""
    row, calls = row_of(client, task_id), calls_of(client, task_id)
    charged = [event.data for event in client.get(task_id).events() if event.type == "charged"]
    assert row["held_usd"] == sum(call["held_usd"] for call in calls)
    assert row["held_tokens"] == sum(call["held_tokens"] for call in calls)
    assert all(call["held_usd"] == 0 for call in calls if call["status"] != "started")
    assert row["spent_usd"] == sum(call["usd"] for call in calls)
    assert row["spent_tokens"] == sum(call["tokens"] for call in calls) == sum(data["tokens"] for data in charged)
    assert row["spent_usd"] == sum((Decimal(str(data["usd"])) for data in charged), Decimal(0))
