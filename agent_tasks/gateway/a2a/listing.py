"""ListTasks: a page of the tasks that the caller may see, the newest first."""

from datetime import UTC, datetime

from a2a.types import a2a_pb2 as a2a
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.task import validate_page_size

from agent_tasks.client.client import AgentTasks
from agent_tasks.client.listing import Page
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.a2a.history import history_of
from agent_tasks.gateway.a2a.skills import Skills
from agent_tasks.gateway.a2a.tasks import changed_at, state_of, task_of
from agent_tasks.gateway.arrival import Caller
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus
from agent_tasks.task.task_filter import TaskFilter

_MOST_WHOLE = 10
"""Tasks of a page with artifacts or messages, each of which may be as large as a payload."""
_MOST_LOOKS = 10
"""Pages of the store that are looked through for one of the protocol's, until something is found."""
_STATUS = {
    a2a.TASK_STATE_SUBMITTED: TaskStatus.PENDING,
    a2a.TASK_STATE_COMPLETED: TaskStatus.COMPLETED,
    a2a.TASK_STATE_CANCELED: TaskStatus.CANCELLED,
    a2a.TASK_STATE_INPUT_REQUIRED: TaskStatus.WAITING,
}
"""States that are one of ours, or a part of one."""


def list_tasks(
    client: AgentTasks, skills: Skills, asked: a2a.ListTasksRequest, caller: Caller
) -> a2a.ListTasksResponse:
    """A page of tasks. It may be short, or empty, and still have a next one. Raises InvalidInput."""
    size = asked.page_size if asked.HasField("page_size") else DEFAULT_LIST_TASKS_PAGE_SIZE
    validate_page_size(size)
    wanted = TaskFilter(status=_STATUS.get(asked.status), session_id=asked.context_id or None)
    length = asked.history_length if asked.HasField("history_length") else 0
    limit = min(size, _MOST_WHOLE) if length or asked.include_artifacts else size
    found: list[TaskSnapshot] = []
    page = Page(tasks=[], next=asked.page_token or None)
    for _ in range(_MOST_LOOKS):
        page = _page(client, wanted, limit, page.next, caller)
        found = [task for task in page.tasks if task.agent not in skills.hidden and _is_meant(task, asked)]
        if found or page.next is None:
            break
    found.sort(key=_changed_at, reverse=True)
    answer = a2a.ListTasksResponse(
        next_page_token=page.next or "", page_size=size, total_size=len(found) + (page.next is not None)
    )
    with client.database.connection() as connection:
        for task in found:
            told = task_of(task, skills.by_agent.get(task.agent), artifacts=asked.include_artifacts)
            told.history.extend(history_of(connection, task, length))
            answer.tasks.append(told)
    return answer


def _page(client: AgentTasks, wanted: TaskFilter, size: int, after: str | None, caller: Caller) -> Page:
    try:
        return client.search(wanted, limit=size, after=after, identity=caller.viewer)
    except InvalidInput as error:
        if error.details.get("field") != "after":
            raise
        raise InvalidInput(
            "pageToken is none of this list: give the nextPageToken of the page before, as it is, or leave it out.",
            field="pageToken",
        ) from None


def _is_meant(task: TaskSnapshot, asked: a2a.ListTasksRequest) -> bool:
    if asked.status != a2a.TASK_STATE_UNSPECIFIED and state_of(task) != asked.status:
        return False
    if not asked.HasField("status_timestamp_after"):
        return True
    since = asked.status_timestamp_after.ToDatetime(UTC)
    return _changed_at(task) >= since


def _changed_at(task: TaskSnapshot) -> datetime:
    return changed_at(task).ToDatetime(UTC)
