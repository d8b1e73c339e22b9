"""The ten invariants, each checked on the whole database and on Redis after every move."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from agent_tasks import AgentTasks, Identity, TaskNotFound, TaskSnapshot
from agent_tasks.doorbell.bell import message_id
from agent_tasks.errors import LeaseLost
from agent_tasks.task.status import TERMINAL
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.heartbeat import WorkerRecord, heartbeat
from agent_tasks.transitions.release import release
from tests.database import Row, query
from tests.database.machine.model import DIVIDED, LIVING, Task
from tests.database.machine.moment import AHEAD, Moment, read_bells
from tests.database.machine.wire import Wire
from tests.database.machine.writes import WRITES

TAMPERED = timedelta(days=3)
"""How far back tests set a time at most."""
BOOKS = [f"{kind}_{name}" for kind in ("spent", "reserved") for name in DIVIDED]
OF_AN_END = ("acknowledged_at", "version", "xmin", *BOOKS)
"""What of an ended task may still change."""
STRANGERS = (Identity(subject="bo", tenant="acme"), Identity(subject="ana", tenant="other", scopes=("tasks:all",)))
WORKER = WorkerRecord("w", "h", 1, (), ())


@dataclass
class Move:
    """What there was before a move, and what there is after it, beside what the model says."""

    client: AgentTasks
    wire: Wire
    model: dict[UUID, Task]
    before: Moment
    now: Moment
    observed: tuple[TaskSnapshot, TaskSnapshot]
    """What somebody who watches a task saw the last time, and now."""
    stale: Sequence[tuple[str, Claim]]
    """Runs that have lost their step, and what each tries to write."""
    paused: set[UUID]
    """Those living of which no step is to be begun."""

    def changed(self) -> Iterator[tuple[Row | None, Row]]:
        for task_id, row in self.now.tasks.items():
            yield self.before.tasks.get(task_id), row


def check_all(move: Move) -> None:
    invariant_1_nothing_depends_on_redis(move)
    invariant_2_no_step_is_committed_twice(move)
    invariant_3_a_run_that_lost_its_step_changes_nothing(move)
    invariant_4_a_step_is_committed_as_one(move)
    invariant_5_what_has_ended_stays_and_nobody_sees_a_task_go_back(move)
    invariant_6_the_clock_is_the_databases(move)
    invariant_7_waiting_costs_nothing(move)
    invariant_8_the_join_is_a_counter(move)
    invariant_9_budgets_only_shrink_downwards(move)
    invariant_10_identity_is_extended_and_checked(move)
    no_step_is_begun_of_what_is_paused(move)


def invariant_1_nothing_depends_on_redis(move: Move) -> None:
    """Each task has a time at which a sweep moves it on, but where only a person or a child can."""
    for row in move.now.tasks.values():
        waits = row["waiting_for"] or {}
        if row["status"] in LIVING and waits.get("kind") not in ("signal", "children"):
            assert row["due_at"] is not None
    for task_id, (version, snapshot) in move.now.mirrors.items():
        row = move.now.tasks[task_id]
        assert version <= row["version"], "the mirror shows what Postgres does not know"
        if snapshot is not None and version == row["version"]:
            assert (snapshot.status, snapshot.step_number) == (row["status"], row["step_number"])


def invariant_2_no_step_is_committed_twice(move: Move) -> None:
    claims = {
        (event["task_id"], event["data"]["step_number"], event["data"]["run"])
        for event in move.now.tables["events"]
        if event["type"] == "claimed"
    }
    noted = [
        (event["task_id"], event["data"]["step_number"])
        for event in move.now.tables["events"]
        if event["type"] == "committed"
    ]
    own = [row for row in move.now.tables["checkpoints"] if row["run"] > 0]
    assert sorted(noted) == sorted((row["task_id"], row["step_number"]) for row in own)
    for row in own:
        assert (row["task_id"], row["step_number"], row["run"]) in claims, "committed by a run that never claimed it"


def invariant_3_a_run_that_lost_its_step_changes_nothing(move: Move) -> None:
    for row in move.now.tasks.values():
        runs = [event["data"]["run"] for event in move.now.of("events", row["id"]) if event["type"] == "claimed"]
        assert runs == sorted(runs), "a run came back"
        assert max(runs, default=0) == row["run"]
        assert (row["status"] == "running") == (row["worker"] is not None)
    for name, claim in move.stale:
        with move.client.database.connection() as connection, pytest.raises(LeaseLost):
            WRITES[name](connection, claim)
    lost = [(claim.id, claim.run) for _, claim in move.stale if claim.run < move.now.tasks[claim.id]["run"]]
    with move.client.database.connection() as connection:
        assert heartbeat(connection, lost, lease_seconds=600, seconds=60) == {}
        assert release(connection, lost, ring_seconds=600) == []
    assert move.now.is_current(move.client), "a stale run has changed something"


def invariant_4_a_step_is_committed_as_one(move: Move) -> None:
    for row in move.now.tasks.values():
        task = move.model[row["id"]]
        committed = move.now.of("checkpoints", row["id"])
        assert [c["step_number"] for c in committed] == list(range(row["step_number"]))
        assert [(c["step"], c["next_step"], c["undo"], c["run"] == 0) for c in committed] == [
            (c.step, c.next_step, c.undo, c.copied) for c in task.checkpoints
        ]
        assert {c["id"] for c in move.now.tasks.values() if c["parent_id"] == row["id"]} == {
            child.id for child in task.children
        }
        calls = move.now.of("calls", row["id"])
        assert {(c["step_number"], c["ordinal"]): (c["status"], c["run"]) for c in calls} == task.calls


def invariant_5_what_has_ended_stays_and_nobody_sees_a_task_go_back(move: Move) -> None:
    for old, row in move.changed():
        events = move.now.of("events", row["id"])
        assert [event["seq"] for event in events] == list(range(1, row["event_seq"] + 1))
        assert [event["type"] for event in events].count("finished") == (row["finished_at"] is not None)
        assert (row["finished_at"] is not None) == (row["status"] in TERMINAL)
        if old is None:
            continue
        earlier = move.before.of("events", row["id"])
        assert events[: len(earlier)] == earlier, "history was rewritten"
        assert row["version"] > old["version"] or _seen(row) == _seen(old), "changed under the same version"
        assert (row["version"], row["step_number"]) >= (old["version"], old["step_number"])
        if old["finished_at"] is not None:
            assert {**row, **dict.fromkeys(OF_AN_END)} == {**old, **dict.fromkeys(OF_AN_END)}
            assert events == earlier
            assert move.now.of("checkpoints", row["id"]) == move.before.of("checkpoints", row["id"])
    last, seen = move.observed
    assert last.version <= seen.version <= move.now.tasks[seen.id]["version"], "an observer saw a task go back"
    assert last.status in (LIVING if seen.status in LIVING else (*LIVING, seen.status))
    for task_id, (version, _) in move.now.mirrors.items():
        assert version >= move.before.mirrors.get(task_id, (0, None))[0], "the mirror went back"
    ended = [row["id"] for row in move.now.tasks.values() if row["finished_at"] is not None]
    for task_id in ended[-1:]:
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            query(
                move.client, "UPDATE agent_tasks.tasks SET result = '1', version = version + 1 WHERE id = %s", task_id
            )


def _seen(row: Row) -> dict[str, Any]:
    return {
        name: row[name] for name in ("status", "step", "step_number", "waiting_for", "result", "error", "event_seq")
    }


def invariant_6_the_clock_is_the_databases(move: Move) -> None:
    here = datetime.now(UTC)
    for rows in move.now.tables.values():
        for row in rows:
            for name, value in [*row.items(), *(row.get("waiting_for") or {}).items()]:
                at = datetime.fromisoformat(value) if name in ("since", "until") and value else value
                if isinstance(at, datetime):
                    assert at > here + AHEAD - TAMPERED, f"{name} is not by the clock of the database"


def invariant_7_waiting_costs_nothing(move: Move) -> None:
    for row in move.now.tasks.values():
        if row["status"] != "running":
            assert row["worker"] is None
    bells = {message["headers"]["id"] for message in read_bells(move.client)}
    for row in move.wire.sent:
        if move.now.tasks[row["id"]]["version"] == row["version"]:
            rung = message_id(row) in bells
            assert rung == (row["status"] == "pending"), "a bell for what waits, or none for what is pending"


def invariant_8_the_join_is_a_counter(move: Move) -> None:
    for row in move.now.tasks.values():
        if row["status"] == "waiting" and row["waiting_for"]["kind"] == "children":
            living = [
                child
                for child in move.now.tasks.values()
                if child["parent_id"] == row["id"]
                and child["parent_step"] == row["step_number"] - 1
                and child["status"] in LIVING
            ]
            assert row["children_left"] == len(living) > 0


def invariant_9_budgets_only_shrink_downwards(move: Move) -> None:
    for old, row in move.changed():
        assert row["spent_seconds"] >= (old["spent_seconds"] if old else 0), "time was given back"
    for row in move.now.tasks.values():
        task = move.model[row["id"]]
        for name in DIVIDED:
            limit, spent, reserved = row[f"budget_{name}"], row[f"spent_{name}"], row[f"reserved_{name}"]
            assert (None if limit is None else float(limit)) == task.limit(name), "a limit is never changed"
            assert float(spent) == pytest.approx(task.spent[name]), f"spent {name}"
            if not task.living:
                assert reserved == 0, f"{name} reserved after the end"
                continue
            assert float(reserved) == pytest.approx(task.reserved(name)), f"{name} reserved for those who live"
            if limit is not None:
                assert float(spent + reserved) <= float(limit) + task.beyond[name] + 1e-6, f"{name} out of nothing"


def invariant_10_identity_is_extended_and_checked(move: Move) -> None:
    for row in move.now.tasks.values():
        identity = Identity.model_validate(row["identity"]) if row["identity"] else None
        assert identity == move.model[row["id"]].identity
        assert row["tenant"] == (identity.tenant if identity else "")
        parent = move.now.tasks.get(row["parent_id"])
        if parent is not None and identity is not None:
            assert identity.actors == (*parent["identity"]["actors"], parent["agent"])
            assert identity.model_dump(exclude={"actors"}, mode="json") == {
                name: value for name, value in parent["identity"].items() if name != "actors"
            }
    for row in list(move.now.tasks.values())[-1:]:
        for stranger in STRANGERS:
            with pytest.raises(TaskNotFound):
                move.client.get(row["id"], identity=stranger)


def no_step_is_begun_of_what_is_paused(move: Move) -> None:
    shown = {task.id for task in move.client.living() if task.paused is not None}
    assert shown == move.paused
    for task_id in move.paused:
        earlier = move.before.of("events", task_id)
        assert "claimed" not in [event["type"] for event in move.now.of("events", task_id)[len(earlier) :]]
