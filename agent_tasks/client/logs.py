"""The log records of a task's steps, where they are kept (AGENT_TASKS_KEEP_LOGS)."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from agent_tasks.client.listing import LARGEST_PAGE
from agent_tasks.deployment import Deployment
from agent_tasks.task.arguments import LARGEST_BIGINT, check_whole
from agent_tasks.transitions import logs


class LogLine(BaseModel):
    """A log record of a step."""

    model_config = ConfigDict(frozen=True)

    seq: int
    """Its number: records of a task grow, with gaps."""
    at: datetime
    """By the clock of the machine that ran the step."""
    level: str
    """debug, info, warning, error or critical."""
    logger: str
    message: str
    """With the traceback, if the record had one; cut at 8,000 characters."""
    step: str
    step_number: int
    run: int
    """The run of the step: it grows with each claim."""


def find_logs(deployment: Deployment, task_id: UUID, *, limit: int, after: int) -> list[LogLine]:
    """Raise InvalidInput for a limit or a number that is none."""
    check_whole(limit, "limit", 1, LARGEST_PAGE)
    check_whole(after, "after", 0, LARGEST_BIGINT)  # all tasks share the numbers of their records
    with deployment.database.connection() as connection:
        return [LogLine.model_validate(row) for row in logs.read(connection, task_id, after=after, limit=limit)]
