"""Due schedules: each firing submits one task, in the transaction that notes it."""

import logging

from agent_tasks.client import AgentTasks
from agent_tasks.errors import AgentTaskError
from agent_tasks.schedules import next_time, options_of
from agent_tasks.transitions import schedule
from agent_tasks.transitions.submit import submit
from beat.sweeps import BATCH

log = logging.getLogger(__name__)


def run_once(client: AgentTasks) -> int:
    rows = []
    with client.database.transaction() as connection:
        due = schedule.due(connection, limit=BATCH)
        for row in due:
            following = next_time(row["cron"], row["every_seconds"], row["timezone"], row["next_at"], row["now"])
            task_id = None
            try:
                options = options_of(row)
                task = client.new_task(client.find_target(row["agent"]), row["input"], options.pop("budget"), **options)
                rows += submit(connection, [task], ring_seconds=client.settings.ring_seconds)
                task_id = task.id
            except AgentTaskError as error:  # the agent is gone or has changed: the others must fire all the same
                log.error("schedule could not fire: schedule=%s error=%s", row["name"], error)
            schedule.fired(connection, row["name"], at=row["now"], next_at=following, task_id=task_id)
    client.publish(rows)
    return len(due)
