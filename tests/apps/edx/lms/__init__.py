from .celery import APP as CELERY_APP

__all__ = ("CELERY_APP",)
app = CELERY_APP
