"""The clock and the sweeps: `celery -A beat beat` sends the ticks, `celery -A beat worker` does the sweeping."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`app` is made when Celery asks for it."""
    if name == "app":
        from beat.application import make_beat_app

        globals()["app"] = app = make_beat_app()
        return app
    raise AttributeError(name)
