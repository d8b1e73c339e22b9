"""Push notification configs: whom a client wants to be told of a task."""

from uuid import uuid4

from a2a.types import a2a_pb2 as a2a

from agent_tasks.transitions.push import PushRow


def row_of(config: a2a.TaskPushNotificationConfig) -> PushRow:
    """The config as it is kept; without an id it gets one."""
    said = config.authentication if config.HasField("authentication") else None
    return PushRow(
        id=config.id or uuid4().hex,
        url=config.url,
        token=config.token or None,
        scheme=(said.scheme or None) if said else None,
        credentials=(said.credentials or None) if said else None,
    )


def config_of(task_id: str, row: PushRow, *, shows_secrets: bool = False) -> a2a.TaskPushNotificationConfig:
    """The config as it is told: with its token and credentials to whoever has just sent them, and to nobody else."""
    config = a2a.TaskPushNotificationConfig(id=row["id"], task_id=task_id, url=row["url"])
    if row["scheme"]:
        config.authentication.scheme = row["scheme"]
    if shows_secrets:
        config.token = row["token"] or ""
        if row["credentials"]:
            config.authentication.credentials = row["credentials"]
    return config
