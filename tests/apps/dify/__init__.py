"""After langgenius/dify, `api/extensions/ext_celery.py`: a factory, a FlaskTask base, queues by task."""
