import os

from celery import Celery

celery_app = Celery("worker", broker=os.environ["TEAM_REDIS_URL"], backend=os.environ["TEAM_RESULT_URL"])
celery_app.conf.task_routes = {"tests.apps.fastapi_template.worker.test_celery": "main-queue"}
if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(celery_app)
