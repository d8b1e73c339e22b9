import os

DATABASE = os.environ["TEAM_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
DEFAULT_CELERY_CONFIG = {
    "accept_content": ["json"],
    "event_serializer": "json",
    "worker_prefetch_multiplier": 1,
    "task_acks_late": True,
    "task_default_queue": "default",
    "task_default_exchange": "default",
    "task_track_started": True,
    "broker_url": os.environ["TEAM_REDIS_URL"],
    "broker_transport_options": {"visibility_timeout": 86400},
    "broker_connection_retry_on_startup": True,
    "result_backend": f"db+{DATABASE}",
    "database_engine_options": {"pool_pre_ping": True},
    "worker_concurrency": 16,
    "worker_enable_remote_control": True,
    "worker_redirect_stdouts": False,
    "worker_hijack_root_logger": False,
}
