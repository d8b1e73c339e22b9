"""Due schedules: each firing submits one task, in the transaction that notes it."""

import json
import logging
from datetime import timedelta

from agent_tasks import metrics
from agent_tasks.client.client import AgentTasks
from agent_tasks.client.schedules import following, options_of
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Transient
from agent_tasks.store.rows import Row
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions import schedule
from agent_tasks.transitions.submit import NewTask, submit

log = logging.getLogger(__name__)
_AGAIN = timedelta(seconds=60)
"""How long until a schedule that could not submit its task is tried again."""


def run_once(client: AgentTasks) -> int:
    with client.database.connection() as connection:
        requests = {_kept(row): _request(client, row) for row in schedule.due(connection, limit=BATCH)}

    def fire(connection: Connection) -> tuple[tuple[int, list[str]], list[Row]]:
        rows: list[Row] = []
        # one that was changed meanwhile is another: it fires as it is now, with the next batch
        due = [row for row in schedule.due(connection, limit=BATCH) if _kept(row) in requests]
        for row in due:
            task = requests[_kept(row)]
            if task is None:
                schedule.fired(connection, row, next_at=row["now"] + _AGAIN, task_id=None)
                continue
            fires, next_at = following(row)
            if fires:
                rows += submit(connection, [task], ring_seconds=client.settings.ring_seconds)
                schedule.fired(connection, row, next_at=next_at, task_id=task.id)
            else:
                schedule.passed(connection, row, next_at=next_at)
        return (len(due), [row["agent"] for row in rows]), rows

    fired, agents = client.commit_for(fire)
    for agent in agents:
        metrics.SUBMITTED.labels(agent).inc()
    return fired


def _kept(row: schedule.DueRow) -> str:
    """All columns of a schedule that tell whether it is still the same."""
    return json.dumps({name: value for name, value in row.items() if name != "now"}, sort_keys=True, default=str)


def _request(client: AgentTasks, row: schedule.DueRow) -> NewTask | None:
    """Make the task of a firing; None where it cannot be made: the other schedules fire all the same."""
    sensitive = False
    try:
        following(row)
        options = options_of(row)
        target = client.find_target(row["agent"])
        sensitive = target.sensitive
        return client.new_task(target, row["input"], options.pop("budget"), **options)
    except Transient:
        raise
    except Exception as error:
        shown = type(error).__name__ if sensitive else error  # what it says may quote the input
        message = "schedule did not submit its task: schedule=%s agent=%s error=%s"
        log.error(message, row["name"], row["agent"], shown, exc_info=not sensitive)
        return None
