import os
from typing import Any, ClassVar

from celery.schedules import crontab


class CeleryConfig:
    broker_url = os.environ["TEAM_REDIS_URL"]
    imports = ("tests.apps.superset.sql_lab", "tests.apps.superset.tasks.scheduler")
    result_backend = os.environ["TEAM_RESULT_URL"]
    worker_prefetch_multiplier = 10
    task_acks_late = True
    task_annotations: ClassVar[dict[str, Any]] = {
        "sql_lab.get_sql_results": {"rate_limit": "100/s"},
        "reports.execute": {"rate_limit": "100/s", "time_limit": 120, "soft_time_limit": 60},
    }
    beat_schedule: ClassVar[dict[str, Any]] = {
        "reports.scheduler": {
            "task": "reports.scheduler",
            "schedule": crontab(minute="*", hour="*"),
            "options": {"expires": 60},
        },
    }
