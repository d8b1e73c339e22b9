"""The pools of Celery's workers, and which of them steps can run in."""

from collections.abc import Mapping
from typing import Any

from celery.concurrency import get_implementation

from agent_tasks.engine.process.green_loop import greenlets_are_threads
from agent_tasks.errors import InvalidInput

_PREFORK, _THREADS, _GEVENT = (f"celery.concurrency.{name}" for name in ("prefork", "thread", "gevent"))


def is_prefork(conf: Any, options: Mapping[str, Any]) -> bool:
    return _PREFORK in _modules(conf, options)


def is_for_one_message(conf: Any, options: Mapping[str, Any]) -> bool:
    """Whether each child of a prefork pool takes one message only."""
    return (options.get("max_tasks_per_child") or conf.worker_max_tasks_per_child) == 1


def check_pool(conf: Any, options: Mapping[str, Any]) -> None:
    """Raise InvalidInput, saying what to do, for the pool of a worker in which no steps can be run."""
    modules = _modules(conf, options)
    if _PREFORK in modules:
        if (conf.get("worker_pool_start_method") or "fork") != "fork":
            raise InvalidInput(
                "the children of its pool begin as new programs, without our part: leave out worker_pool_start_method, "
                "or start it with -P threads",
                field="worker_pool_start_method",
            )
    elif _GEVENT in modules:
        if not greenlets_are_threads():
            raise InvalidInput(
                "gevent has not patched this process: name the pool on the command line, as -P gevent, and not in the "
                "app's configuration",
                field="worker_pool",
            )
    elif _THREADS not in modules:
        raise InvalidInput(
            f"steps run in the pools prefork, threads and gevent, and its pool is {modules[0].rpartition('.')[2]}: "
            "start it with -P prefork, -P threads or -P gevent, or run a worker for steps beside it",
            field="worker_pool",
        )


def _modules(conf: Any, options: Mapping[str, Any]) -> list[str]:
    """Return the modules of the pool's class and of those that it is made from, the class's own first."""
    pool = get_implementation(options.get("pool") or options.get("pool_cls") or conf.worker_pool)
    return [kind.__module__ for kind in pool.__mro__]
