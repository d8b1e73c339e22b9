import os
from datetime import timedelta

from kombu import Exchange, Queue

SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = ["tests.apps.posthog"]

CELERY_QUEUES = (Queue("celery", Exchange("celery"), "celery"),)
CELERY_DEFAULT_QUEUE = "celery"
CELERY_IMPORTS = ["tests.apps.posthog.tasks.usage"]
CELERY_BROKER_URL = os.environ["TEAM_REDIS_URL"]
CELERY_BEAT_MAX_LOOP_INTERVAL = 30
CELERY_RESULT_BACKEND = os.environ["TEAM_RESULT_URL"]
CELERY_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = timedelta(days=4)
