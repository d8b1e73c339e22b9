"""What an operation on many tasks does to a page of them, by the transitions that single tasks have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agent_tasks.authoring.permissions import check_scopes
from agent_tasks.client.signals import awaited_names, is_over, is_parked
from agent_tasks.client.submission import declared
from agent_tasks.client.taken_signals import TakenSignals
from agent_tasks.deployment import Deployment
from agent_tasks.errors import AgentTaskError, ErrorInfo, ErrorType, InvalidInput, InvalidState, SuggestedAction
from agent_tasks.store.database import Connection
from agent_tasks.store.queries.read import find_many
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.budget import Budget
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import budget_of
from agent_tasks.transitions import bulk, signal
from agent_tasks.transitions.acknowledge import acknowledge_all
from agent_tasks.transitions.cancel import cancel_trees
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.erase import erase
from agent_tasks.transitions.move import move, prioritise
from agent_tasks.transitions.resume import resume

COLUMNS = bulk.COLUMNS
_RESUMABLE = ("failed", "cancelled", "timeout", "partial")


@dataclass(frozen=True)
class Setting:
    """What an operation is told beside the tasks."""

    deployment: Deployment
    id: UUID
    options: dict[str, Any]
    identity: Identity | None
    """Whose tasks they are; None: a trusted program's."""
    asked_by: Identity | None

    @property
    def ring_seconds(self) -> float:
        return self.deployment.settings.ring_seconds


@dataclass(frozen=True)
class Work:
    """What became of a page: the rows to publish, how many of its tasks were changed, and those that could not be."""

    rows: Sequence[Row] = ()
    done: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True)
class Operation:
    """One thing that is done to many tasks."""

    is_meant: Callable[[Row, dict[str, Any]], bool]
    """Whether a task is in a state in which it is done; the others are passed over."""
    work: Callable[[Connection, Sequence[Row], Setting], Work]


def _has_open_end(row: Row, options: dict[str, Any]) -> bool:
    return not is_over(row)


def _is_resumable(row: Row, options: dict[str, Any]) -> bool:
    """Roots alone: with a parent its children are resumed, below it."""
    return row["status"] in _RESUMABLE and row["parent_id"] is None


def _waits(row: Row, options: dict[str, Any]) -> bool:
    return not is_over(row) and options["name"] in awaited_names(row)


def _is_to_be_acknowledged(row: Row, options: dict[str, Any]) -> bool:
    return row["finished_at"] is not None and row["acknowledged_at"] is None


def _is_ended_root(row: Row, options: dict[str, Any]) -> bool:
    return row["finished_at"] is not None and row["parent_id"] is None


def _has_another(column: str, option: str) -> Callable[[Row, dict[str, Any]], bool]:
    return lambda row, options: row["finished_at"] is None and row[column] != options[option]


def _cancel(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    reason: str = setting.options["reason"]
    error = ErrorInfo(
        type=ErrorType.CANCELLED,
        message=reason,
        suggested_action=SuggestedAction.RESUME,
        details={"reason": reason},
    )
    ids = [row["id"] for row in rows]
    children = [row["id"] for row in rows if row["parent_id"] is not None]
    ended, joined = end(
        connection, lambda c: cancel_trees(c, ids, error), ring_seconds=setting.ring_seconds, above=children
    )
    return Work([*ended, *joined], len({row["id"] for row in ended} & set(ids)))


def _resume(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    """Resume those that nobody has resumed: whoever runs it twice, or two at once, has one new task of each."""
    free = bulk.unresumed(connection, [row["id"] for row in rows])
    rows = find_many(connection, [row["id"] for row in rows])
    made, problems, done = list[Row](), list[dict[str, Any]](), 0
    for row in rows:
        if row["id"] in free:
            try:
                with connection.transaction():
                    made += _resume_one(connection, row, setting)
                done += 1
            except AgentTaskError as error:
                problems.append(problem_of(row["id"], error))
    return Work(made, done, problems)


def _resume_one(connection: Connection, row: Row, setting: Setting) -> list[Row]:
    if (row["error"] or {}).get("details", {}).get("purged"):
        raise InvalidState(f"Task {row['id']} cannot be resumed: its state was purged. Submit it again.")
    check_scopes(row["agent"], declared(setting.deployment.database, row["agent"]).scopes, setting.identity)
    limit = Budget.from_dict(setting.options.get("budget") or {}).over(budget_of(row))
    return resume(connection, row["id"], budget=limit, ring_seconds=setting.ring_seconds)


def _signal(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    """Signal those that wait for it now: of two that run at once the second finds them going on."""
    signal_id = f"bulk-{setting.id}"
    name, text = setting.options["name"], payloads.encode(setting.options.get("payload"), "payload")
    changed, problems, done = list[Row](), list[dict[str, Any]](), 0
    taken: dict[str, TakenSignals] = {}
    for id in sorted(row["id"] for row in rows):
        row = signal.lock(connection, id)
        if row is None or not _waits(row, setting.options):
            continue
        if row["agent"] not in taken:
            taken[row["agent"]] = TakenSignals(setting.deployment, row["agent"])
        if not is_parked(row):
            try:
                taken[row["agent"]].check_payload(row["step"], payloads.stored(text))
            except InvalidInput as error:
                problems.append(problem_of(id, error))
                continue
        kept = signal.keep(
            connection, id, name, text, signal_id=signal_id, sender=setting.asked_by,
            waiting_for=awaited_names(row), is_audited=False,
        )  # fmt: skip
        if kept is not None:
            delivered = signal.deliver(connection, id, ring_seconds=setting.ring_seconds, signal_id=signal_id)
            changed.append(delivered or kept)
            done += 1
    return Work(changed, done, problems)


def _acknowledge(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    changed = acknowledge_all(connection, [row["id"] for row in rows])
    return Work(changed, len(changed))


def _purge(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    erased = erase(connection, [row["id"] for row in rows])
    problems = [problem_of(id, InvalidState(f"Task {id} stays: {why}.")) for id, why in erased.kept.items()]
    return Work((), len(erased.trees), problems)


def _prioritise(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    ids = [row["id"] for row in rows]
    changed = prioritise(connection, ids, setting.options["priority"], ring_seconds=setting.ring_seconds)
    return Work(changed, len(changed))


def _move(connection: Connection, rows: Sequence[Row], setting: Setting) -> Work:
    changed = move(connection, [row["id"] for row in rows], setting.options["to"], ring_seconds=setting.ring_seconds)
    return Work(changed, len(changed))


def problem_of(id: UUID, error: AgentTaskError) -> dict[str, Any]:
    """What is kept of a task that could not be changed."""
    return {"task_id": str(id), "type": str(error.info.type), "message": str(error)[:500]}


OPERATIONS = {
    "cancel": Operation(_has_open_end, _cancel),
    "resume": Operation(_is_resumable, _resume),
    "signal": Operation(_waits, _signal),
    "acknowledge": Operation(_is_to_be_acknowledged, _acknowledge),
    "purge": Operation(_is_ended_root, _purge),
    "prioritise": Operation(_has_another("priority", "priority"), _prioritise),
    "move": Operation(_has_another("queue", "to"), _move),
}
