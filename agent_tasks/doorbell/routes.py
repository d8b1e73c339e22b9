"""The queue of a step by the routes of the installed app."""

from typing import Any

from agent_tasks.doorbell.installed import installed


def routed_queue(task_name: str) -> str | None:
    """Return the queue that the app's `task_routes` name for a step's task; None if there is no such route, or no app.

    Raises what a router of the app's raises, as sending one of its tasks would.
    """
    ours = installed()
    if ours is None or not ours.app.conf.task_routes:
        return None
    route = ours.app.amqp.router.lookup_route(task_name, (), {}, {})
    queue: Any = route if isinstance(route, str) else (route or {}).get("queue")
    return getattr(queue, "name", queue) or None
