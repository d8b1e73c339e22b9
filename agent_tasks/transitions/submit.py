"""nothing → pending: tasks are accepted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.history import written
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.task.budget import RESOURCES, Budget
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import audited, each_audited


@dataclass(frozen=True)
class Kin:
    """A task's place in its tree: the parent, the root of its tree, the parent's step that spawned it, its depth."""

    parent_id: UUID
    root_id: UUID
    parent_step: int
    depth: int
    parent_call: int | None = None
    """The call of that step, where its code goes on with the children itself."""


@dataclass(frozen=True)
class NewTask:
    """A task to be accepted; `input` and `metadata` are JSON text, times are seconds."""

    id: UUID
    agent: str
    step: str
    input: str
    queue: str
    ttl_seconds: float
    budget: Budget = field(default_factory=Budget)
    identity: Identity | None = None
    priority: int = 5
    session_id: str | None = None
    metadata: str | None = None
    callback_url: str | None = None
    traceparent: str | None = None
    """Of the task's own span, whose id is that of the task (`span_of`)."""
    parent_span: str | None = None
    """The id of the span that it is below; None: it begins its trace."""
    sensitive: bool = False
    kin: Kin | None = None
    child_index: int | None = None
    retention_seconds: float = 0.0
    """The retention of the tree, where this is its root; 0: the deployment's."""

    @property
    def size(self) -> int:
        """The bytes of its input and metadata."""
        texts = (self.input, self.metadata or "")
        return sum(len(text) if text.isascii() else len(text.encode()) for text in texts)

    def as_record(self) -> dict[str, Any]:
        record = {name: getattr(self, name) for name in _PLAIN}
        record.update({f"budget_{name}": getattr(self.budget, name) for name in RESOURCES})
        record["id"] = str(self.id)
        record["root_id"] = str(self.kin.root_id if self.kin else self.id)
        if self.kin is not None:
            record["parent_id"] = str(self.kin.parent_id)
            record["parent_step"] = self.kin.parent_step
            record["parent_call"] = self.kin.parent_call
            record["depth"] = self.kin.depth
            record["child_index"] = self.child_index
        record["tenant"] = self.identity.tenant if self.identity else ""
        record["identity"] = self.identity.model_dump(mode="json") if self.identity else None
        return record


_PLAIN = (
    "agent", "step", "input", "queue", "ttl_seconds", "retention_seconds", "priority", "session_id", "metadata",
    "callback_url", "sensitive",
    "traceparent", "parent_span",
)  # fmt: skip

_SUBMITTED_EVENTS: LiteralString = """
        SELECT id, 1, 'submitted', jsonb_build_object('agent', agent, 'step', step) FROM added
        UNION ALL
        SELECT id, 2, 'dispatched', jsonb_build_object('step', step, 'queue', queue) FROM added
"""

_ADDED: LiteralString = f"""
    WITH added AS (
        INSERT INTO agent_tasks.tasks (
            id, agent, status, step, queue, priority, root_id, lineage_id, tenant, identity, session_id, metadata,
            callback_url, traceparent, parent_span, sensitive, ttl_seconds, retention_seconds, input, budget_seconds,
            budget_tokens, budget_usd, budget_steps, budget_calls, parent_id, parent_step, parent_call,
            child_index, depth, event_seq, due_at)
        SELECT id, agent, 'pending', step, queue, priority, root_id, id, tenant, identity, session_id, metadata::jsonb,
            callback_url, traceparent, parent_span, sensitive, ttl_seconds, retention_seconds, input::jsonb,
            budget_seconds,
            budget_tokens, budget_usd, budget_steps, budget_calls, parent_id, parent_step, parent_call,
            child_index, coalesce(depth, 0), 2,
            clock_timestamp() + make_interval(secs => %(ring_seconds)s)
        FROM jsonb_to_recordset(%(tasks)s::jsonb) AS new (
            id uuid, agent text, step text, queue text, priority smallint, tenant text, identity jsonb,
            session_id text, metadata text, callback_url text, traceparent text, parent_span text, sensitive boolean,
            ttl_seconds float8, retention_seconds float8,
            input text, budget_seconds float8, budget_tokens bigint, budget_usd numeric, budget_steps integer,
            budget_calls integer, root_id uuid, parent_id uuid, parent_step integer, parent_call integer,
            child_index integer, depth integer)
        RETURNING *
    ), {written(_SUBMITTED_EVENTS)}
"""
_SUBMITTED: LiteralString = f"SELECT {SNAPSHOT} FROM added AS tasks"
_SUBMIT = f"{_ADDED} {_SUBMITTED}"
_DATA: LiteralString = "jsonb_build_object('agent', agent, 'queue', queue)"
_SUBMIT_AUDITED = f"{_ADDED}, {audited('added', task_id='id', data=_DATA)} {_SUBMITTED}"
_SUBMIT_EACH_AUDITED = f"{_ADDED}, {each_audited('added', data=_DATA)} {_SUBMITTED}"


CHUNK_BYTES = 16 * 1024 * 1024
"""How much of inputs and metadata goes to Postgres in one statement; one jsonb value of its ends at 256 MB."""


def submit(
    connection: Connection,
    tasks: Sequence[NewTask],
    *,
    ring_seconds: float,
    entry: Mapping[str, str] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> list[Row]:
    """Accept tasks, all or none. `entry`: what the audit keeps of each; None of those that no caller has asked for."""
    values = {"ring_seconds": ring_seconds, **(entry or {})}
    statement = _SUBMIT if entry is None else _SUBMIT_AUDITED
    chunks = list(_chunks(tasks, chunk_bytes))
    if len(chunks) == 1:
        return _accept(connection, statement, chunks[0], values)
    with connection.transaction():
        return [row for chunk in chunks for row in _accept(connection, statement, chunk, values)]


def submit_each(
    connection: Connection, tasks: Sequence[NewTask], entries: Sequence[Mapping[str, str]], *, ring_seconds: float
) -> list[Row]:
    """Accept tasks of several callers in one statement, all or none; each has an entry in the audit that names it."""
    said = f"[{', '.join(entry['audit'] for entry in entries)}]"
    return _accept(connection, _SUBMIT_EACH_AUDITED, tasks, {"audit": said, "ring_seconds": ring_seconds})


def _accept(
    connection: Connection, statement: LiteralString, tasks: Sequence[NewTask], values: dict[str, Any]
) -> list[Row]:
    records = json.dumps([task.as_record() for task in tasks])
    return connection.execute(statement, {"tasks": records, **values}).fetchall()


def _chunks(tasks: Sequence[NewTask], most: int) -> Iterator[Sequence[NewTask]]:
    begin, room = 0, most
    for end, task in enumerate(tasks):
        room -= task.size
        if room < 0 and end > begin:
            yield tasks[begin:end]
            begin, room = end, most - task.size
    yield tasks[begin:]
