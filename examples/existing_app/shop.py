"""A Celery app as a team has it, with a task of its own. New in it are the last two lines."""

import os

from celery import Celery

app = Celery("shop", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.update(task_acks_late=True, task_time_limit=300, broker_connection_retry_on_startup=True)


@app.task
def send_mail(to: str, text: str) -> str:
    print(f"mail to {to}: {text}", flush=True)
    return to


from agent_tasks.celery import install  # noqa: E402

install(app)
