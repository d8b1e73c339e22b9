"""Resume: a new task goes on from the old one's checkpoint, and the old one stays as it is."""

import pytest

from agent_tasks import AgentTasks, Budget, Identity, InvalidState, StepFailed, TaskNotFound
from agent_tasks.client.handle import TaskHandle
from agent_tasks.transitions import ledger, spend
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.fail import fail
from tests.database import all_of, claimed, commit, query, row_of, single
from tests.database.single import complete

ANA = Identity(subject="ana", tenant="acme")


@pytest.fixture
def failed(client: AgentTasks) -> TaskHandle:
    """Failed in its third step: two are committed, and in the third one call was made and one was begun."""
    task = client.submit(
        "echo", {"value": 1}, budget=Budget(tokens=100, usd=1.5, calls=9), identity=ANA, session_id="s",
        metadata={"a": 1}, queue="special", priority=8, ttl=77,
    )  # fmt: skip
    for number in range(2):
        taken = claimed(client, task.id)
        with client.database.connection() as connection:
            single.begin_call(connection, taken, 0, "pay", key=f"key{number}", at_most_once=True)
            single.end_call(connection, taken, 0, status="completed", outcome=f'"early{number}"')
            commit(connection, taken, "echo", f'{{"value": {number}}}', seconds=1, progress='{"done": 1}')  # fmt: skip
    taken = claimed(client, task.id)
    with client.database.connection() as connection:
        single.begin_call(connection, taken, 0, "pay", key="key2", at_most_once=True)
        single.end_call(connection, taken, 0, status="completed", outcome='"receipt"')
        single.begin_call(connection, taken, 1, "pay", key="key3", at_most_once=True)
        spend.charge(connection, taken, tokens=60, usd=0.7)
        spend.keep_partial(connection, taken, '"half"')
        fail(connection, taken, StepFailed("broke").info, traceback="t")
    return task


def test_the_old_task_stays_as_it_is(client: AgentTasks, failed: TaskHandle) -> None:
    before = all_of(client, failed.id)
    failed.resume()
    assert all_of(client, failed.id) == before


def test_the_new_task_starts_where_the_old_one_stopped(client: AgentTasks, failed: TaskHandle) -> None:
    task = failed.resume()
    old, new = row_of(client, failed.id), row_of(client, task.id)
    assert (new["status"], new["step"], new["step_number"], new["resumed_from"]) == ("pending", "echo", 2, failed.id)
    kept = ("agent", "input", "identity", "tenant", "session_id", "metadata", "queue", "priority", "ttl_seconds",
            "partial", "lineage_id", "sensitive", "callback_url")  # fmt: skip
    assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
    assert (new["root_id"], new["parent_id"], new["error"], new["traceback"]) == (task.id, None, None, None)
    taken = claimed(client, task.id)
    assert (taken.state, taken.step_number, taken.repeated) == ({"value": 1}, 2, True)
    assert [event["type"] for event in all_of(client, task.id)["events"]][:2] == ["resumed", "dispatched"]


def test_the_new_task_has_the_callback_of_the_old_one_or_one_of_its_own(client: AgentTasks, failed: TaskHandle) -> None:
    own = failed.resume(callback_url="https://a.example/new")
    assert row_of(client, own.id)["callback_url"] == "https://a.example/new"
    own.cancel()
    assert row_of(client, own.resume().id)["callback_url"] == "https://a.example/new"


def test_what_was_spent_is_not_spent_again_and_what_is_left_is_fresh(client: AgentTasks, failed: TaskHandle) -> None:
    snapshot = failed.resume(budget=Budget(tokens=500, seconds=30)).snapshot()
    assert snapshot.budget.limit == Budget(tokens=500, usd=1.5, calls=9, seconds=30)
    assert snapshot.budget.remaining.tokens == 500
    assert (snapshot.budget.spent.tokens, snapshot.budget.spent.usd, snapshot.budget.spent.calls) == (0, 0, 0)


def test_checkpoints_are_copied_with_the_calls_of_all_steps(client: AgentTasks, failed: TaskHandle) -> None:
    task = failed.resume()
    old, new = all_of(client, failed.id), all_of(client, task.id)
    for checkpoint_ in (*old["checkpoints"], *new["checkpoints"]):
        checkpoint_.update(task_id=None, run=None)
    assert new["checkpoints"] == old["checkpoints"]
    assert [(c["step_number"], c["ordinal"], c["status"], c["outcome"], c["at_most_once"]) for c in new["calls"]] == [
        (0, 0, "completed", "early0", True),
        (1, 0, "completed", "early1", True),
        (2, 0, "completed", "receipt", True),
        (2, 1, "started", None, True),
    ]
    assert [call["idempotency_key"] for call in new["calls"]] == ["key0", "key1", "key2", "key3"]


def test_the_recorded_calls_are_found_by_the_new_run(client: AgentTasks, failed: TaskHandle) -> None:
    taken = claimed(client, failed.resume().id)
    with client.database.connection() as connection:
        recorded = ledger.recorded_calls(connection, taken)
    assert {n: (call.status, call.outcome) for n, call in recorded.items()} == {
        0: ("completed", "receipt"),
        1: ("started", None),
    }


def test_a_chain_of_resumes_keeps_the_lineage_of_the_first(client: AgentTasks, failed: TaskHandle) -> None:
    task, seen = failed, [failed.id]
    for _ in range(3):
        task = task.resume()
        task.cancel()
        assert row_of(client, task.id)["lineage_id"] == failed.id
        assert row_of(client, task.id)["resumed_from"] == seen[-1]
        seen.append(task.id)
    assert len(all_of(client, task.id)["checkpoints"]) == 2


def test_what_has_not_ended_or_has_completed_is_not_resumed(client: AgentTasks) -> None:
    pending = client.submit("echo")
    with pytest.raises(InvalidState, match="pending"):
        pending.resume()
    taken = claimed(client, pending.id)
    with pytest.raises(InvalidState, match="running"):
        pending.resume()
    with client.database.connection() as connection:
        complete(connection, Finish(taken, "1", 0))
    with pytest.raises(InvalidState, match="completed"):
        pending.resume()
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1


def test_only_who_may_see_a_task_may_resume_or_steer_it(client: AgentTasks, failed: TaskHandle) -> None:
    handle = TaskHandle(client, failed.id, Identity(subject="eve", tenant="acme"))
    before = all_of(client, failed.id)
    for act in (
        handle.resume, handle.cancel, handle.acknowledge, handle.snapshot, handle.stored, handle.children,
        handle.wait, handle.result, lambda: list(handle.events()), lambda: list(handle.events(follow=True)),
    ):  # fmt: skip
        with pytest.raises(TaskNotFound):
            act()
    assert all_of(client, failed.id) == before
    assert len(query(client, "SELECT FROM agent_tasks.tasks")) == 1
    assert client.get(failed.id, identity=ANA).resume().snapshot().identity == ANA
