import os

from kombu import Exchange, Queue

from .serializer import CONTENT_TYPE

broker_url = os.environ["TEAM_REDIS_URL"]
broker_transport_options = {
    "global_keyprefix": "unusual:",
    "sep": "::",
    "priority_steps": list(range(10)),
    "queue_order_strategy": "priority",
    "visibility_timeout": 3600,
    "socket_keepalive": True,
    "health_check_interval": 5,
    **({"master_name": os.environ["TEAM_MASTER"]} if "TEAM_MASTER" in os.environ else {}),
}
broker_pool_limit = 1
broker_connection_retry_on_startup = True
result_backend = os.environ["TEAM_RESULT_URL"]
result_backend_transport_options = {"global_keyprefix": "unusual-results:"}
result_extended = True
result_serializer = "rot13"
result_accept_content = [CONTENT_TYPE]
accept_content = [CONTENT_TYPE]
task_serializer = "rot13"
task_compression = "zlib"
event_serializer = "rot13"
task_acks_late = True
task_reject_on_worker_lost = True
task_acks_on_failure_or_timeout = False
task_track_started = True
task_send_sent_event = True
task_store_errors_even_if_ignored = True
task_inherit_parent_priority = True
task_default_priority = 5
task_default_queue = "unusual.slow"
task_create_missing_queues = False
task_queues = [
    Queue(name, Exchange(name), routing_key=name)
    for name in ("unusual.slow", "unusual.fast", "unusual.parked", "unusual.agents")
]
task_routes = (
    {"unusual_desk.*": {"queue": "unusual.agents"}},
    "tests.apps.unusual.routes.by_length",
)
task_annotations = {"*": {"rate_limit": "50/s", "max_retries": 1}}
task_time_limit = 30
task_soft_time_limit = 20
task_always_eager = bool(os.environ.get("TEAM_EAGER"))
task_eager_propagates = True
worker_prefetch_multiplier = 1
worker_send_task_events = True
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_cancel_long_running_tasks_on_connection_loss = True
worker_max_memory_per_child = 500_000
timezone = "America/New_York"
enable_utc = False
imports = ("tests.apps.unusual.tasks",)
