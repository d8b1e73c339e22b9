"""Who pauses in the tests, and what they look at."""

from uuid import UUID

from agent_tasks import AgentTasks, Identity
from agent_tasks.sweeps.sweeper import Sweeper
from tests.database import all_of, query, try_claim

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="other", scopes=("tasks:all",))


def events_of(client: AgentTasks, task_id: UUID) -> list[str]:
    return [event["type"] for event in all_of(client, task_id)["events"]]


def is_claimed(client: AgentTasks, task_id: UUID) -> bool:
    return try_claim(client, task_id) is not None


def swept(sweeper: Sweeper, name: str | None = None) -> dict[str, int]:
    """The sweeps that moved anything, and how much."""
    moved = sweeper.run_due() if name is None else sweeper.run(name)
    return {each: number for each, number in moved.items() if number}


def put_off(client: AgentTasks) -> list[UUID]:
    rows = query(client, "SELECT id FROM agent_tasks.tasks WHERE put_off_by IS NOT NULL AND finished_at IS NULL")
    return [row["id"] for row in rows]


def later(client: AgentTasks, task_id: UUID, seconds: float) -> None:
    """Let a wait and the pauses that hold have begun so many seconds earlier, as if that time had passed."""
    back = "- make_interval(secs => %s)"
    sql = f"UPDATE agent_tasks.pauses SET began_at = began_at {back}, ended_at = ended_at {back}"
    query(client, sql, seconds, seconds)
    query(
        client,
        """
        UPDATE agent_tasks.tasks SET due_at = due_at - make_interval(secs => %(s)s), waiting_for = waiting_for
            || jsonb_build_object('since', (waiting_for ->> 'since')::timestamptz - make_interval(secs => %(s)s),
                'until', (waiting_for ->> 'until')::timestamptz - make_interval(secs => %(s)s))
        WHERE id = %(id)s
        """.replace("%(s)s", f"{seconds}").replace("%(id)s", f"'{task_id}'"),
    )
