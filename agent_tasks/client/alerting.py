"""Alerting: rules by which the sweeper watches tasks."""

from agent_tasks.client.alert import Alert
from agent_tasks.client.alert_rule import AlertRule
from agent_tasks.client.alerts import all_alerts, find_alert, put_alert, remove_alert
from agent_tasks.deployment import Deployment
from agent_tasks.task.identity import Identity


class Alerting(Deployment):
    """The part of `AgentTasks` that keeps alerts."""

    def put_alert(
        self, name: str, rule: AlertRule, *, tenant: str | None = None, identity: Identity | None = None
    ) -> Alert:
        """Make an alert, or change the rule of the one of this name, and return it as it stands.

        It watches the tasks of `tenant`, or of that of `identity`, which needs the scope `tasks:all` there; a trusted
        program that names no tenant has all tasks watched. A change of its state is a line of the sweeper's log and
        the event `alert.firing` or `alert.resolved` for the tenant's webhooks. Where there was one it keeps its state
        until it is checked, at once. Raises InvalidInput, also for more than 100 in a tenant, and PermissionDenied.
        """
        return put_alert(self, name, rule, tenant=tenant, identity=identity)

    def alert(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> Alert:
        """Return an alert. Raises TaskNotFound, also for one that `identity` may not see."""
        return find_alert(self, name, tenant=tenant, identity=identity)

    def alerts(self, *, tenant: str | None = None, identity: Identity | None = None) -> list[Alert]:
        """List the alerts by name: all of them, those of a tenant, or those that `identity` may see."""
        return all_alerts(self, tenant=tenant, identity=identity)

    def remove_alert(self, name: str, *, tenant: str | None = None, identity: Identity | None = None) -> bool:
        """Remove an alert; where it fires, `alert.resolved` is told.

        Returns False if there is none of this name that `identity` may see.
        """
        return remove_alert(self, name, tenant=tenant, identity=identity)
