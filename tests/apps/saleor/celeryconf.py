import logging
import os

from celery import Celery
from celery.signals import setup_logging

CELERY_LOGGER_NAME = "celery"


@setup_logging.connect
def setup_celery_logging(loglevel=None, **kwargs):
    """Skip default Celery logging configuration."""
    logging.basicConfig(level=logging.INFO)
    if loglevel:
        logging.getLogger(CELERY_LOGGER_NAME).setLevel(loglevel)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.saleor.settings")

app = Celery("saleor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(packages=["tests.apps.saleor.shop"], related_name="search_tasks")
if os.environ.get("WITH_AGENT_TASKS"):
    from agent_tasks.celery import install

    install(app)
