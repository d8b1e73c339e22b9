"""Signals: kept until they are waited for, consumed once, and refused where the agent does not declare them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Identity, InvalidInput, InvalidState, PermissionDenied, TaskNotFound
from agent_tasks.client.handle import TaskHandle
from agent_tasks.store.queries.catalog import register_agents
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.signal import consumed, deliver, inbox, keep, lock, refuse
from agent_tasks.transitions.wake import wake
from tests.database import Row, all_of, claimed, park, query, row_of, submitted, try_claim
from tests.database.children import types_of


def waits(client: AgentTasks, *names: str, task_id: UUID | None = None, every: bool = False, **options: Any) -> Row:
    """The task's step commits a Wait; its row as that leaves it."""
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        return park(connection, taken, *names, every=every, **options)


def taken_with(client: AgentTasks, task_id: UUID) -> tuple[Claim, list[Any]]:
    """The step after the wait, and the payloads that it is handed."""
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        return taken, [row["payload"] for row in consumed(connection, task_id, taken.step_number)]


def in_inbox(client: AgentTasks, task_id: UUID) -> list[Any]:
    sql = "SELECT payload FROM agent_tasks.signals WHERE task_id = %s AND consumed_step IS NULL ORDER BY seq"
    return [row["payload"] for row in query(client, sql, task_id)]


def test_a_task_that_waits_holds_no_worker_and_says_for_what(client: AgentTasks) -> None:
    row = waits(client, "approval", "payment", every=True, timeout=3600)
    assert (row["status"], row["worker"], row["step"], row["step_number"]) == ("waiting", None, "echo", 1)
    snapshot = client.get(row["id"]).stored()
    assert snapshot.waiting_for is not None
    assert snapshot.waiting_for.until is not None
    assert (snapshot.waiting_for.kind, snapshot.waiting_for.names) == ("signal", ["approval", "payment"])
    assert (snapshot.waiting_for.until - snapshot.waiting_for.since).total_seconds() == pytest.approx(3600, abs=1)
    assert try_claim(client, row["id"]) is None
    assert types_of(client, row["id"])[-2:] == ["committed", "waiting"]


def test_a_signal_wakes_the_task_that_waits_for_it_and_is_handed_to_the_step(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval")["id"])
    receipt = task.signal("approval", {"ok": 1}, signal_id="s", identity=Identity(subject="ana"))
    assert (receipt.kept, receipt.delivered, receipt.waiting_for) == (True, True, [])
    assert row_of(client, task.id)["status"] == "pending"
    with client.database.connection() as connection:
        (handed,) = consumed(connection, task.id, 1)
    assert (handed["name"], handed["payload"], handed["signal_id"]) == ("approval", {"ok": 1}, "s")
    assert handed["sender"]["subject"] == "ana"
    events = all_of(client, task.id)["events"]
    assert [event["type"] for event in events][-2:] == ["signalled", "dispatched"]
    assert events[-2]["data"]["sender"]["subject"] == "ana"


def test_a_signal_before_its_wait_is_kept_and_consumed_by_it(client: AgentTasks) -> None:
    task = client.submit("echo")
    receipt = task.signal("approval", "early")
    assert (receipt.kept, receipt.delivered) == (True, False)
    running = claimed(client, task.id)
    assert not task.signal("approval", "second").delivered
    with client.database.connection() as connection:
        row = park(connection, running, "approval")
    assert (row["status"], row["waiting_for"]) == ("pending", None)
    assert taken_with(client, task.id)[1] == ["early"]
    assert in_inbox(client, task.id) == ["second"]
    assert types_of(client, task.id)[-4:] == ["committed", "waiting", "dispatched", "claimed"]


def test_the_next_wait_takes_what_the_first_one_left(client: AgentTasks) -> None:
    task = client.submit("echo")
    for n in range(3):
        task.signal("approval", n)
    for n in range(3):
        assert waits(client, "approval", task_id=task.id)["status"] == "pending"
        with client.database.connection() as connection:
            assert [row["payload"] for row in consumed(connection, task.id, n + 1)] == [n]
    assert waits(client, "approval", task_id=task.id)["status"] == "waiting"


def test_a_signal_of_another_name_wakes_nobody_and_says_what_is_waited_for(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval")["id"])
    receipt = task.signal("payment", 1)
    assert (receipt.kept, receipt.delivered, receipt.waiting_for) == (True, False, ["approval"])
    assert row_of(client, task.id)["status"] == "waiting"


def test_any_of_several_wakes_and_the_one_that_came_first_is_handed(client: AgentTasks) -> None:
    task = client.submit("echo")
    task.signal("b", "first")
    task.signal("a", "second")
    waits(client, "a", "b", task_id=task.id)
    assert taken_with(client, task.id)[1] == ["first"]
    assert in_inbox(client, task.id) == ["second"]


def test_all_of_several_wake_when_none_is_missing_and_the_first_of_each_is_handed(client: AgentTasks) -> None:
    task = client.get(waits(client, "a", "b", "c", every=True)["id"])
    assert [task.signal(name, n).delivered for n, name in enumerate(["a", "b", "a", "b", "d"])] == [False] * 5
    assert row_of(client, task.id)["status"] == "waiting"
    assert task.signal("c", 9).delivered
    assert taken_with(client, task.id)[1] == [0, 1, 9]
    assert in_inbox(client, task.id) == [2, 3, 4]


@pytest.mark.parametrize("state", ["pending", "running", "waiting", "woken"])
def test_a_repeated_signal_id_has_no_second_effect_whenever_it_comes(client: AgentTasks, state: str) -> None:
    task = client.submit("echo")
    if state == "running":
        claimed(client, task.id)
    elif state in ("waiting", "woken"):
        waits(client, "approval" if state == "woken" else "other", task_id=task.id)
    assert task.signal("approval", 1, signal_id="one").kept
    before = all_of(client, task.id)
    again = [task.signal("approval", 2, signal_id="one"), task.signal("payment", 3, signal_id="one")]
    assert [(receipt.kept, receipt.delivered) for receipt in again] == [(False, False)] * 2
    assert all_of(client, task.id) == before
    assert len(query(client, "SELECT FROM agent_tasks.signals")) == 1


def test_the_same_signal_id_for_another_task_is_another_signal(client: AgentTasks) -> None:
    for _ in range(2):
        assert client.submit("echo").signal("approval", 1, signal_id="one").kept


def test_without_an_id_each_signal_counts(client: AgentTasks) -> None:
    task = client.submit("echo")
    for _ in range(2):
        assert task.signal("approval", 1).kept
    assert in_inbox(client, task.id) == [1, 1]


def test_of_two_signals_racing_for_one_wait_one_wins_and_the_other_stays_in_the_inbox(client: AgentTasks) -> None:
    for _ in range(10):
        task = client.get(waits(client, "approval")["id"])
        barrier = threading.Barrier(2)

        def send(n: int, task: TaskHandle = task, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(10)
            return task.signal("approval", n).delivered

        with ThreadPoolExecutor(2) as threads:
            delivered = list(threads.map(send, range(2)))
        assert sorted(delivered) == [False, True]
        winner = delivered.index(True)
        assert taken_with(client, task.id)[1] == [winner]
        assert in_inbox(client, task.id) == [1 - winner]
        assert types_of(client, task.id).count("signalled") == 2


def test_a_signal_racing_with_its_wait_is_never_lost_between_the_two(client: AgentTasks) -> None:
    for _ in range(10):
        task = client.submit("echo")
        barrier = threading.Barrier(2)

        def send(task: TaskHandle = task, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            task.signal("approval", 1)

        def park(task: TaskHandle = task, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            waits(client, "approval", task_id=task.id)

        with ThreadPoolExecutor(2) as threads:
            for racing in (threads.submit(send), threads.submit(park)):
                racing.result()
        assert taken_with(client, task.id)[1] == [1]


def test_a_signal_and_a_cancel_at_once_leave_a_cancelled_task_and_no_signal_in_doubt(client: AgentTasks) -> None:
    for _ in range(10):
        task = client.get(waits(client, "approval")["id"])
        barrier = threading.Barrier(2)

        def send(task: TaskHandle = task, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(10)
            try:
                return task.signal("approval", 1).kept
            except InvalidState:
                return False

        def stop(task: TaskHandle = task, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            task.cancel()

        with ThreadPoolExecutor(2) as threads:
            kept, _ = threads.submit(send), threads.submit(stop).result()
        assert row_of(client, task.id)["status"] == "cancelled"
        assert len(query(client, "SELECT FROM agent_tasks.signals WHERE task_id = %s", task.id)) == int(kept.result())
        assert types_of(client, task.id)[-1] == "finished"


def test_a_task_that_has_ended_takes_no_signals_and_stays_as_it_is(client: AgentTasks) -> None:
    task = client.submit("echo")
    task.cancel()
    before = all_of(client, task.id)
    with pytest.raises(InvalidState, match="has ended as cancelled"):
        task.signal("approval", 1)
    assert all_of(client, task.id) == before
    assert query(client, "SELECT FROM agent_tasks.signals") == []


def test_a_task_whose_end_is_decided_takes_no_signals_though_it_is_still_undoing(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval", undoable=True)["id"])
    task.cancel()
    assert task.stored().status == "pending"
    with pytest.raises(InvalidState):
        task.signal("approval", 1)


@pytest.mark.parametrize(
    ("name", "signal_id", "field"),
    [
        ("", None, "name"), ("x" * 129, None, "name"), (7, None, "name"), (None, None, "name"), (["a"], None, "name"),
        ("a\x00", None, "name"), ("\ud800", None, "name"), ("a", "", "signal_id"), ("a", 7, "signal_id"),
        ("a", "x" * 256, "signal_id"), ("a", "\x00", "signal_id"),
    ],
)  # fmt: skip
def test_a_signal_that_cannot_be_kept_is_refused_with_the_field_named(
    client: AgentTasks, name: Any, signal_id: Any, field: str
) -> None:
    task = client.submit("echo")
    with pytest.raises(InvalidInput) as caught:
        task.signal(name, 1, signal_id=signal_id)
    assert caught.value.details["field"] == field
    assert query(client, "SELECT FROM agent_tasks.signals") == []


def test_a_signal_that_the_agent_never_waits_for_is_refused_whoever_has_its_code(client: AgentTasks) -> None:
    definition = {"first_step": "begin", "budget": None, "sensitive": False, "queue": None, "ttl": None,
                  "signals": ["approval"], "payload_schemas": {"echo": {"type": "integer"}}}  # fmt: skip
    with client.database.connection() as connection:
        register_agents(connection, {"elsewhere": definition})
    task = client.submit("elsewhere")
    with pytest.raises(InvalidInput, match="declares approval"):
        task.signal("payment", 1)
    waits(client, "approval", task_id=task.id)
    with pytest.raises(InvalidInput, match="keeps waiting"):
        task.signal("approval", "text")
    assert row_of(client, task.id)["status"] == "waiting"
    assert task.signal("approval", 5).delivered


def test_a_signal_that_the_agent_does_not_declare_is_refused_with_those_that_it_declares(client: AgentTasks) -> None:
    task = client.submit("approval")
    before = all_of(client, task.id)
    with pytest.raises(InvalidInput, match=r"no signal 'aproval'; it declares approval\.") as caught:
        task.signal("aproval", 1)
    assert caught.value.details["field"] == "name"
    assert all_of(client, task.id) == before
    assert query(client, "SELECT FROM agent_tasks.signals") == []
    assert task.signal("approval", {"ok": True}).kept


def test_an_agent_that_declares_no_signals_keeps_any_and_the_receipt_says_what_its_task_waits_for(
    client: AgentTasks,
) -> None:
    task = client.submit("several", {"every": True})
    receipt = task.signal("first", 1)
    assert (receipt.kept, receipt.delivered, receipt.waiting_for) == (True, False, [])
    waits(client, "first", "second", task_id=task.id, every=True)
    assert task.signal("third", 3).waiting_for == ["first", "second"]
    assert [row["name"] for row in query(client, "SELECT name FROM agent_tasks.signals ORDER BY seq")] == [
        "first",
        "third",
    ]


def test_a_name_that_the_task_waits_for_now_is_taken_whatever_the_agent_declares(client: AgentTasks) -> None:
    task = client.submit("approval")
    waits(client, "consent", task_id=task.id)  # as code of another release has it
    with pytest.raises(InvalidInput):
        task.signal("payment", 1)
    assert task.signal("consent", 1, signal_id="one").delivered
    assert not task.signal("consent", 1, signal_id="one").kept


def test_a_task_that_has_ended_says_so_before_it_speaks_of_names(client: AgentTasks) -> None:
    task = client.submit("approval")
    task.cancel()
    with pytest.raises(InvalidState):
        task.signal("payment", 1)


def test_a_signal_in_the_inbox_that_its_step_refuses_is_taken_out_and_told_of(client: AgentTasks) -> None:
    task_id = submitted(client)
    with client.database.transaction() as connection:
        assert lock(connection, task_id) is not None
        keep(connection, task_id, "approval", '"bad"', signal_id=None, sender=None)
        (kept,) = inbox(connection, task_id, ["approval"])
        refuse(connection, task_id, kept["seq"], "payload: no boolean")
        refuse(connection, task_id, kept["seq"], "again: nothing")
        assert inbox(connection, task_id, ["approval"]) == []
    assert waits(client, "approval", task_id=task_id)["status"] == "waiting"
    assert types_of(client, task_id).count("signal_refused") == 1


def test_a_delivery_without_a_wait_or_without_a_signal_changes_nothing(client: AgentTasks) -> None:
    pending, waiting = client.submit("echo"), client.get(waits(client, "approval")["id"])
    pending.signal("approval", 1)
    for task in (pending, waiting):
        before = all_of(client, task.id)
        with client.database.connection() as connection:
            assert deliver(connection, task.id, ring_seconds=60) is None
        assert all_of(client, task.id) == before


def test_only_who_may_see_a_task_may_signal_it(client: AgentTasks) -> None:
    task = client.submit("echo", identity=Identity(subject="ana", tenant="acme"))
    with pytest.raises(TaskNotFound):
        TaskHandle(client, task.id, Identity(subject="eve", tenant="acme")).signal("approval", 1)
    assert query(client, "SELECT FROM agent_tasks.signals") == []


def test_a_task_that_was_purged_is_not_found(client: AgentTasks) -> None:
    task = client.submit("echo")
    query(client, "DELETE FROM agent_tasks.tasks WHERE id = %s", task.id)
    with pytest.raises(TaskNotFound):
        task.signal("approval", 1)


ANA = Identity(subject="ana", tenant="acme", scopes=("write",))


@pytest.mark.parametrize("other", [Identity(subject="bob", tenant="acme"), Identity(subject="ana", tenant="evil"),
                                   ANA.model_copy(update={"scopes": ("write", "tasks:all")})])  # fmt: skip
def test_a_handle_with_an_identity_signs_as_nobody_else(client: AgentTasks, other: Identity) -> None:
    task = client.get(client.submit("echo", identity=ANA).id, identity=ANA)
    with pytest.raises(PermissionDenied, match="'ana' cannot sign as"):
        task.signal("approval", 1, identity=other)
    assert query(client, "SELECT FROM agent_tasks.signals") == []


@pytest.mark.parametrize("named", [None, ANA, ANA.extended("mailer")])
def test_a_handle_with_an_identity_signs_as_it_and_further_down_its_chain(
    client: AgentTasks, named: Identity | None
) -> None:
    task = client.get(client.submit("echo", identity=ANA).id, identity=ANA)
    assert task.signal("approval", 1, identity=named).kept
    (sent,) = query(client, "SELECT sender FROM agent_tasks.signals")
    assert Identity.model_validate(sent["sender"]) == (named or ANA)


def test_a_trusted_program_names_whom_it_likes(client: AgentTasks) -> None:
    task = client.submit("echo", identity=ANA)
    assert task.signal("approval", 1, identity=Identity(subject="bob", tenant="elsewhere")).kept


@pytest.mark.parametrize("delivered", [True, False])
def test_the_same_signal_id_after_the_end_gets_the_first_receipt(client: AgentTasks, delivered: bool) -> None:
    task = client.get(waits(client, "approval" if delivered else "payment")["id"])
    first = task.signal("approval", 1, signal_id="one")
    assert first.delivered is delivered
    task.cancel()
    before = all_of(client, task.id)
    again = [task.signal("approval", 1, signal_id="one"), task.signal("approval", 2, signal_id="one")]
    assert [receipt.model_copy(update={"unserved": first.unserved}) for receipt in again] == [first, first]
    assert all_of(client, task.id) == before
    with pytest.raises(InvalidState):
        task.signal("approval", 1, signal_id="another")


def test_the_first_receipt_is_given_while_what_was_done_is_undone_too(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval", undoable=True)["id"])
    assert task.signal("approval", 1, signal_id="one").delivered
    task.cancel()
    assert task.stored().status == "pending"
    assert task.signal("approval", 1, signal_id="one").delivered


@pytest.mark.parametrize(("consumed_step", "delivered"), [(1, True), (-1, False), (None, False)])
def test_a_signal_of_0_1_0_has_a_receipt_too(client: AgentTasks, consumed_step: int | None, delivered: bool) -> None:
    task = client.submit("echo")
    task.signal("approval", 1, signal_id="one")
    query(client, "UPDATE agent_tasks.signals SET receipt = NULL, consumed_step = %s", consumed_step)
    task.cancel()
    receipt = task.signal("approval", 1, signal_id="one")
    assert (receipt.kept, receipt.delivered) == (True, delivered)


def wait_of(task: TaskHandle) -> str:
    waiting = task.stored().waiting_for
    assert waiting is not None
    assert waiting.wait_id is not None
    return waiting.wait_id


def test_a_signal_that_names_its_wait_answers_it(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval")["id"])
    assert task.signal("approval", 1, wait_id=wait_of(task)).delivered
    assert taken_with(client, task.id)[1] == [1]


def test_a_signal_that_comes_after_its_wait_has_run_out_does_not_answer_the_next_one(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval", timeout=0)["id"])
    first = wait_of(task)
    with client.database.connection() as connection:
        assert wake(connection, limit=10, ring_seconds=60)
    with pytest.raises(InvalidState, match="waits for no signal now") as caught:
        task.signal("approval", 1, wait_id=first)
    waits(client, "approval", task_id=task.id)
    assert wait_of(task) != first
    before = all_of(client, task.id)
    with pytest.raises(InvalidState, match=r"is over.*It waits for approval now") as caught:
        task.signal("approval", 1, wait_id=first, signal_id="one")
    assert caught.value.details == {"wait_id": first, "waiting_for": ["approval"]}
    assert all_of(client, task.id) == before
    assert query(client, "SELECT FROM agent_tasks.signals") == []
    assert task.signal("approval", 2, wait_id=wait_of(task)).delivered


def test_a_signal_that_was_kept_for_one_wait_is_not_taken_by_the_next(client: AgentTasks) -> None:
    task = client.get(waits(client, "a", "b", every=True, timeout=0)["id"])
    first = wait_of(task)
    assert not task.signal("a", "for the first", wait_id=first, signal_id="one").delivered
    with client.database.connection() as connection:
        assert wake(connection, limit=10, ring_seconds=60)
    assert waits(client, "a", task_id=task.id)["status"] == "waiting"
    again = task.signal("a", "for the first", wait_id=first, signal_id="one")
    assert (again.kept, again.delivered) == (False, False)
    assert task.signal("a", "for any").delivered
    assert taken_with(client, task.id)[1] == ["for any"]


def test_a_signal_names_a_wait_of_its_own_name(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval")["id"])
    with pytest.raises(InvalidInput, match="is for approval, not 'payment'"):
        task.signal("payment", 1, wait_id=wait_of(task))
    with pytest.raises(InvalidInput) as caught:
        task.signal("approval", 1, wait_id=7)  # type: ignore[arg-type]
    assert caught.value.details["field"] == "wait_id"
    assert query(client, "SELECT FROM agent_tasks.signals") == []


def test_a_resumed_wait_is_the_same_wait(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval")["id"])
    named = wait_of(task)
    task.cancel()
    resumed = task.resume()
    assert wait_of(resumed) == named
    assert resumed.signal("approval", 1, wait_id=named).delivered


def test_a_wait_of_0_1_0_is_answered_without_its_id(client: AgentTasks) -> None:
    task = client.get(waits(client, "approval")["id"])
    query(client, "UPDATE agent_tasks.tasks SET waiting_for = waiting_for - 'wait_id'")
    with pytest.raises(InvalidState, match="is over"):
        task.signal("approval", 1, wait_id="any")
    assert task.signal("approval", 1).delivered
