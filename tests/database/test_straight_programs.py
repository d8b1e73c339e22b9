"""Generated straight-line programs: with workers lost at any write they come to the same end as without."""

import asyncio
import itertools
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent_tasks import AgentTasks, Child, Context, SyncContext
from agent_tasks.engine.steps.decision import ParkFor, decide
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised, Returned
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.wake import wake
from tests.database import fall_due, query, row_of, submitted
from tests.database.children import run_child
from tests.database.driving import Driver, driving, result_of
from tests.database.perishable import Perishable
from tests.database.single import complete

Node = Any
"""A kind and what it consists of; those of gather are programs."""
MOST_RUNS = 200
leaves = st.sampled_from(["call", "wait", "all", "timeout", "sleep", "note", "fan_out"]).map(lambda kind: (kind,))
programs = st.recursive(
    st.lists(leaves, min_size=1, max_size=4),
    lambda inner: st.lists(leaves | st.tuples(st.just("gather"), st.lists(inner, min_size=1, max_size=3)), max_size=3),
    max_leaves=8,
)
losses = st.lists(st.integers(0, 12) | st.none(), max_size=6)


class World:
    """The sites of a program, and how often the call of each was made."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.notes: dict[str, set[str]] = {}

    def call(self, site: str) -> str:
        self.made[site] += 1
        return f"made at {site}"

    def noted(self, site: str, value: Any) -> str:
        self.notes.setdefault(site, set()).add(str(value))
        return f"noted at {site}"


def children_at(site: str) -> list[Child]:
    return [Child("echo", {"value": f"{site} {name}"}) for name in ("first", "second")]


async def perform(ctx: Context, world: World, program: list[Node], at: str) -> list[Any]:
    found: list[Any] = []
    for number, node in enumerate(program):
        site = f"{at}.{number}"
        match node:
            case ("call",):
                found.append(await ctx.call(world.call, site))
            case ("wait",):
                signal = await ctx.wait(site)
                found.append(signal.payload if signal else None)
            case ("all",):
                every = await ctx.wait([f"{site}a", f"{site}b"], all=True)
                found.append(sorted(signal.payload for signal in (every or {}).values()))
            case ("timeout",):
                found.append(await ctx.wait(f"{site} never", timeout=3600))
            case ("sleep",):
                found.append(await ctx.sleep(3600))
            case ("note",):
                found.append(world.noted(site, await ctx.uuid()))
            case ("fan_out",):
                found.append([outcome.result for outcome in await ctx.fan_out(children_at(site))])
            case (_, parts):
                branches = (perform(ctx, world, part, f"{site}.{n}") for n, part in enumerate(parts))
                found.append(list(await asyncio.gather(*branches)))
    return found


def perform_plainly(ctx: SyncContext, world: World, program: list[Node], at: str) -> list[Any]:
    found: list[Any] = []
    for number, node in enumerate(program):
        site = f"{at}.{number}"
        match node:
            case ("call",):
                found.append(ctx.call(world.call, site))
            case ("wait",):
                signal = ctx.wait(site)
                found.append(signal.payload if signal else None)
            case ("all",):
                every = ctx.wait([f"{site}a", f"{site}b"], all=True)
                found.append(sorted(signal.payload for signal in (every or {}).values()))
            case ("timeout",):
                found.append(ctx.wait(f"{site} never", timeout=3600))
            case ("sleep",):
                found.append(ctx.sleep(3600))
            case ("note",):
                found.append(world.noted(site, ctx.uuid()))
            case ("fan_out",):
                found.append([outcome.result for outcome in ctx.fan_out(children_at(site))])
            case (_, parts):
                found.append([perform_plainly(ctx, world, part, f"{site}.{n}") for n, part in enumerate(parts)])
    return found


def expected(program: list[Node], at: str) -> list[Any]:
    found: list[Any] = []
    for number, node in enumerate(program):
        site = f"{at}.{number}"
        match node:
            case ("call",):
                found.append(f"made at {site}")
            case ("wait",):
                found.append(f"sent to {site}")
            case ("all",):
                found.append([f"sent to {site}a", f"sent to {site}b"])
            case ("timeout",) | ("sleep",):
                found.append(None)
            case ("note",):
                found.append(f"noted at {site}")
            case ("fan_out",):
                found.append([f"{site} first", f"{site} second"])
            case (_, parts):
                found.append([expected(part, f"{site}.{n}") for n, part in enumerate(parts)])
    return found


@pytest.mark.parametrize("plainly", [False, True])
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs, lost=losses, order=st.randoms(use_true_random=False))
def test_a_program_comes_to_the_same_end_whatever_workers_are_lost(
    client: AgentTasks, plainly: bool, program: list[Node], lost: list[int | None], order: Any
) -> None:
    with driving(client) as driver:
        _run_to_its_end(driver, program, lost, order, plainly=plainly)


def _run_to_its_end(driver: Driver, program: list[Node], lost: list[int | None], order: Any, *, plainly: bool) -> None:
    client, world, losses = driver.client, World(), list(lost)
    task_id = submitted(client)

    async def step(ctx: Context) -> list[Any]:
        return await perform(ctx, world, program, "s")

    def plain_step(ctx: SyncContext) -> list[Any]:
        return perform_plainly(ctx, world, program, "s")

    for number in itertools.count():
        assert number < MOST_RUNS
        moments = losses.pop() if losses else None
        run = driver.run(task_id, plain_step if plainly else step, Perishable, moments=moments)
        outcome = result_of(run)
        if isinstance(outcome, Raised):
            assert isinstance(outcome.error, DatabaseAway), outcome.error
            driver.crash(run)
            continue
        if losses and losses[-1] is None:  # the worker is lost before anything is settled
            losses.pop()
            driver.crash(run)
            continue
        decision = decide(run, outcome, limit=1_000_000, draining=False)
        driver.commits.commit(run.claim, decision)
        if isinstance(outcome, Returned):
            assert outcome.value == expected(program, "s")
            break
        assert isinstance(decision, ParkFor)
        _something_happens(client, task_id, order)
    assert set(world.made.values()) <= set(range(1, 2 + len(lost)))
    assert all(len(values) <= 1 + len(lost) for values in world.notes.values())
    assert row_of(client, task_id)["attempt"] <= 1 + len(lost)
    spawned = query(client, "SELECT input, status FROM agent_tasks.tasks WHERE parent_id = %s", task_id)
    assert all(count == 1 for count in Counter(child["input"]["value"] for child in spawned).values())
    assert {child["status"] for child in spawned} <= {"completed"}
    assert row_of(client, task_id)["children_left"] == 0
    if not lost:
        assert set(world.made.values()) <= {1}
        assert all(len(values) == 1 for values in world.notes.values())


def _something_happens(client: AgentTasks, task_id: Any, order: Any) -> None:
    """One of the waits of the parked task is over."""
    wait = order.choice(row_of(client, task_id)["waiting_for"]["waits"])
    if wait["kind"] == "children":
        of_call = "parent_id = %s AND parent_call = %s AND finished_at IS NULL"
        sql = f"SELECT id, input FROM agent_tasks.tasks WHERE {of_call} ORDER BY id"
        child = order.choice(query(client, sql, task_id, wait["call"]))
        value = json.dumps(child["input"]["value"])
        run_child(client, child["id"], lambda connection, claim: complete(connection, Finish(claim, value, 0)))
        if row_of(client, task_id)["status"] == "waiting":
            _something_happens(client, task_id, order)
    elif wait["kind"] == "signal" and wait["until"] is None:
        for name in order.sample(wait["names"], len(wait["names"])):
            client.get(task_id).signal(name, f"sent to {name}")
    else:
        query(
            client,
            'UPDATE agent_tasks.calls SET wait = wait || \'{"until": "2001-01-01T00:00:00Z"}\' '
            "WHERE task_id = %s AND status = 'started' AND wait ->> 'since' = %s",
            task_id,
            wait["since"],
        )
        fall_due(client, task_id)
        with client.database.transaction() as connection:
            wake(connection, limit=10, ring_seconds=60)
