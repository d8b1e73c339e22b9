"""After "First steps with Django" of Celery's documentation, and celery/celery's `examples/django`."""
