"""Families whose inputs or results are more than one statement, or one process, can hold at once."""

import asyncio
import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, Budget, Child, ChildOutcome, FanOut, PayloadTooLarge, TaskNotFound
from agent_tasks.authoring.child_results import ChildResults, UnreadResult
from agent_tasks.authoring.handed import child_outcomes
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries.children import joined_children, results
from agent_tasks.transitions import submit
from tests.database import claimed, operations_of, query, submitted
from tests.database.children import NOTHING_RESERVED, fan, reserved_of, spawn, spawned_of

MIB = 1024 * 1024
LARGE = (
    "UPDATE agent_tasks.tasks "
    "SET status = 'completed', finished_at = clock_timestamp(), due_at = NULL, result = {} WHERE id = %s"
)


def joined(client: AgentTasks, *texts: str | None) -> tuple[UUID, list[UUID]]:
    """A parent whose children have ended with these results."""
    parent = claimed(client, submitted(client))
    ids = spawn(client, parent, len(texts))
    for child, text in zip(ids, texts, strict=True):
        query(client, LARGE.format("to_jsonb(%s::text)"), text, child)
    return parent.id, ids


class Reads:
    """Finds results, and remembers which were read at once."""

    def __init__(self, client: AgentTasks) -> None:
        self.client = client
        self.parts: list[list[UUID]] = []

    def __call__(self, children: Sequence[UUID]) -> dict[UUID, Any]:
        self.parts.append(list(children))
        with self.client.database.connection() as connection:
            return results(connection, children)


def outcomes_of(client: AgentTasks, parent: UUID) -> tuple[list[ChildOutcome], Reads]:
    reads = Reads(client)
    with client.database.connection() as connection:
        return child_outcomes(joined_children(connection, parent, 1), reads), reads


# --- results ------------------------------------------------------------------------------------------------


def test_the_read_of_a_join_brings_no_results(client: AgentTasks) -> None:
    parent, ids = joined(client, "x" * 900_000, "y" * 900_000)
    with client.database.connection() as connection:
        rows = joined_children(connection, parent, 1)
    assert [row["id"] for row in rows] == ids
    assert len(repr(rows)) < 10_000
    assert [row["result_bytes"] for row in rows] == [900_002, 900_002]  # though they are compressed to a hundredth


def test_results_are_read_in_parts_of_a_bounded_size_and_one_part_is_in_memory_at_a_time(client: AgentTasks) -> None:
    parent, ids = joined(client, *("x" * (6 * MIB) for _ in range(4)), "y" * (20 * MIB), "z")
    found, reads = outcomes_of(client, parent)
    assert reads.parts == []
    assert [len(child.result) for child in found] == [6 * MIB] * 4 + [20 * MIB, 1]
    assert reads.parts == [ids[:2], ids[2:4], ids[4:5], ids[5:]]
    loaded = found[0].__dict__["result"]._results._values
    assert set(loaded) == {ids[5]}


def test_small_results_are_read_at_once_and_once(client: AgentTasks) -> None:
    parent, ids = joined(client, None, "b", "c")
    found, reads = outcomes_of(client, parent)
    assert [child.result for child in reversed(found)] == ["c", "b", None]
    assert found[1].result == "b"
    assert reads.parts == [ids]


def test_an_outcome_is_what_it_was_when_it_held_its_result(client: AgentTasks) -> None:
    parent, _ = joined(client, "a", "b")
    (lazy, other), reads = outcomes_of(client, parent)
    assert "<not read yet>" in repr(lazy)
    assert reads.parts == []
    whole = ChildOutcome(**lazy.model_dump())
    assert (whole.result, whole, lazy.model_dump(mode="json")["result"]) == ("a", lazy, "a")
    assert lazy == whole != other
    assert hash(lazy) == hash(whole)
    assert '"result":"a"' in lazy.model_dump_json()
    assert dict(lazy)["result"] == "a"
    assert lazy.model_copy().result == copy.deepcopy(lazy).result == pickle.loads(pickle.dumps(lazy)).result == "a"
    assert lazy.model_copy(update={"result": None}).result is None
    assert asyncio.run(lazy.load()) == asyncio.run(whole.load()) == "a"


def test_a_child_that_still_undoes_has_the_result_that_was_decided(client: AgentTasks) -> None:
    parent, (child,) = joined(client, "decided")
    with client.database.connection() as connection, connection.transaction(force_rollback=True):
        connection.execute("ALTER TABLE agent_tasks.tasks DISABLE TRIGGER USER")
        connection.execute(
            """
            UPDATE agent_tasks.tasks
                SET status = 'pending', finished_at = NULL, due_at = clock_timestamp(), undo_step = 0,
                result = NULL, ending = '{"status": "partial", "error": null, "result": "half"}' WHERE id = %s
            """,
            [child],
        )
        (row,) = joined_children(connection, parent, 1)
        assert (row["ending"], row["result_bytes"]) == ({"status": "partial", "error": None}, 6)
        assert results(connection, [child]) == {child: "half"}


def test_a_result_that_was_purged_says_so(client: AgentTasks) -> None:
    child = submitted(client)
    gone = UnreadResult(ChildResults({child: 3}, lambda ids: {}), child)
    with pytest.raises(TaskNotFound, match="purged"):
        gone.load()


def test_a_step_that_could_not_read_a_result_cannot_go_on(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres was away: the step runs again."""
    _, ids = joined(client, "a")
    operations = operations_of(client, claimed(client))
    assert operations.read_results(ids) == {ids[0]: "a"}

    def away(*_: Any) -> Any:
        raise Transient("away")

    with monkeypatch.context() as patched:
        patched.setattr("agent_tasks.engine.steps.fan_outs.results", away)
        with pytest.raises(DatabaseAway):
            operations.read_results(ids)
    with pytest.raises(DatabaseAway):
        operations.check_end()


# --- inputs -------------------------------------------------------------------------------------------------


def test_inputs_are_written_in_chunks_within_one_commit(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[int] = []
    accept = submit._accept  # pyright: ignore[reportPrivateUsage]

    def counted(connection: Any, statement: Any, tasks: Any, values: Any) -> Any:
        statements.append(len(tasks))
        return accept(connection, statement, tasks, values)

    monkeypatch.setattr(submit, "_accept", counted)
    taken = claimed(client, submitted(client))
    directive = FanOut([Child("echo", {"value": "ü" * 400_000}) for _ in range(24)], then="echo")
    statements.clear()
    with client.database.connection() as connection:
        _, rows = fan(connection, taken, spawned_of(client, taken, directive).children)
    assert [row["child_index"] for row in rows] == list(range(24))
    assert statements == [20, 4]  # an ü is two bytes
    written = "SELECT count(*) AS n FROM agent_tasks.tasks WHERE parent_id = %s AND length(input ->> 'value') = 400000"
    assert query(client, written, taken.id) == [{"n": 24}]


def test_a_chunk_that_is_refused_takes_the_others_with_it(client: AgentTasks) -> None:
    target = client.find_target("echo")
    tasks = [client.new_task(target, {"value": n}, Budget()) for n in range(3)]
    with client.database.connection() as connection, pytest.raises(Exception, match="duplicate key"):
        submit.submit(connection, [*tasks, replace(tasks[0])], ring_seconds=60, chunk_bytes=1)
    assert query(client, "SELECT id FROM agent_tasks.tasks") == []


def test_a_fan_out_above_the_bound_on_the_sum_is_refused_with_the_sum(client: AgentTasks) -> None:
    client = AgentTasks(client.settings.model_copy(update={"fan_out_limit": 2000}))
    taken = claimed(client, submitted(client))
    fits = FanOut([Child("echo", {"value": "x" * 900}) for _ in range(2)], then="echo")
    assert len(spawned_of(client, taken, fits).children) == 2
    above = FanOut([Child("echo", {"value": "x" * 900}) for _ in range(5)], then="echo")
    with pytest.raises(PayloadTooLarge) as refused:
        spawned_of(client, taken, above)
    info = refused.value.info
    assert info.details == {"payload": "inputs of children", "size": 4565, "limit": 2000}
    assert (info.retryable, "4,565" in info.message, "2,000" in info.message) == (False, True, True)
    assert reserved_of(client, taken.id) == NOTHING_RESERVED
