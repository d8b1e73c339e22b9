"""The counters and gauges that Prometheus reads (names as in docs/operations.md)."""

import logging
import os

# isort: off
# first: prometheus_client decides at its import how the children of a prefork worker count
from agent_tasks.children_metrics import FOLDER

# isort: on
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

STEPS = Counter("agent_tasks_steps_total", "Steps run, by outcome", ["agent", "step", "outcome"])
STEP_SECONDS = Histogram(
    "agent_tasks_step_seconds",
    "Duration of steps",
    ["agent", "step"],
    buckets=(0.01, 0.1, 1, 10, 60, 600, 3600),
)
SUBMITTED = Counter("agent_tasks_submitted_total", "Tasks that this process has accepted", ["agent"])
TASK_SECONDS = Histogram(
    "agent_tasks_task_seconds",
    "Time from the submit of a task to its end",
    ["agent", "status"],
    buckets=(0.1, 1, 5, 10, 30, 60, 300, 600, 3600, 21600, 86400),
)
QUEUE_SECONDS = Histogram(
    "agent_tasks_queue_seconds",
    "Time for which a step was pending before a worker took it",
    ["queue"],
    buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 3600),
)
ENDED = Counter(
    "agent_tasks_ended_total", "Tasks that have ended, by status and type of error", ["agent", "status", "error"]
)
SPENT_USD = Counter("agent_tasks_spent_usd_total", "Dollars that steps have charged", ["agent"])
SPENT_TOKENS = Counter("agent_tasks_spent_tokens_total", "Tokens that steps have charged", ["agent"])
STEPS_RUNNING = Gauge("agent_tasks_steps_running", "Steps this process runs", multiprocess_mode="livesum")
LEASES_LOST = Counter("agent_tasks_leases_lost_total", "Results dropped because another run owned the step")
ENVELOPES_REFUSED = Counter("agent_tasks_envelopes_refused_total", "Messages with a forged or altered envelope")
BELLS_DROPPED = Counter("agent_tasks_bells_dropped_total", "Messages for steps that were not to be claimed any more")
PUBLISH_FAILURES = Counter("agent_tasks_publish_failures_total", "Publishes to Redis that failed after a commit")
SLOTS_LOST = Counter("agent_tasks_slots_lost_total", "Slots given up to plain steps that did not stop")
LOOPS_REPLACED = Counter("agent_tasks_loops_replaced_total", "Event loops replaced because a step blocked them")
SWEPT = Counter("agent_tasks_swept_total", "Tasks moved on by a sweep", ["sweep"])
SWEEPS_FAILED = Counter("agent_tasks_sweeps_failed_total", "Sweeps that broke off with an error", ["sweep"])
PURGED = Counter("agent_tasks_purged_total", "Tasks that retention has deleted", ["agent", "status"])
ORPHANS = Counter("agent_tasks_orphans_total", "Tasks given up past their TTL", ["agent", "status"])
GATEWAY_REQUESTS = Counter("agent_tasks_gateway_requests_total", "Requests over HTTP", ["operation", "status"])
GATEWAY_SECONDS = Histogram(
    "agent_tasks_gateway_request_seconds",
    "Time from a request over HTTP to the head of its answer",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15, 60),
)
GATEWAY_PROBLEMS = Counter("agent_tasks_gateway_problems_total", "Requests answered with a problem document", ["type"])
GATEWAY_STREAMS = Gauge(
    "agent_tasks_gateway_streams_open", "Streams of events this process sends", multiprocess_mode="livesum"
)
DELIVERIES = Counter("agent_tasks_deliveries_total", "Attempts to deliver a webhook, by outcome", ["outcome"])
DELIVERY_SECONDS = Histogram(
    "agent_tasks_delivery_seconds",
    "Time from an event to its webhook's acceptance",
    buckets=(0.1, 0.25, 0.5, 1, 5, 60, 600, 3600, 86400),
)
DELIVERIES_IN_FLIGHT = Gauge(
    "agent_tasks_deliveries_in_flight", "Webhooks this process sends", multiprocess_mode="livesum"
)


def serve(port: int, host: str, *collectors: Collector) -> None:
    """Serve this process's metrics, or with PROMETHEUS_MULTIPROC_DIR those of its children, too; on port 0 none.

    `collectors`: others that are asked with each scrape.
    """
    if not port:
        return
    registry = REGISTRY
    if os.environ.get(FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    for collector in collectors:
        registry.register(collector)
    try:
        start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        log.error(
            "metrics not served, give each process a port of its own: host=%s port=%d error=%s", host, port, error
        )


def forget_child(pid: int) -> None:
    """Count what a child of this worker runs no more: it has ended."""
    if os.environ.get(FOLDER):
        mark_process_dead(pid)
