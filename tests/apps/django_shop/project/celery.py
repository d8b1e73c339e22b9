"""The Celery app of the shop, as Django's guide of Celery has it, and our one line."""

import os

from celery import Celery

from agent_tasks.celery import install

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
install(app)
