import os

from celery import Celery
from celery.app.task import Task
from celery.worker.request import Request

from .conf import server

SENT: list[str] = []


class SentryRequest(Request):
    def __init__(self, message, **kwargs):
        super().__init__(message, **kwargs)
        self._request_dict["headers"] = message.headers


class SentryTask(Task):
    Request = "tests.apps.sentry.celery:SentryRequest"

    def apply_async(self, *args, **kwargs):
        SENT.append(self.name)
        return Task.apply_async(self, *args, **kwargs)


class SentryCelery(Celery):
    task_cls = SentryTask


app = SentryCelery("sentry")
app.config_from_object(server)
if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(app)
