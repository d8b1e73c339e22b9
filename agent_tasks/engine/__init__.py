"""Running steps: what `celery -A agent_tasks.engine worker` is made of."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`app` is made when Celery asks for it, so that importing a module from here starts nothing."""
    if name == "app":
        from agent_tasks.engine.process.application import make_worker_app

        globals()["app"] = app = make_worker_app()
        return app
    raise AttributeError(name)
