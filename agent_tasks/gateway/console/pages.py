"""The pages of the console."""

from agent_tasks.gateway.console import inbox, now, payloads, task, tasks
from agent_tasks.gateway.console.looks import READ_PAYLOADS
from agent_tasks.gateway.console.page import Page
from agent_tasks.gateway.operations import OPERATIONS

TASK = Page("task", "/tasks/{id}", OPERATIONS["get_task"], task.look, is_of_task=True)

PAGES = (
    Page("now", "", OPERATIONS["list_tasks"], now.look),
    Page("tasks", "/tasks", OPERATIONS["list_tasks"], tasks.look),
    Page("inbox", "/inbox", OPERATIONS["list_waiting"], inbox.look),
    TASK,
    Page("payloads", "/tasks/{id}/payloads", READ_PAYLOADS, payloads.look, is_of_task=True, is_live=False),
)
