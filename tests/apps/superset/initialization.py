import os
from typing import Any

from flask import Flask

from .config import CeleryConfig
from .extensions import celery_app


def create_app() -> Flask:
    app = Flask("superset")
    app.config["ROW_LIMIT"] = 3
    celery_app.config_from_object(CeleryConfig)
    celery_app.set_default()
    task_base: Any = celery_app.Task

    class AppContextTask(task_base):
        abstract = True

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return task_base.__call__(self, *args, **kwargs)

    celery_app.Task = AppContextTask
    if os.environ.get("WITH_AGENT_TASKS"):
        from agent_tasks.celery import install

        install(celery_app)
    return app
