"""After getsentry/sentry, `src/sentry/celery.py` and `conf/server.py`: only pickle, the old names, many queues."""
