"""After apache/airflow's Celery provider, `executors/default_celery.py`: a dict, late acks, results in its database."""
