"""After PostHog/posthog, `posthog/celery.py` and `settings/celery.py`: Django, periodic tasks in code, signals."""
