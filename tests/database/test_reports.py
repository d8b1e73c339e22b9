"""Reports: what a step tells while it runs can always be read, or is refused with a typed error."""

import math
from decimal import Decimal
from typing import Any

import pytest

from agent_tasks import (
    AgentTaskError,
    AgentTasks,
    Budget,
    BudgetExhausted,
    ContextLost,
    InvalidInput,
    PayloadTooLarge,
    StepFailed,
)
from agent_tasks.authoring.calls.call_identity import digest_of
from agent_tasks.authoring.calls.operations import Call, CallOptions, Charge, Given, Intent
from agent_tasks.doorbell.lists import OURS
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.errors import LeaseLost
from agent_tasks.sweeps import bells
from agent_tasks.task.event import EventType
from agent_tasks.transitions.retry import retry
from tests.database import adopt, all_of, claimed, fall_due, lapse, operations_of, query, row_of, submitted


def pay(amount: int) -> str:
    return f"paid {amount}"


@pytest.mark.parametrize(
    "progress",
    [
        ("half", None, None), (None, None, None), (1, "all", None), (1, 2, 7), (math.nan, None, None),
        ([1], None, None), (1, math.inf, None), (1, None, "\x00"), (1, None, "\ud800"), ({}, {}, {}),
        (10**400, None, None), (1, -(10**400), None), (1e301, None, None),
    ],
)  # fmt: skip
def test_progress_that_nobody_could_read_is_refused_and_the_task_stays_readable(
    client: AgentTasks, progress: Any
) -> None:
    taken = claimed(client)
    operations = operations_of(client, taken)
    with pytest.raises((AgentTaskError, TypeError)):
        operations.progress(*progress)
    operations.take_progress()
    assert client.get(taken.id).stored().progress is None


def test_progress_is_thinned_out_and_the_latest_is_not_lost(client: AgentTasks) -> None:
    taken = claimed(client)
    operations = operations_of(client, taken)
    for n in range(200):
        operations.progress(n, 200, None)
    operations.flush_progress()
    snapshot = client.get(taken.id).stored()
    assert snapshot.progress is not None
    assert snapshot.progress.done == 199
    assert snapshot.version < 100


@pytest.mark.parametrize("name", ["", "a\x00b", "\ud800", *EventType])
def test_an_event_needs_a_name_of_its_own(client: AgentTasks, name: str) -> None:
    taken = claimed(client)
    before = all_of(client, taken.id)
    with pytest.raises(InvalidInput):
        operations_of(client, taken).emit(name, None)
    assert all_of(client, taken.id) == before


@pytest.mark.parametrize(
    ("tokens", "usd"),
    [(-1, 0), (0, -0.1), (1.5, 0), (math.nan, 0), ("5", 0), (2**63, 0), (0, math.inf), (0, 1e301), (10**400, 0)],
)
def test_a_charge_that_is_no_amount_is_refused(client: AgentTasks, tokens: Any, usd: Any) -> None:
    taken = claimed(client)
    before = all_of(client, taken.id)
    with pytest.raises(InvalidInput):
        charge(operations_of(client, taken), tokens, usd)
    assert all_of(client, taken.id) == before


def test_the_largest_charges_add_up_to_what_can_be_read(client: AgentTasks) -> None:
    taken = claimed(client)
    operations = operations_of(client, taken)
    for _ in range(2):
        charge(operations, 2**63 - 1, 1e300)
    spent = client.get(taken.id).stored().budget.spent
    assert (spent.tokens, spent.usd) == (2**63 - 1, 1e300)
    assert row_of(client, taken.id)["spent_usd"] == 2 * Decimal("1e300")


UNREADABLE = [
    ("progress = '{\"done\": 1e400}'", 2),
    ('error = \'{"type": "of another release", "message": ""}\'', 2),
    ("budget_usd = 1e305", 1),
]


@pytest.mark.parametrize(("change", "bells_rung"), UNREADABLE)
def test_a_row_that_cannot_be_read_keeps_no_other_from_being_shown_and_rung(
    client: AgentTasks, change: str, bells_rung: int, caplog: pytest.LogCaptureFixture
) -> None:
    parent, sick, well = submitted(client), submitted(client), submitted(client)
    for child in (sick, well):
        adopt(client, parent, child)
        fall_due(client, child)
    query(client, f"UPDATE agent_tasks.tasks SET {change} WHERE id = %s", sick)
    client.redis.flushall()
    assert bells.run_once(client) == 2
    assert sum(client.redis.llen(key) for key in OURS.of("agents")) == bells_rung  # type: ignore[misc]
    assert {task.id for task in client.living()} == {parent, well}
    assert [node.snapshot.id for node in client.get(parent).tree().children] == [well]
    assert {task.id for task in client.get(parent).children()} == {sick, well}
    assert str(sick) in caplog.text


def test_what_0_1_0_has_counted_without_bound_can_be_read(client: AgentTasks) -> None:
    taken = claimed(client)
    query(client, "UPDATE agent_tasks.tasks SET spent_usd = 2e308, reserved_usd = 3e308 WHERE id = %s", taken.id)
    assert client.get(taken.id).stored().budget.spent.usd == 1e300


def test_a_charge_beyond_the_limit_is_counted_and_stops_the_step(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(tokens=10)))
    operations = operations_of(client, taken)
    charge(operations, 10, 0.0)
    with pytest.raises(BudgetExhausted) as caught:
        charge(operations, 5, 0.0)
    assert caught.value.details == {"resource": "tokens", "limit": 10, "spent": 15}
    assert client.get(taken.id).stored().budget.remaining.tokens == 0


@pytest.mark.parametrize("report", ["emit", "partial"])
def test_a_report_over_the_limit_is_refused(client: AgentTasks, report: str) -> None:
    operations = operations_of(client, claimed(client))
    large = "x" * client.settings.payload_limit
    write = {"emit": lambda: operations.emit("found", large), "partial": lambda: operations.partial(large)}[report]
    with pytest.raises(PayloadTooLarge):
        write()


def test_an_outcome_over_the_limit_is_a_failed_call(client: AgentTasks) -> None:
    operations = operations_of(client, taken := claimed(client))
    begun = begin(operations)
    assert isinstance(begun, Intent)
    with pytest.raises(PayloadTooLarge):
        operations.end_call(begun, operations.answer(begun.call, "x" * client.settings.payload_limit), 1)
    assert all_of(client, taken.id)["calls"][0]["status"] == "failed"


def test_a_repeated_step_gets_the_recorded_outcome_and_makes_only_what_is_missing(client: AgentTasks) -> None:
    first = operations_of(client, taken := claimed(client))
    made = begin(first)
    assert isinstance(made, Intent)
    first.end_call(made, first.answer(made.call, "receipt"), 1)
    begun = begin(first)
    assert isinstance(begun, Intent)
    lapse(client, taken.id)
    second = operations_of(client, claimed(client, taken.id))
    given = begin(second)
    assert isinstance(given, Given)
    assert given.outcome() == "receipt"
    again = begin(second)
    assert isinstance(again, Intent)
    assert (again.ordinal, again.key) == (begun.ordinal, begun.key)  # the same key for the outside world
    with pytest.raises(LeaseLost):
        begin(first)


@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, True)])
def test_a_call_to_be_made_at_most_once_whose_outcome_is_unknown_is_not_made_again(
    client: AgentTasks, flags: tuple[bool, bool]
) -> None:
    first = operations_of(client, taken := claimed(client))
    begin(first, at_most_once=flags[0])
    lapse(client, taken.id)
    second = operations_of(client, claimed(client, taken.id))
    with pytest.raises(ContextLost, match="at most once"):
        begin(second, at_most_once=flags[1])
    assert all_of(client, taken.id)["calls"][0]["attempts"] == 1


@pytest.mark.parametrize("ended_a_try", [True, False])
def test_a_call_to_be_made_at_most_once_that_failed_is_not_made_again(client: AgentTasks, ended_a_try: bool) -> None:
    first = operations_of(client, taken := claimed(client))
    begun = begin(first, at_most_once=True)
    assert isinstance(begun, Intent)
    error = OSError("no answer \x00 \ud800")
    first.fail_call(begun, error, 1, tried=False)
    if ended_a_try:
        with client.database.connection() as connection:
            retry(connection, taken, StepFailed("no answer").info, 0, progress=None, calls=first.judge(error))
        query(client, "UPDATE agent_tasks.tasks SET status = 'pending', waiting_for = NULL WHERE id = %s", taken.id)
    lapse(client, taken.id)
    second = operations_of(client, claimed(client, taken.id))
    if ended_a_try:
        with pytest.raises(ContextLost, match="at most once"):
            begin(second, at_most_once=True)
    else:
        given = begin(second, at_most_once=True)
        assert isinstance(given, Given)
        with pytest.raises(OSError, match="no answer"):
            given.outcome()
    assert all_of(client, taken.id)["calls"][0]["attempts"] == 1


def begin(operations: StepOperations, *, at_most_once: bool = False) -> Intent | Given:
    """As a context begins the call `pay(1)`."""
    token = operations.branches.enter()
    try:
        branch, identity = operations.branches.identify("pay", digest_of((1,), {}), None)
    finally:
        operations.branches.leave(token)
    call = Call(pay, identity, branch, CallOptions(at_most_once=at_most_once))
    return operations.find(call) or operations.begin_call(call)


def charge(operations: StepOperations, tokens: Any, usd: Any) -> None:
    identity = operations.branches.identify_charge(digest_of((tokens, usd), {}))
    operations.charge(Charge(identity, tokens, usd, ()), 1)
