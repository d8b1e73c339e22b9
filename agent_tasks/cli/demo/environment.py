"""The demo's environment: the user's own, without what would change its servers and settings."""

import os
from collections.abc import Generator
from contextlib import contextmanager

_DROPPED = ("DATABASE_URL", "REDIS_URL")
_DROPPED_PREFIXES = ("AGENT_TASKS_", "CELERY_", "FLOWER_", "PG")
_KEPT = "AGENT_TASKS_MODEL"


@contextmanager
def only_for_models() -> Generator[None]:
    """Unset our settings, except the model's name, within the `with`; models' keys have other names, and stay."""
    dropped = {
        name: value
        for name, value in os.environ.items()
        if name in _DROPPED or (name.startswith(_DROPPED_PREFIXES) and name != _KEPT)
    }
    for name in dropped:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(dropped)
