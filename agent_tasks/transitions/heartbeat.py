"""running → running: one statement keeps all leases of a process, and says that it lives."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from agent_tasks.database import Connection

# In the order in which all others lock, and waiting for them: a step that writes all the time keeps its lease, too.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

_HEARTBEAT = """
    WITH held AS (
        SELECT * FROM unnest(%(ids)s::uuid[], %(runs)s::int[]) AS held (id, run)
    ), kept AS (
        SELECT tasks.id FROM tasks JOIN held USING (id)
        WHERE tasks.run = held.run AND tasks.status = 'running' ORDER BY tasks.id FOR NO KEY UPDATE OF tasks
    ), extended AS (
        UPDATE tasks SET due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
        FROM kept WHERE tasks.id = kept.id
    ), worker AS (
        INSERT INTO workers (id, hostname, pid, queues, steps, keys)
        VALUES (%(worker)s, %(hostname)s, %(pid)s, %(queues)s, %(steps)s, %(keys)s)
        ON CONFLICT (id) DO UPDATE SET
            started_at = CASE WHEN workers.stopped_at IS NULL THEN workers.started_at ELSE clock_timestamp() END,
            seen_at = clock_timestamp(), stopped_at = NULL, queues = excluded.queues, steps = excluded.steps,
            keys = excluded.keys
    )
    SELECT held.id FROM held JOIN tasks USING (id) WHERE tasks.run = held.run AND tasks.status = 'running'
"""


@dataclass(frozen=True)
class WorkerRecord:
    """What a worker process tells of itself."""

    id: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    steps: tuple[str, ...]
    keys: tuple[str, ...] = ()
    """Fingerprints of the keys it verifies with; the one it signs with first."""


def heartbeat(
    connection: Connection, worker: WorkerRecord, held: Sequence[tuple[UUID, int]], *, lease_seconds: float
) -> set[UUID]:
    """Extend the leases of these (task, run); returns those still owned. The others were lost.

    Raises psycopg.errors.LockNotAvailable where a row is locked for more than two seconds: try again.
    """
    values = {
        "ids": [task_id for task_id, _ in held],
        "runs": [run for _, run in held],
        "lease_seconds": lease_seconds,
        "worker": worker.id,
        "hostname": worker.hostname,
        "pid": worker.pid,
        "queues": list(worker.queues),
        "steps": list(worker.steps),
        "keys": list(worker.keys),
    }
    with connection.transaction():
        connection.execute(_LOCK_TIMEOUT)
        return {row["id"] for row in connection.execute(_HEARTBEAT, values).fetchall()}


def sign_off(connection: Connection, worker_id: str) -> None:
    """Note that a worker has stopped: what it served has no owner from now on."""
    connection.execute(
        "UPDATE workers SET stopped_at = clock_timestamp(), seen_at = clock_timestamp() WHERE id = %s", [worker_id]
    )


def forget_dead(connection: Connection, *, seconds: float) -> int:
    """Forget workers that were silent for so long."""
    return connection.execute(
        "DELETE FROM workers WHERE seen_at < clock_timestamp() - make_interval(secs => %s)", [seconds]
    ).rowcount
