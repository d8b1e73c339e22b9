"""After openedx/edx-platform, `lms/celery.py`, `lms/envs` and `lib/celery/routers.py`: old names, a router, gzip."""
