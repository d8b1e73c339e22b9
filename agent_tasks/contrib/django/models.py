"""The tables that `agent-tasks migrate` makes, as models: for the admin, and for queries of a project's."""

from typing import Any, ClassVar

from django.db import models

from agent_tasks.store.tables import SCHEMA
from agent_tasks.task.status import TaskStatus


def _table(name: str) -> str:
    """Return the name with its schema: Django leaves alone what begins and ends with a quote."""
    return f'"{SCHEMA}"."{name}"'


class _ReadOnly:
    """What the Meta of each of these models has."""

    managed = False
    default_permissions = ("view",)


class _Rows(models.Model):
    """Rows of a table that only the system writes."""

    objects: "ClassVar[models.Manager[Any]]" = models.Manager()

    class Meta:
        abstract = True

    def save(self, *_: Any, **__: Any) -> None:
        """Refuse: a task is changed by `agent_tasks`, where it is checked."""
        raise TypeError(
            f"{type(self).__name__} is read only: tasks are changed by agent_tasks, as by submit and signal"
        )

    def delete(self, *_: Any, **__: Any) -> tuple[int, dict[str, int]]:
        """Refuse, as `save` does."""
        self.save()
        return 0, {}


class Task(_Rows):
    """A task, as it stands in Postgres."""

    id = models.UUIDField(primary_key=True)
    agent = models.TextField()
    status = models.TextField(choices=[(status.value, status.value) for status in TaskStatus])
    step = models.TextField()
    step_number = models.IntegerField()
    queue = models.TextField()
    priority = models.SmallIntegerField()
    parent = models.ForeignKey("self", models.DO_NOTHING, null=True, db_constraint=False, related_name="children")
    root = models.ForeignKey("self", models.DO_NOTHING, db_constraint=False, related_name="tree")
    resumed_from = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, db_constraint=False, db_column="resumed_from", related_name="resumed_as"
    )
    depth = models.IntegerField()
    parent_step = models.IntegerField(null=True)
    child_index = models.IntegerField(null=True)
    tenant = models.TextField()
    identity = models.JSONField(null=True)
    session_id = models.TextField(null=True)
    metadata = models.JSONField(null=True)
    traceparent = models.TextField(null=True)
    sensitive = models.BooleanField()
    input = models.JSONField(null=True)
    result = models.JSONField(null=True)
    error = models.JSONField(null=True)
    traceback = models.TextField(null=True)
    partial = models.JSONField(null=True)
    progress = models.JSONField(null=True)
    waiting_for = models.JSONField(null=True)
    spent_seconds = models.FloatField()
    spent_tokens = models.BigIntegerField()
    spent_usd = models.DecimalField(max_digits=1000, decimal_places=20)
    spent_steps = models.IntegerField()
    spent_calls = models.IntegerField()
    worker = models.TextField(null=True)
    attempt = models.IntegerField()
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(_ReadOnly):
        db_table = _table("tasks")
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.agent} {self.id}"


class _OfTask(_Rows):
    """Rows of one task's, which have no key of their own: the first column tells them apart within the task."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pk} of {self.task_id}"  # type: ignore[attr-defined]


def _task(related_name: str) -> Any:
    return models.ForeignKey(Task, models.DO_NOTHING, db_constraint=False, related_name=related_name)


class Event(_OfTask):
    """An event of a task's history."""

    seq = models.BigIntegerField(primary_key=True)
    task = _task("events")
    type = models.TextField()
    data = models.JSONField(null=True)
    at = models.DateTimeField()

    class Meta(_ReadOnly):
        db_table = _table("events")
        ordering: ClassVar = ["seq"]


class Checkpoint(_OfTask):
    """A step of a task's that has committed."""

    step_number = models.IntegerField(primary_key=True)
    task = _task("checkpoints")
    step = models.TextField()
    next_step = models.TextField(null=True)
    state = models.JSONField(null=True)
    seconds = models.FloatField()
    committed_at = models.DateTimeField()

    class Meta(_ReadOnly):
        db_table = _table("checkpoints")
        ordering: ClassVar = ["step_number"]


class Call(_OfTask):
    """A recorded call of a step's."""

    ordinal = models.IntegerField(primary_key=True)
    task = _task("calls")
    step_number = models.IntegerField()
    name = models.TextField()
    status = models.TextField()
    attempts = models.IntegerField()
    outcome = models.JSONField(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta(_ReadOnly):
        db_table = _table("calls")
        ordering: ClassVar = ["step_number", "ordinal"]


class Signal(_Rows):
    """A signal that a task was sent."""

    seq = models.BigIntegerField(primary_key=True)
    task = _task("signals")
    name = models.TextField()
    payload = models.JSONField(null=True)
    sent_at = models.DateTimeField()
    consumed_step = models.IntegerField(null=True)

    class Meta(_ReadOnly):
        db_table = _table("signals")
        ordering: ClassVar = ["seq"]

    def __str__(self) -> str:
        return f"{self.name} for {self.task_id}"  # type: ignore[attr-defined]


class Pause(_Rows):
    """A pause of a task, an agent, a queue or a tenant."""

    id = models.BigIntegerField(primary_key=True)
    kind = models.TextField()
    name = models.TextField()
    tenant = models.TextField(null=True)
    task = models.ForeignKey(Task, models.DO_NOTHING, null=True, db_constraint=False, related_name="pauses")
    reason = models.TextField(null=True)
    by = models.TextField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta(_ReadOnly):
        db_table = _table("pauses")
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
