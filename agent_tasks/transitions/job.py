"""nothing → nothing: jobs beside the tasks, each of which keeps an AgentCore runtime busy until it is completed."""

from agent_tasks.authoring.place import Place
from agent_tasks.store.database import Connection

# What an earlier try of the same step has added, and did not live to complete, goes.
_ADD = """
    WITH left_behind AS (
        DELETE FROM agent_tasks.agentcore_jobs
        WHERE task_id = %(task_id)s::uuid AND step_number = %(step_number)s::integer AND run < %(run)s::integer
    )
    INSERT INTO agent_tasks.agentcore_jobs (
        name, metadata, task_id, step_number, run, tenant, subject, session_id)
    VALUES (%(name)s, %(metadata)s::jsonb, %(task_id)s, %(step_number)s, %(run)s, %(tenant)s, %(subject)s,
        %(session_id)s)
    RETURNING id
"""


def add(connection: Connection, name: str, metadata: str | None, place: Place | None) -> int:
    """Begin a job, of the session of the step that is running at `place`; returns its id. `metadata` is JSON text."""
    identity = place.identity if place else None
    values = {
        "name": name,
        "metadata": metadata,
        "task_id": place.task_id if place else None,
        "step_number": place.step_number if place else None,
        "run": place.run if place else None,
        "tenant": identity.tenant if identity else None,
        "subject": identity.subject if identity else None,
        "session_id": place.session_id if place else None,
    }
    row: dict[str, int] | None = connection.execute(_ADD, values).fetchone()
    assert row is not None
    return row["id"]


def complete(connection: Connection, job_id: int) -> bool:
    """End a job; False where there is none of this id any more."""
    return connection.execute("DELETE FROM agent_tasks.agentcore_jobs WHERE id = %s", [job_id]).rowcount > 0


def purge(connection: Connection, *, limit: int, seconds: float) -> int:
    """Delete jobs that began more than `seconds` ago, at most `limit`: whoever was to complete them is gone."""
    return connection.execute(
        """
        DELETE FROM agent_tasks.agentcore_jobs WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM agent_tasks.agentcore_jobs
            WHERE started_at < statement_timestamp() - make_interval(secs => %s)
            ORDER BY started_at LIMIT %s FOR UPDATE SKIP LOCKED))
        """,
        [seconds, limit],
        prepare=False,
    ).rowcount
