import os
from datetime import timedelta

from celery import Celery, Task
from flask import Flask


def init_app(app: Flask) -> Celery:
    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(
        app.name, task_cls=FlaskTask, broker=os.environ["TEAM_REDIS_URL"], backend=os.environ["TEAM_RESULT_URL"]
    )
    celery_app.conf.update(
        result_backend=os.environ["TEAM_RESULT_URL"],
        broker_transport_options={},
        broker_connection_retry_on_startup=True,
        worker_log_format="%(asctime)s %(levelname)s %(message)s",
        worker_task_log_format="%(asctime)s %(levelname)s %(message)s",
        worker_hijack_root_logger=False,
        timezone="Asia/Shanghai",
        task_ignore_result=True,
    )
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    celery_app.conf.update(
        imports=["tests.apps.dify.tasks.documents", "tests.apps.dify.tasks.mail"],
        beat_schedule={
            "clean_embedding_cache_task": {
                "task": "tests.apps.dify.tasks.documents.clean_unused_datasets",
                "schedule": timedelta(days=1),
            }
        },
    )
    if os.environ.get("WITH_AGENT_TASKS"):
        from agent_tasks.celery import install

        install(celery_app)
    return celery_app
