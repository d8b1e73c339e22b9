"""What can be asked of the gateway, and which scope each of it takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One thing that a caller can ask for, whichever door it comes through."""

    name: str
    """In the audit a write has the same, whichever door it came through, or that of `written_as`."""
    scope: str
    """The scope that it takes; `admin` grants all of them. Empty: it takes none."""
    writes: bool = False
    """It changes something, so it is audited."""
    opens: bool = False
    """It opens a task, which counts towards what a tenant may have open."""
    written_as: str = ""
    """Its name in the audit, where another operation has it, too; empty: its own."""


SHOW_HOOK = Operation("show_hook", "")
"""Looking at what a hook asks for; answering it is the operation `signal`. Its URL is the right to both."""

BULK_SCOPES = {
    "cancel": "tasks:cancel",
    "signal": "tasks:signal",
    "resume": "tasks:write",
    "acknowledge": "tasks:write",
    "prioritise": "tasks:write",
    "move": "tasks:write",
    "purge": "admin",
}
"""The scope that each operation on many tasks takes beside that of looking at them."""

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("submit", "tasks:write", writes=True, opens=True),
        Operation("resume", "tasks:write", writes=True, opens=True),
        Operation("acknowledge", "tasks:write", writes=True),
        Operation("schedule", "tasks:write", writes=True),
        Operation("unschedule", "tasks:write", writes=True),
        Operation("pause_schedule", "tasks:write", writes=True),
        Operation("unpause_schedule", "tasks:write", writes=True),
        Operation("trigger_schedule", "tasks:write", writes=True, opens=True),
        Operation("pause", "tasks:write", writes=True),
        Operation("unpause", "tasks:write", writes=True),
        Operation("begin_pause", "tasks:write", writes=True, written_as="pause"),
        Operation("end_pause", "tasks:write", writes=True, written_as="unpause"),
        Operation("list_pauses", "tasks:read"),
        Operation("cancel", "tasks:cancel", writes=True),
        Operation("signal", "tasks:signal", writes=True),
        Operation("bulk", "tasks:read", writes=True),
        Operation("stop_bulk", "tasks:read", writes=True),
        Operation("get_bulk", "tasks:read"),
        Operation("list_bulks", "tasks:read"),
        Operation("put_webhook", "tasks:write", writes=True),
        Operation("rotate_webhook", "tasks:write", writes=True),
        Operation("enable_webhook", "tasks:write", writes=True),
        Operation("disable_webhook", "tasks:write", writes=True),
        Operation("ping_webhook", "tasks:write", writes=True),
        Operation("remove_webhook", "tasks:write", writes=True),
        Operation("replay_delivery", "tasks:write", writes=True),
        Operation("replay_deliveries", "tasks:write", writes=True),
        Operation("put_alert", "admin", writes=True),
        Operation("remove_alert", "admin", writes=True),
        Operation("get_task", "tasks:read"),
        Operation("list_tasks", "tasks:read"),
        Operation("get_result", "tasks:read"),
        Operation("get_events", "tasks:read"),
        Operation("get_children", "tasks:read"),
        Operation("get_calls", "tasks:read"),
        Operation("get_logs", "tasks:read"),
        Operation("get_tree", "tasks:read"),
        Operation("list_waiting", "tasks:read"),
        Operation("get_spend", "tasks:read"),
        Operation("get_audit", "tasks:read"),
        Operation("list_agents", "tasks:read"),
        Operation("get_schedule", "tasks:read"),
        Operation("list_schedules", "tasks:read"),
        Operation("get_webhook", "tasks:read"),
        Operation("list_webhooks", "tasks:read"),
        Operation("list_deliveries", "tasks:read"),
        Operation("get_delivery", "tasks:read"),
        Operation("get_feed", "tasks:read"),
        Operation("get_alert", "admin"),
        Operation("list_alerts", "admin"),
        Operation("purge", "admin", writes=True),
        Operation("get_metrics", "admin"),
    )
}
