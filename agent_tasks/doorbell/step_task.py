"""The Celery task behind a bell or a tick: its options are its own, whatever an app's defaults are."""

from typing import Any

from celery import Task

_NO_LIMIT = 10 * 365 * 86_400.0


class StepTask(Task):
    """A task of which nothing hangs on Celery: leases in Postgres say who runs what, and the outcome is there.

    It is not of the app's own base class, and takes no option from the app's configuration or annotations.
    """

    abstract = True
    from_config: Any = ()
    typing = False
    acks_late = False
    ignore_result = True
    store_eager_result = False
    send_events = False  # an async step outlives its Celery task, and one that continues in place has none
    serializer = "json"
    track_started = False
    trail = False  # what a step sends is of no use to a message that is long forgotten

    @classmethod
    def annotate(cls) -> None:
        """Take nothing from `task_annotations`."""


def unlimited(*limits: Any) -> dict[str, float]:
    """Return the options of a task that no time limit is to end, where a worker has these for all of its tasks.

    (A prefork pool takes its own limit where a task has none, or 0.)
    """
    return {"time_limit": _NO_LIMIT, "soft_time_limit": _NO_LIMIT} if any(limits) else {}
