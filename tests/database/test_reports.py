"""Reports: what a step tells while it runs can always be read, or is refused with a typed error."""

import math
from typing import Any

import pytest

from agent_tasks import AgentTaskError, AgentTasks, Budget, BudgetExhausted, ContextLost, InvalidInput, PayloadTooLarge
from agent_tasks.context import Intent, Outcome
from agent_tasks.errors import LeaseLost
from agent_tasks.events import EventType
from tests.database import all_of, claimed, lapse, operations_of, submitted


def pay(amount: int) -> str:
    return f"paid {amount}"


def other(amount: int) -> str:
    return f"other {amount}"


@pytest.mark.parametrize(
    "progress",
    [
        ("half", None, None), (None, None, None), (1, "all", None), (1, 2, 7), (math.nan, None, None),
        ([1], None, None), (1, math.inf, None), (1, None, "\x00"), (1, None, "\ud800"), ({}, {}, {}),
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
    ("tokens", "usd"), [(-1, 0), (0, -0.1), (1.5, 0), (math.nan, 0), ("5", 0), (2**63, 0), (0, math.inf)]
)
def test_a_charge_that_is_no_amount_is_refused(client: AgentTasks, tokens: Any, usd: Any) -> None:
    taken = claimed(client)
    before = all_of(client, taken.id)
    with pytest.raises(InvalidInput):
        operations_of(client, taken).charge(tokens, usd)
    assert all_of(client, taken.id) == before


def test_a_charge_beyond_the_limit_is_counted_and_stops_the_step(client: AgentTasks) -> None:
    taken = claimed(client, submitted(client, budget=Budget(tokens=10)))
    operations = operations_of(client, taken)
    operations.charge(10, 0.0)
    with pytest.raises(BudgetExhausted) as caught:
        operations.charge(5, 0.0)
    assert caught.value.details == {"resource": "tokens", "limit": 10, "spent": 15}
    assert client.get(taken.id).stored().budget.remaining.tokens == 0


@pytest.mark.parametrize("report", ["emit", "partial", "end_call"])
def test_a_report_over_the_limit_is_refused(client: AgentTasks, report: str) -> None:
    operations = operations_of(client, claimed(client))
    large = "x" * client.settings.payload_limit
    write = {
        "emit": lambda: operations.emit("found", large),
        "partial": lambda: operations.partial(large),
        "end_call": lambda: operations.end_call(Intent(0, "k"), pay, large),
    }[report]
    with pytest.raises(PayloadTooLarge):
        write()


def test_a_repeated_step_gets_the_recorded_outcome_and_makes_only_what_is_missing(client: AgentTasks) -> None:
    first = operations_of(client, taken := claimed(client))
    made = first.begin_call(first.next_ordinal(), pay, False)
    assert isinstance(made, Intent)
    first.end_call(made, pay, "receipt")
    begun = first.begin_call(first.next_ordinal(), pay, False)
    lapse(client, taken.id)
    second = operations_of(client, claimed(client, taken.id))
    assert second.begin_call(second.next_ordinal(), pay, False) == Outcome("receipt")
    assert second.begin_call(second.next_ordinal(), pay, False) == begun  # the same key for the outside world
    with pytest.raises(LeaseLost):
        first.begin_call(first.next_ordinal(), pay, False)


def test_a_step_that_repeats_in_another_order_cannot_be_trusted(client: AgentTasks) -> None:
    first = operations_of(client, taken := claimed(client))
    first.begin_call(0, pay, False)
    lapse(client, taken.id)
    with pytest.raises(ContextLost, match="another order"):
        operations_of(client, claimed(client, taken.id)).begin_call(0, other, False)


@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("known", ["unknown", "failed"])
def test_a_call_to_be_made_at_most_once_is_not_made_again(
    client: AgentTasks, flags: tuple[bool, bool], known: str
) -> None:
    first = operations_of(client, taken := claimed(client))
    intent = first.begin_call(0, pay, flags[0])
    assert isinstance(intent, Intent)
    if known == "failed":
        first.fail_call(intent, OSError("no answer \x00 \ud800"))
    lapse(client, taken.id)
    second = operations_of(client, claimed(client, taken.id))
    with pytest.raises(ContextLost, match="at most once"):
        second.begin_call(0, pay, flags[1])
    assert all_of(client, taken.id)["calls"][0]["attempts"] == 1
