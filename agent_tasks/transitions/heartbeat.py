"""running → running: one statement keeps all leases of a process, another says that it lives."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import GIVEN_IDS

# A row that somebody else has locked is passed over, so that it costs no lease but its own. What waits for whole tables
# (a migration) is ended by Postgres after `seconds`; so is a process that is stopped before it commits: it would hold
# the rows of its own steps, and nobody could take these over.
_BOUND = """
    SELECT set_config('statement_timeout', %(limit)s, true),
        set_config('idle_in_transaction_session_timeout', %(limit)s, true)
"""

_HEARTBEAT = f"""
    WITH claims AS (
        SELECT * FROM unnest(%(ids)b::uuid[], %(runs)s::int[]) AS claims (id, run)
    ), kept AS (
        SELECT tasks.id FROM agent_tasks.tasks JOIN claims USING (id)
        WHERE {GIVEN_IDS} AND tasks.run = claims.run AND tasks.status = 'running' FOR NO KEY UPDATE OF tasks SKIP LOCKED
    ), extended AS (
        UPDATE agent_tasks.tasks SET due_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
        WHERE id = ANY (ARRAY(SELECT id FROM kept))
    )
    SELECT claims.id, kept.id IS NOT NULL AS kept
    FROM claims JOIN agent_tasks.tasks USING (id) LEFT JOIN kept USING (id)
    WHERE {GIVEN_IDS} AND tasks.run = claims.run AND tasks.status = 'running'
"""


class _KeptRow(TypedDict):
    id: UUID
    kept: bool


_SIGN_ON = """
    INSERT INTO agent_tasks.workers (id, hostname, pid, queues, steps, keys, signatures, bells)
    VALUES (%(worker)s, %(hostname)s, %(pid)s, %(queues)s, %(steps)s, %(keys)s, %(signatures)s, %(bells)s)
    ON CONFLICT (id) DO UPDATE SET
        started_at = CASE WHEN workers.stopped_at IS NULL THEN workers.started_at ELSE clock_timestamp() END,
        seen_at = clock_timestamp(), stopped_at = NULL, queues = excluded.queues, steps = excluded.steps,
        keys = excluded.keys, signatures = excluded.signatures, bells = excluded.bells
"""


@dataclass(frozen=True)
class WorkerRecord:
    """A worker process as it describes itself."""

    id: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    steps: tuple[str, ...]
    keys: tuple[str, ...] = ()
    """Fingerprints of the keys it verifies with; the one it signs with first."""
    signatures: tuple[str, ...] | None = None
    """Which arguments each of `steps` takes; None where it does not say."""
    bells: str | None = None
    """Where it takes bells from."""


def heartbeat(
    connection: Connection, claims: Sequence[tuple[UUID, int]], *, lease_seconds: float, seconds: float
) -> dict[UUID, bool]:
    """Extend the leases of these (task, run); returns those still owned, and whether each was extended.

    Those that are missing were lost; False stands for a row that somebody else has locked: try again soon. Postgres
    ends the statement after `seconds`.
    """
    values = {
        "ids": [task_id for task_id, _ in claims],
        "runs": [run for _, run in claims],
        "lease_seconds": lease_seconds,
    }
    with _bounded(connection, seconds):
        rows: list[_KeptRow] = connection.execute(_HEARTBEAT, values).fetchall()
    return {row["id"]: row["kept"] for row in rows}


def sign_on(connection: Connection, worker: WorkerRecord, *, seconds: float) -> None:
    """Note that a worker lives, and what it serves. Postgres ends the statement after `seconds`."""
    values = {
        "worker": worker.id,
        "hostname": worker.hostname,
        "pid": worker.pid,
        "queues": list(worker.queues),
        "steps": list(worker.steps),
        "keys": list(worker.keys),
        "signatures": None if worker.signatures is None else list(worker.signatures),
        "bells": worker.bells,
    }
    with _bounded(connection, seconds):
        connection.execute(_SIGN_ON, values)


@contextmanager
def _bounded(connection: Connection, seconds: float) -> Generator[None]:
    with connection.transaction():
        connection.execute(_BOUND, {"limit": str(max(1, round(seconds * 1000)))})
        yield


def sign_off(connection: Connection, worker_id: str) -> None:
    """Note that a worker has stopped: what it served has no owner from now on."""
    connection.execute(
        "UPDATE agent_tasks.workers SET stopped_at = clock_timestamp(), seen_at = clock_timestamp() WHERE id = %s",
        [worker_id],
    )


def forget_dead(connection: Connection, *, seconds: float) -> int:
    """Forget workers that were silent for so long."""
    return connection.execute(
        "DELETE FROM agent_tasks.workers WHERE seen_at < clock_timestamp() - make_interval(secs => %s)", [seconds]
    ).rowcount
