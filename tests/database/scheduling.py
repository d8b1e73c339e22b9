"""Who schedules in the tests, and what they look at."""

from agent_tasks import AgentTasks, Identity
from agent_tasks.sweeps.schedules import run_once
from tests.database import Row, query

ANA = Identity(subject="ana", tenant="acme", scopes=("write",))
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))


def overdue(client: AgentTasks, seconds: float = 0.001, name: str = "echo") -> None:
    """It should have fired so long ago."""
    sql = "UPDATE agent_tasks.schedules SET next_at = clock_timestamp() - make_interval(secs => %s) WHERE name = %s"
    query(client, sql, seconds, name)


def row_named(client: AgentTasks, name: str = "echo") -> Row:
    return query(client, "SELECT * FROM agent_tasks.schedules WHERE name = %s", name)[0]


def tasks(client: AgentTasks) -> list[Row]:
    return query(client, "SELECT * FROM agent_tasks.tasks ORDER BY id")


def seconds_ahead(client: AgentTasks, name: str = "echo") -> float:
    sql = (
        "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 AS s FROM agent_tasks.schedules WHERE name = %s"
    )
    return query(client, sql, name)[0]["s"]


def fired(client: AgentTasks) -> int:
    """Sweep until nothing is due; how many tasks there are."""
    while run_once(client):
        pass
    return len(tasks(client))
