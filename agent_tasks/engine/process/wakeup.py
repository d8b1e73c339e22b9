"""Celery's event loop looks for a message at once where it can take one again: it would sleep for up to a second."""

from typing import Any


def wake_when_freed(pool: Any, hub: Any) -> None:
    """Wake Celery's event loop after each task of a pool of threads.

    While all slots are taken, `worker_disable_prefetch` takes the queue off the loop, which then sleeps for a
    second unless something wakes it. The children of a prefork pool do, with their results; threads do not.
    """
    apply = pool.on_apply

    def on_apply(*args: Any, **kwargs: Any) -> Any:
        result = apply(*args, **kwargs)
        result.f.add_done_callback(lambda _: wake(hub))
        return result

    pool.on_apply = on_apply


def wake(hub: Any) -> None:
    """Wake the loop, from any thread."""
    hub.call_soon(_nothing)


def _nothing() -> None:
    """Do nothing: the loop is to wake up, no more."""
