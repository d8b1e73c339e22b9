import os

SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = ["tests.apps.django_guide.demoapp"]

CELERY_BROKER_URL = os.environ["TEAM_REDIS_URL"]
CELERY_RESULT_BACKEND = os.environ["TEAM_RESULT_URL"]
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
