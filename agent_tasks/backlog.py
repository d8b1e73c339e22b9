"""Backlog: what Prometheus reads of the deployment as a whole, asked of Postgres when a process is scraped."""

import logging
import threading
from collections.abc import Iterable
from time import monotonic

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_tasks.deployment import Deployment
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import backlog

log = logging.getLogger(__name__)
FRESH_SECONDS = 5.0
"""For so long an answer serves whoever scrapes."""


class Backlog(Collector):
    """Gauges of the deployment, the same in each process that serves them: sweepers and gateways."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._until = 0.0

    def describe(self) -> Iterable[Metric]:
        """Return the gauges without values, so that to register asks nothing of Postgres."""
        return families().values()

    def collect(self) -> Iterable[Metric]:
        """Return the gauges; none where Postgres cannot be asked, so that what is old is not taken for new."""
        with self._lock:
            if monotonic() >= self._until:
                try:
                    self._found = self._asked()
                except Transient as error:
                    log.warning("the backlog is not measured, Postgres cannot be reached: %s", error)
                    self._found = []
                self._until = monotonic() + FRESH_SECONDS
            return self._found

    def _asked(self) -> list[Metric]:
        with self._deployment.database.connection() as connection:
            living = backlog.living(connection)
            deliveries = backlog.deliveries(connection)
            lag = backlog.sweep_lag(connection)
            connections = backlog.connections(connection)
        found = families()
        for row in living:
            if row["status"] == "waiting":
                kind = [row["kind"] or "other", row["queue"]]
                found["waiting"].add_metric(kind, row["tasks"])
                found["waiting_oldest_seconds"].add_metric(kind, row["oldest"] or 0.0)
            else:
                found[row["status"]].add_metric([row["queue"]], row["tasks"])
                if row["status"] == "pending":
                    found["pending_oldest_seconds"].add_metric([row["queue"]], row["oldest"] or 0.0)
        found["deliveries_pending"].add_metric([], deliveries["deliveries"])
        found["deliveries_oldest_seconds"].add_metric([], deliveries["oldest"])
        found["sweep_lag_seconds"].add_metric([], lag)
        for each in connections:
            found["postgres_connections"].add_metric([each["state"]], each["connections"])
        found["postgres_connections_limit"].add_metric([], connections[0]["most"])
        return list(found.values())


_SAID: dict[str, tuple[str, list[str]]] = {
    "pending": ("Tasks whose step nobody runs yet: the depth of a queue", ["queue"]),
    "paused": ("Tasks that are pending and put off for a pause", ["queue"]),
    "pending_oldest_seconds": ("How long the first of them has been so", ["queue"]),
    "running": ("Tasks whose step is run by a worker", ["queue"]),
    "waiting": ("Tasks that wait, by what for", ["kind", "queue"]),
    "waiting_oldest_seconds": ("How long the first of them has waited", ["kind", "queue"]),
    "deliveries_pending": ("Webhooks that are not delivered yet", []),
    "deliveries_oldest_seconds": ("How long ago the first of them was to be told", []),
    "sweep_lag_seconds": ("For how long something has been due that a sweep is to see to", []),
    "postgres_connections": ("Connections to the database, of whoever has them", ["state"]),
    "postgres_connections_limit": ("Connections that Postgres allows", []),
}
NAMES = tuple(f"agent_tasks_{name}" for name in _SAID)


def families() -> dict[str, GaugeMetricFamily]:
    """Return the gauges by the last part of their names, without values."""
    return {
        name: GaugeMetricFamily(f"agent_tasks_{name}", help, labels=labels) for name, (help, labels) in _SAID.items()
    }
