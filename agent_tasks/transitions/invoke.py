"""nothing → pending, once: an AgentCore session starts a task, unless it works or has a result to read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import SNAPSHOT, Row
from agent_tasks.task.identity import Identity
from agent_tasks.transitions.audit import entry
from agent_tasks.transitions.submit import NewTask, submit


@dataclass(frozen=True)
class Runtime:
    """An agent that is served as an AgentCore runtime, whom its sessions act as, and how long they live."""

    agent: str
    identity: Identity
    idle_seconds: float
    life_seconds: float

    def values(self, session_id: str | None = None) -> dict[str, Any]:
        """The parameters of the statements on its sessions."""
        return {
            "agent": self.agent,
            "tenant": self.identity.tenant,
            "subject": self.identity.subject,
            "session_id": session_id,
            "idle": self.idle_seconds,
            "life": self.life_seconds,
        }


@dataclass(frozen=True)
class Invocation:
    """What an invocation has met, and the task that it is about."""

    found: Literal["nothing", "work", "result"]
    """`nothing`: the task was started now; `work`: the session is busy with it; `result`: it has ended, and its result
    is read now."""
    row: Row


# OFFSET 0: by the session's own index, however many tasks the tenant has.
WORKS: LiteralString = """
    EXISTS (
        SELECT FROM agent_tasks.tasks AS task
        WHERE task.session_id IS NOT NULL AND left(task.session_id, 256) = session.id AND task.session_id = session.id
            AND task.tenant = session.tenant AND task.identity ->> 'subject' = session.subject
            AND task.finished_at IS NULL AND NOT (task.status = 'waiting' AND
                greatest((task.waiting_for ->> 'since')::timestamptz, task.claimed_at)
                    < statement_timestamp() - make_interval(secs => %(idle)s))
        OFFSET 0)
"""
"""Whether a `session` has a task that works: that has not ended, and has not waited for too long since it last ran."""

GOES_ON: LiteralString = """
    NOT EXISTS (
        SELECT FROM agent_tasks.tasks AS ended
        WHERE ended.id = job.task_id AND ended.status IN ('failed', 'cancelled', 'timeout'))
"""
"""Whether somebody may still complete a `job`: no step of a task that ended in such a way will."""

ALIVE: LiteralString = "session.began_at > statement_timestamp() - make_interval(secs => %(life)s)"

_OWN: LiteralString = """
    session.agent = %(agent)s AND session.tenant = %(tenant)s AND session.subject = %(subject)s
    AND session.id = %(session_id)s
"""

# The lock is the row's: of two invocations of a session at once the second waits here, and then sees the first's task.
_LOCK = """
    INSERT INTO agent_tasks.agentcore_sessions AS session (agent, tenant, subject, id)
    VALUES (%(agent)s, %(tenant)s, %(subject)s, %(session_id)s)
    ON CONFLICT (agent, tenant, subject, id) DO UPDATE SET id = excluded.id
"""

_LOOK = f"""
    SELECT {ALIVE} AS is_alive, {WORKS} AS works,
        session.invoked_at < statement_timestamp() - make_interval(secs => %(idle)s) AS is_idle,
        EXISTS (
            SELECT FROM agent_tasks.agentcore_jobs AS job
            WHERE job.session_id IS NOT NULL AND left(job.session_id, 256) = session.id AND job.session_id = session.id
                AND job.tenant = session.tenant AND job.subject = session.subject
                AND job.started_at > statement_timestamp() - make_interval(secs => %(life)s)
                AND {GOES_ON}) AS has_jobs
    FROM agent_tasks.agentcore_sessions AS session WHERE {_OWN}
"""

_INVOKED = f"""
    UPDATE agent_tasks.agentcore_sessions AS session
    SET invoked_at = clock_timestamp(), began_at = CASE WHEN %(anew)s THEN clock_timestamp() ELSE began_at END
    WHERE {_OWN}
"""

_OF_SESSION: LiteralString = """
    invocation.agent = %(agent)s AND invocation.tenant = %(tenant)s AND invocation.subject = %(subject)s
    AND invocation.session_id = %(session_id)s
"""

_UNREAD = f"""
    SELECT tasks.id FROM agent_tasks.agentcore_invocations AS invocation
    JOIN agent_tasks.tasks ON tasks.id = invocation.task_id
    WHERE {_OF_SESSION} AND tasks.finished_at IS NOT NULL AND invocation.read_at IS NULL
    ORDER BY tasks.id LIMIT 1
"""

_LAST = f"""
    SELECT {SNAPSHOT} FROM (
        SELECT * FROM agent_tasks.tasks
        WHERE session_id IS NOT NULL AND left(session_id, 256) = %(session_id)s AND session_id = %(session_id)s
            AND tenant = %(tenant)s AND identity ->> 'subject' = %(subject)s
        ORDER BY id DESC LIMIT 10000
    ) AS tasks WHERE parent_id IS NULL ORDER BY (finished_at IS NULL) DESC, id DESC LIMIT 1
"""

_NOTE = """
    INSERT INTO agent_tasks.agentcore_invocations (task_id, agent, tenant, subject, session_id)
    VALUES (%(task_id)s, %(agent)s, %(tenant)s, %(subject)s, %(session_id)s)
"""


_READ = """
    UPDATE agent_tasks.agentcore_invocations SET read_at = clock_timestamp()
    WHERE task_id = %(task_id)s AND read_at IS NULL
"""

_TASK = f"SELECT {SNAPSHOT} FROM agent_tasks.tasks WHERE id = %(task_id)s AND finished_at IS NOT NULL"


class _SessionRow(TypedDict):
    is_alive: bool
    is_idle: bool
    works: bool
    has_jobs: bool


def invoke(
    connection: Connection,
    runtime: Runtime,
    session_id: str,
    make: Callable[[], NewTask],
    *,
    ring_seconds: float,
    exclusive: bool,
) -> Invocation:
    """Start the task that `make` makes, in a transaction.

    `exclusive`: only where the session neither works nor has a result that nobody has read; the oldest of these is
    read by this. Raises what `make` raises.
    """
    values = runtime.values(session_id)
    connection.execute(_LOCK, values)
    session: _SessionRow | None = connection.execute(_LOOK, values).fetchone()
    assert session is not None
    works = session["works"] or session["has_jobs"]
    connection.execute(_INVOKED, {**values, "anew": not session["is_alive"] or (session["is_idle"] and not works)})
    if exclusive:
        if session["is_alive"] and works and (row := last_of(connection, runtime, session_id)):
            return Invocation("work", row)
        if (unread := _read(connection, values)) is not None:
            return Invocation("result", unread)
    task = make()
    (row,) = submit(connection, [task], ring_seconds=ring_seconds, entry=entry("submit", task.identity))
    if exclusive:
        connection.execute(_NOTE, {**values, "task_id": task.id})
    return Invocation("nothing", row)


def last_of(connection: Connection, runtime: Runtime, session_id: str) -> Row | None:
    """Return the newest task of a session among those that have not ended, else the newest of all."""
    return connection.execute(_LAST, runtime.values(session_id)).fetchone()


def _read(connection: Connection, values: dict[str, Any]) -> Row | None:
    unread: dict[str, UUID] | None = connection.execute(_UNREAD, values).fetchone()
    return read(connection, unread["id"]) if unread else None


def read(connection: Connection, task_id: UUID) -> Row | None:
    """Note that its session has read the result of a task that has ended; return the task. Retention stays as it is."""
    connection.execute(_READ, {"task_id": task_id})
    return connection.execute(_TASK, {"task_id": task_id}).fetchone()


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete sessions that nobody has invoked for `seconds`, at most `limit`; their results are kept with the tasks."""
    return connection.execute(
        """
        DELETE FROM agent_tasks.agentcore_sessions WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM agent_tasks.agentcore_sessions
            WHERE invoked_at < statement_timestamp() - make_interval(secs => %s)
            ORDER BY invoked_at LIMIT %s FOR UPDATE SKIP LOCKED))
        """,
        [seconds, limit],
        prepare=False,
    ).rowcount
