import hashlib
import hmac
import os
import pickle

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun
from kombu.serialization import register

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.paperless.settings")
KEY = b"only for tests"


def signed_dumps(value: object) -> bytes:
    data = pickle.dumps(value)
    return hmac.digest(KEY, data, hashlib.sha256) + data


def signed_loads(payload: bytes) -> object:
    signature, data = bytes(payload[:32]), bytes(payload[32:])
    if not hmac.compare_digest(signature, hmac.digest(KEY, data, hashlib.sha256)):
        raise ValueError("the signature is wrong")
    return pickle.loads(data)


register("signed-pickle", signed_dumps, signed_loads, "application/x-signed-pickle", "binary")
app = Celery("paperless")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
TRACKED = "tests.apps.paperless.documents.tasks."


def track(word: str, name: str, task_id: str) -> None:
    if name.startswith(TRACKED):
        with open(os.path.join(os.environ["TEAM_FOLDER"], "tracked"), "a") as file:
            file.write(f"{word} {name.removeprefix(TRACKED)} {task_id}\n")


@before_task_publish.connect
def before_publish(headers=None, sender=None, **kwargs):
    track("pending", sender, headers["id"])


@task_prerun.connect
def prerun(task_id=None, task=None, **kwargs):
    track("started", task.name, task_id)


@task_postrun.connect
def postrun(task_id=None, task=None, state=None, **kwargs):
    track(state.lower(), task.name, task_id)


if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(app)
