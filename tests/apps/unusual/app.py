import os

from celery import Celery

from . import celeryconfig
from .base import Base

app = Celery("unusual", task_cls=Base, strict_typing=False)
app.config_from_object(celeryconfig)
if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(app)
