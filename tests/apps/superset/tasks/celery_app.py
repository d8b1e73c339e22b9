"""This is the main entrypoint used by Celery workers."""

from ..extensions import celery_app
from ..initialization import create_app

flask_app = create_app()
app = celery_app
