import os

from kombu import Exchange, Queue

BROKER_URL = os.environ["TEAM_REDIS_URL"]
BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
CELERY_TASK_PROTOCOL = 1
CELERY_EAGER_PROPAGATES_EXCEPTIONS = True
CELERY_IGNORE_RESULT = True
CELERY_SEND_EVENTS = False
CELERY_RESULT_BACKEND = None
CELERY_TASK_RESULT_EXPIRES = 1
CELERY_DISABLE_RATE_LIMITS = True
CELERY_DEFAULT_QUEUE = "default"
CELERY_DEFAULT_EXCHANGE = "default"
CELERY_DEFAULT_EXCHANGE_TYPE = "direct"
CELERY_DEFAULT_ROUTING_KEY = "default"
CELERY_CREATE_MISSING_QUEUES = True
CELERY_REDIRECT_STDOUTS = False
CELERYD_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SERIALIZER = "pickle"
CELERY_RESULT_SERIALIZER = "pickle"
CELERY_ACCEPT_CONTENT = {"pickle"}
CELERY_IMPORTS = ("tests.apps.sentry.tasks",)
default_exchange = Exchange("default", type="direct")
CELERY_QUEUES = [
    Queue("default", routing_key="default"),
    *[
        Queue(name, routing_key=name)
        for name in ("activity.notify", "alerts", "events.save_event", "events.process_event", "reports.prepare")
    ],
]
