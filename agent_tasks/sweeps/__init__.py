"""The clock and the sweeps: `celery -A agent_tasks.sweeps beat` sends the ticks, `… worker` does the sweeping."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`app` is made when Celery asks for it, so that importing a module from here starts nothing."""
    if name == "app":
        from agent_tasks.sweeps.application import make_beat_app

        globals()["app"] = app = make_beat_app()
        return app
    raise AttributeError(name)
