"""Pages that are always in reach."""

from agent_tasks.task.scopes import Scope

NAVIGATION = (
    ("now", "Now", Scope.READ, ""),
    ("tasks", "Tasks", Scope.READ, "/tasks"),
    ("bulks", "Bulk", Scope.READ, "/bulk"),
    ("inbox", "Inbox", Scope.READ, "/inbox"),
    ("sessions", "Sessions", Scope.READ, "/sessions"),
    ("schedules", "Schedules", Scope.READ, "/schedules"),
    ("agents", "Agents", Scope.READ, "/agents"),
    ("workers", "Workers", Scope.ADMIN, "/workers"),
    ("deliveries", "Deliveries", Scope.READ, "/deliveries"),
    ("limits", "Limits", Scope.READ, "/limits"),
    ("audit", "Audit", Scope.READ, "/audit"),
)
"""The name of each page that is always in reach, what it is called, the scope that it takes, and its path."""
