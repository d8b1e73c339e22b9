"""A step that a worker's code cannot take is given back: uncounted, later each time, and not for ever."""

from uuid import UUID

import pytest

from agent_tasks import AgentTasks, ErrorInfo
from agent_tasks.authoring.retry import Retry
from agent_tasks.authoring.step import OtherArguments, Step
from agent_tasks.store.rows import Row
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.heartbeat import WorkerRecord, sign_on
from agent_tasks.transitions.refuse import refuse
from tests.database import all_of, claimed, claimed_apart, commit, query, row_of, submitted
from tests.database.test_orphans import given_up, watched

__all__ = ["watched"]


def give_back(client: AgentTasks, taken: Claim, *, signature: str = "a", only_if_served: bool = False) -> Row | None:
    with client.database.connection() as connection:
        return refuse(
            connection, taken, "b: not there.", signature=signature, only_if_served=only_if_served, lease_seconds=60
        )


def alive(client: AgentTasks, name: str, signature: str | None, *, queue: str = "agents") -> None:
    signatures = None if signature is None else (signature,)
    with client.database.connection() as connection:
        sign_on(connection, WorkerRecord(name, "h", 1, (queue,), ("echo.echo",), signatures=signatures), seconds=60)


def seconds_until_due(client: AgentTasks, task_id: UUID) -> float:
    sql = "SELECT extract(epoch FROM due_at - pending_since)::float8 AS seconds FROM agent_tasks.tasks WHERE id = %s"
    return round(query(client, sql, task_id)[0]["seconds"], 1)


def test_a_step_that_is_given_back_is_pending_again_and_nothing_counts_against_it(client: AgentTasks) -> None:
    task_id = submitted(client)
    assert give_back(client, claimed(client, task_id))
    row = row_of(client, task_id)
    assert (row["status"], row["worker"], row["attempt"], row["uncounted"]) == ("pending", None, 0, 1)
    assert (row["failures"], row["crashes"], row["suspect"]) == (0, 0, 0)
    assert all_of(client, task_id)["events"][-1]["data"] == {"step": "echo", "why": "b: not there."}
    assert claimed(client, task_id).attempt == 1


def test_each_time_a_step_is_given_back_its_bell_rings_later(client: AgentTasks) -> None:
    task_id, waits = submitted(client), []
    for _ in range(8):
        give_back(client, claimed(client, task_id))
        waits.append(seconds_until_due(client, task_id))
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_stale_worker_gives_nothing_back(client: AgentTasks) -> None:
    task_id = submitted(client)
    stale = claimed(client, task_id)
    give_back(client, stale)
    claimed(client, task_id)
    before = all_of(client, task_id)
    assert give_back(client, stale) is None
    assert all_of(client, task_id) == before


@pytest.mark.parametrize(
    ("workers", "is_given_back"),
    [
        ([], False),
        ([("w1", "a", "agents")], False),
        ([("w1", "a", "agents"), ("w2", "a b", "gpu")], False),
        ([("w1", "a", "agents"), ("w2", "a b", "agents")], True),
        ([("w1", "a", "agents"), ("w2", None, "agents")], True),
    ],
)
def test_an_untried_input_is_given_back_only_where_other_code_may_take_it(
    client: AgentTasks, workers: list[tuple[str, str | None, str]], is_given_back: bool
) -> None:
    for name, signature, queue in workers:
        alive(client, name, signature, queue=queue)
    taken = claimed(client)
    assert (give_back(client, taken, only_if_served=True) is not None) is is_given_back
    assert row_of(client, taken.id)["status"] == ("pending" if is_given_back else "running")


def test_an_input_that_all_releases_gave_back_waits_for_nobody(client: AgentTasks) -> None:
    task_id = submitted(client)
    alive(client, "w1", "a")
    alive(client, "w2", "a b")
    for _ in range(2):
        assert give_back(client, claimed(client, task_id), signature="a", only_if_served=True)
    assert give_back(client, claimed(client, task_id), signature="a b", only_if_served=True) is None


def old_refusal(client: AgentTasks, seconds: float = 101) -> UUID:
    """A task with a TTL of 100 s that was given back first so long ago."""
    task_id = submitted(client, ttl=100)
    give_back(client, claimed(client, task_id))
    since = "jsonb_set(refused, '{since}', to_jsonb(clock_timestamp() - make_interval(secs => %s)))"
    query(client, f"UPDATE agent_tasks.tasks SET refused = {since} WHERE id = %s", seconds, task_id)
    return task_id


def test_a_step_that_all_give_back_is_given_up_past_its_ttl_and_can_be_resumed(watched: AgentTasks) -> None:
    alive(watched, "w1", "a")
    old, _young = old_refusal(watched), old_refusal(watched, 90)
    (row,) = given_up(watched)
    error = ErrorInfo.model_validate(row["error"])
    assert (row["id"], row["status"], error.type, error.suggested_action) == (old, "failed", "context_lost", "resume")
    assert (
        "No worker's code has taken step echo.echo as it was recorded for 100.0 seconds: b: not there. "
        in error.message
    )
    assert error.message.endswith("Deploy a release that takes it, then resume the task.")
    assert watched.get(old).resume().snapshot().status == "pending"


@pytest.mark.parametrize("signature", ["a b", None])
def test_a_worker_with_other_code_protects_it_and_for_the_ttl_after_its_end(
    watched: AgentTasks, signature: str | None
) -> None:
    task_id = old_refusal(watched)
    alive(watched, "w1", "a")
    alive(watched, "w2", signature)
    assert given_up(watched) == []
    query(
        watched,
        "UPDATE agent_tasks.workers SET seen_at = seen_at - interval '90 s', stopped_at = seen_at WHERE id = 'w2'",
    )
    assert given_up(watched) == []
    query(watched, "UPDATE agent_tasks.workers SET seen_at = seen_at - interval '11 s' WHERE id = 'w2'")
    assert [row["id"] for row in given_up(watched)] == [task_id]


def test_snapshots_say_why_until_the_step_is_committed(client: AgentTasks) -> None:
    alive(client, "w1", "a")
    task = client.get(submitted(client))
    row = give_back(client, claimed(client, task.id))
    client.publish([row])  # type: ignore[list-item]
    for seen in (task.snapshot(), task.stored()):
        assert seen.unserved is not None
        assert (seen.unserved.reason, "b: not there" in seen.unserved.message) == ("refused", True)
    taken = claimed(client, task.id)
    assert task.stored().unserved is None
    with client.database.connection() as connection:
        commit(connection, taken)
    assert row_of(client, task.id)["refused"] is None
    assert task.stored().unserved is None


def test_the_quarantine_does_not_take_it_again_at_once(client: AgentTasks) -> None:
    task_id = submitted(client)
    query(client, "UPDATE agent_tasks.tasks SET suspect = 1 WHERE id = %s", task_id)
    taken = claimed_apart(client, task_id)
    assert isinstance(taken, Claim)
    give_back(client, taken)
    assert claimed_apart(client, task_id) is None
    query(
        client,
        """UPDATE agent_tasks.tasks SET refused = jsonb_set(refused, '{until}', '"2020-01-01"') WHERE id = %s""",
        task_id,
    )
    assert isinstance(claimed_apart(client, task_id), Claim)


def test_a_signature_tells_which_arguments_a_step_takes_and_other_ones_are_told_from_wrong_values() -> None:
    def finish(ctx: object, to: str, children: object, by: str = "us", **more: int) -> None: ...
    def ends(ctx: object, to: int) -> None: ...

    assert Step("a", "finish", finish, Retry()).signature == "** by? to"
    step = Step("a", "ends", ends, Retry())
    for other in ({}, {"to": 1, "by": 2}):
        with pytest.raises(OtherArguments):
            step.validate(other)
    with pytest.raises(ValueError, match="to") as wrong:
        step.validate({"to": "many"})
    assert not isinstance(wrong.value, OtherArguments)
