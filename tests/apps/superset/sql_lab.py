from celery.exceptions import SoftTimeLimitExceeded
from flask import current_app

from .extensions import celery_app


@celery_app.task(name="sql_lab.get_sql_results", bind=True, time_limit=90, soft_time_limit=60)
def get_sql_results(ctask, query: str) -> list[str]:
    try:
        return [query] * current_app.config["ROW_LIMIT"]
    except SoftTimeLimitExceeded:
        return []
