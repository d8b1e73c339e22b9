"""The worker process: `celery -A workers worker`."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`app` is made when Celery asks for it, so that importing a bundled agent starts no worker."""
    if name == "app":
        from workers.application import make_worker_app

        globals()["app"] = app = make_worker_app()
        return app
    raise AttributeError(name)
