"""The pages of the console."""

from agent_tasks.gateway.console import (
    agents,
    audit,
    bulks,
    deliveries,
    inbox,
    limits,
    now,
    payloads,
    schedules,
    session,
    sessions,
    task,
    tasks,
    workers,
)
from agent_tasks.gateway.console.looks import LIST_WORKERS, READ_PAYLOADS
from agent_tasks.gateway.console.page import Page
from agent_tasks.gateway.operations import OPERATIONS

TASK = Page("task", "/tasks/{id}", OPERATIONS["get_task"], task.look, is_of_task=True, reads=task.READS)
BULKS = Page("bulks", "/bulk", OPERATIONS["list_bulks"], bulks.look)
AGENTS = Page("agents", "/agents", OPERATIONS["list_agents"], agents.look, is_live=False)

PAGES = (
    Page("now", "", OPERATIONS["list_tasks"], now.look),
    Page("tasks", "/tasks", OPERATIONS["list_tasks"], tasks.look, reads=tasks.READS),
    Page("inbox", "/inbox", OPERATIONS["list_waiting"], inbox.look, reads=inbox.READS),
    TASK,
    Page(
        "payloads",
        "/tasks/{id}/payloads",
        READ_PAYLOADS,
        payloads.look,
        is_of_task=True,
        is_live=False,
        reads=task.READS,
    ),
    Page("sessions", "/sessions", OPERATIONS["list_tasks"], sessions.look),
    Page("session", "/session", OPERATIONS["list_tasks"], session.look, reads=session.READS),
    Page("limits", "/limits", OPERATIONS["list_agents"], limits.look),
    Page("schedules", "/schedules", OPERATIONS["list_schedules"], schedules.look),
    AGENTS,
    BULKS,
    Page("workers", "/workers", LIST_WORKERS, workers.look),
    Page("deliveries", "/deliveries", OPERATIONS["list_deliveries"], deliveries.look, reads=deliveries.READS),
    Page("audit", "/audit", OPERATIONS["get_audit"], audit.look, is_live=False, reads=audit.READS),
)
