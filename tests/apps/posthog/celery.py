import os

from celery import Celery
from celery.schedules import crontab
from celery.signals import task_postrun, task_prerun

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.posthog.settings")
app = Celery("posthog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.broker_pool_limit = 0
request_information: dict[str, str] = {}


@app.on_after_configure.connect
def setup_periodic_tasks(sender: Celery, **kwargs):
    sender.add_periodic_task(10.0, redis_heartbeat.s(), name="10 sec heartbeat", priority=0)
    sender.add_periodic_task(crontab(day_of_week="mon", hour=0, minute=0), redis_heartbeat.s(), name="weekly")


@task_prerun.connect
def set_up_instrumentation(task_id, task, **kwargs):
    request_information.update(kind="celery", id=task.name)


@task_postrun.connect
def teardown_instrumentation(task_id, task, **kwargs):
    request_information.clear()


@app.task(ignore_result=False)
def redis_heartbeat() -> dict[str, str]:
    return dict(request_information)


if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(app)
