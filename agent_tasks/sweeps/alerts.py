"""Alerts that are due for a check: each is measured, and what changes its state is told of and logged."""

import logging

from agent_tasks.client.alert import sentence
from agent_tasks.deployment import Deployment
from agent_tasks.store.queries.alert_values import measured
from agent_tasks.store.queries.alerts import AlertRow
from agent_tasks.sweeps.batch import BATCH
from agent_tasks.transitions import alert

log = logging.getLogger(__name__)
_LINES = {
    "firing": "alert firing: alert=%s tenant=%s kind=%s: %s",
    "ok": "alert resolved: alert=%s tenant=%s kind=%s: %s",
}
"""By the new state."""


def run_once(deployment: Deployment) -> int:
    """Check the alerts that are due, one after the other; returns how many changed their state."""
    changed = 0
    for _ in range(BATCH):
        claimed = deployment.database.run(alert.claim, single=True)
        if claimed is None:
            break
        changed += _has_changed(deployment, claimed)
    return changed


def _has_changed(deployment: Deployment, claimed: AlertRow) -> bool:
    """Check an alert. It is measured in no transaction, which would keep back what is told in the feed meanwhile."""
    with deployment.database.connection() as connection:
        found = measured(connection, claimed, lease_seconds=deployment.settings.lease_seconds)
    said = sentence(claimed, found)
    state = deployment.database.run(lambda connection: alert.check(connection, claimed, found, said), single=True)
    if state is not None:
        log.warning(_LINES[state], claimed["name"], claimed["tenant"] or "-", claimed["kind"], said)
    return state is not None
