import os

from celery import Celery

from .default_celery import DEFAULT_CELERY_CONFIG

app = Celery("airflow.executors.celery_executor", config_source=DEFAULT_CELERY_CONFIG)


@app.task(name="execute_command")
def execute_command(command: list[str]) -> str:
    return " ".join(command)


@app.task(name="execute_failing")
def execute_failing() -> None:
    raise RuntimeError("Celery command failed")


if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(app)
