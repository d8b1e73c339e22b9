"""After fastapi/full-stack-fastapi-template, `app/core/celery_app.py` and `app/worker.py`, when it had Celery."""
