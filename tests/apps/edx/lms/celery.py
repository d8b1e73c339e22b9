import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.edx.settings")
APP = Celery("proj")
APP.conf.task_protocol = 1
APP.config_from_object("django.conf:settings")
APP.autodiscover_tasks()
if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(APP)


def route_task(name, args, kwargs, options, task=None, **kw):
    """If None is returned from this method, default routing logic is used."""
    from django.conf import settings

    return settings.EXPLICIT_QUEUES.get(name)
