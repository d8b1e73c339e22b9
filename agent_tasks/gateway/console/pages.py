"""The pages of the console."""

from agent_tasks.gateway.console import (
    agents,
    audit,
    bulks,
    deliveries,
    inbox,
    now,
    payloads,
    schedules,
    sessions,
    task,
    tasks,
    workers,
)
from agent_tasks.gateway.console.looks import LIST_WORKERS, READ_PAYLOADS
from agent_tasks.gateway.console.page import Page
from agent_tasks.gateway.operations import OPERATIONS

TASK = Page("task", "/tasks/{id}", OPERATIONS["get_task"], task.look, is_of_task=True)
BULKS = Page("bulks", "/bulk", OPERATIONS["list_bulks"], bulks.look)
AGENTS = Page("agents", "/agents", OPERATIONS["list_agents"], agents.look, is_live=False)

PAGES = (
    Page("now", "", OPERATIONS["list_tasks"], now.look),
    Page("tasks", "/tasks", OPERATIONS["list_tasks"], tasks.look),
    Page("inbox", "/inbox", OPERATIONS["list_waiting"], inbox.look),
    TASK,
    Page("payloads", "/tasks/{id}/payloads", READ_PAYLOADS, payloads.look, is_of_task=True, is_live=False),
    Page("sessions", "/sessions", OPERATIONS["list_tasks"], sessions.look),
    Page("schedules", "/schedules", OPERATIONS["list_schedules"], schedules.look),
    AGENTS,
    BULKS,
    Page("workers", "/workers", LIST_WORKERS, workers.look),
    Page("deliveries", "/deliveries", OPERATIONS["list_deliveries"], deliveries.look),
    Page("audit", "/audit", OPERATIONS["get_audit"], audit.look, is_live=False),
)
