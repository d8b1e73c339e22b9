"""Alerts: rules that say when a person is to look, kept by name and told apart by tenant."""

from agent_tasks.client.alert import Alert
from agent_tasks.client.alert_rule import AlertRule
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, PermissionDenied, TaskNotFound
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import alerts as queries
from agent_tasks.task.arguments import check_names, check_text, refused
from agent_tasks.task.identity import Identity, check_identity
from agent_tasks.transitions import alert as rows

MOST = 100
"""Alerts of a tenant, at most: each is measured again and again."""


def put_alert(
    deployment: Deployment, name: str, rule: AlertRule, *, tenant: str | None, identity: Identity | None
) -> Alert:
    """Do what `AgentTasks.put_alert` does. Raises InvalidInput, PermissionDenied."""
    of = _checked(name, tenant, identity)
    if not isinstance(rule, AlertRule):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("rule must be an AlertRule(kind, ...)", rule, "rule")
    if identity is not None and (of != identity.tenant or "tasks:all" not in identity.scopes):
        raise PermissionDenied(
            f"{identity.subject!r} may not have the tasks of a whole tenant watched: that takes the scope 'tasks:all' "
            "in it.",
            scope="tasks:all",
        )
    values = {"tenant": of, "name": name, "everywhere": identity is None and not of, **rule.as_dict()}

    def write(connection: Connection) -> queries.AlertRow | None:
        if rows.others(connection, of, name) >= MOST:
            raise InvalidInput(f"There are {MOST} alerts already: change one, or remove one.", field="name")
        return rows.put(connection, identity=identity, **values)

    row = deployment.database.run(write)
    if row is None:
        raise PermissionDenied(f"The alert {name!r} is a trusted program's. Use another name.", alert=name)
    return Alert.from_row(row)


def find_alert(deployment: Deployment, name: str, *, tenant: str | None, identity: Identity | None) -> Alert:
    """Do what `AgentTasks.alert` does. Raises TaskNotFound, InvalidInput."""
    of = _checked(name, tenant, identity)
    with deployment.database.connection() as connection:
        row = queries.find(connection, of, name, identity)
    if row is None:
        raise no_alert(name)
    return Alert.from_row(row)


def all_alerts(deployment: Deployment, *, tenant: str | None, identity: Identity | None) -> list[Alert]:
    """Do what `AgentTasks.alerts` does. Raises InvalidInput."""
    check_names(tenant=tenant)
    check_identity(identity)
    with deployment.database.connection() as connection:
        return [Alert.from_row(row) for row in queries.all_alerts(connection, tenant, identity)]


def remove_alert(deployment: Deployment, name: str, *, tenant: str | None, identity: Identity | None) -> bool:
    """Do what `AgentTasks.remove_alert` does. Raises InvalidInput."""
    of = _checked(name, tenant, identity)
    return deployment.database.run(lambda connection: rows.remove(connection, of, name, identity))


def no_alert(name: str) -> TaskNotFound:
    """Return the error for a name that no alert has which the caller may see."""
    return TaskNotFound(
        f"No alert is named {name!r}, or it belongs to another. List yours: `alerts()`, GET /alerts.", field="name"
    )


def _checked(name: str, tenant: str | None, identity: Identity | None) -> str:
    """Return the tenant that is meant. Raises InvalidInput."""
    check_text(name, "name", 200, printable=True)
    check_names(tenant=tenant)
    check_identity(identity)
    if tenant is not None:
        return tenant
    return identity.tenant if identity is not None else ""
