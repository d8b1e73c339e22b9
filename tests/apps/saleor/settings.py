import os
from datetime import timedelta

from psycopg.conninfo import conninfo_to_dict

_database = conninfo_to_dict(os.environ["TEAM_DATABASE_URL"])
SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["tests.apps.saleor.shop"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database["dbname"],
        "USER": _database.get("user", ""),
        "PASSWORD": _database.get("password", ""),
        "HOST": _database.get("host", ""),
        "PORT": _database.get("port", ""),
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 600,
    }
}

CELERY_TIMEZONE = TIME_ZONE
CELERY_BROKER_URL = os.environ.get("TEAM_REDIS_URL") or ""
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_RESULT_BACKEND = os.environ.get("TEAM_RESULT_URL")
CELERY_BEAT_SCHEDULE = {
    "delete-expired-orders": {
        "task": "tests.apps.saleor.shop.tasks.delete_expired_orders",
        "schedule": timedelta(days=1),
    },
}
