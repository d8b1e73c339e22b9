"""WatchedTask: reads one task from the mirror or from Postgres."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import redis

from agent_tasks.client.serving import with_obstacles
from agent_tasks.deployment import Deployment
from agent_tasks.store.errors import Transient
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.status import TaskStatus

_PATIENCE = timedelta(seconds=2)


class WatchedTask:
    """A task as `identity` may see it; None is a trusted program.

    The check reads the task's row in Postgres, whose owner never changes, before anything is shown.
    """

    def __init__(
        self, deployment: Deployment, task_id: UUID, identity: Identity | None, seen: TaskSnapshot | None = None
    ) -> None:
        self.deployment = deployment
        self.id = task_id
        self.identity = identity
        self._seen = seen
        """The newest snapshot seen; with an identity, the very first comes from Postgres."""

    @property
    def seen(self) -> TaskSnapshot | None:
        """The newest snapshot that this handle has had, as of a submit; None where it has had none. Asks nobody."""
        return self._seen

    def snapshot(self) -> TaskSnapshot:
        """Return the task as it stands: from the mirror, or from Postgres if the mirror has none or is behind.

        If nobody has taken the task for two seconds and no worker would, `unserved` says why; while it is paused,
        `paused` does. Raises TaskNotFound.
        """
        seen = self.look()
        if seen.status.is_terminal:
            return seen
        is_late = seen.status is TaskStatus.PENDING and datetime.now(UTC) - seen.created_at >= _PATIENCE
        try:
            return self.stored() if is_late or self.deployment.pause_look.may_hold(seen) else seen
        except Transient:  # Postgres is away: the mirror has answered
            return seen

    def stored(self) -> TaskSnapshot:
        """Return the task as Postgres has it, and refill the mirror. Raises TaskNotFound."""
        seen = self.read()
        with self.deployment.database.connection() as connection:
            return with_obstacles(self.deployment, connection, [seen], self.identity)[0]

    def look(self) -> TaskSnapshot:
        """Return the `snapshot` without checking the workers."""
        if self.identity is not None and self._seen is None:
            return self.read()
        if self._seen is not None and self._seen.status.is_terminal and self._seen.acknowledged_at is not None:
            return self._seen
        mirror = self.deployment.publisher.mirror
        if mirror is None:
            return self.read()
        reader = None
        try:
            mirrored = mirror.get(self.id)
            if mirrored is None:
                reader = mirror.announce(self.id)
        except redis.RedisError:
            mirrored = None
        if mirrored is None or (self._seen is not None and mirrored.version < self._seen.version):
            return self.read(reader)
        return self._see(mirrored)

    def read(self, reader: str | None = None) -> TaskSnapshot:
        """Return the task as `stored` does, without checking the workers. `reader` was announced to the mirror."""
        row = self.deployment.find_row(self.id, self.identity)
        snapshot = self._see(TaskSnapshot.from_row(row))
        mirror = self.deployment.publisher.mirror
        if mirror is None:
            return snapshot
        try:
            mirror.fill(snapshot, reader, hidden=row["sensitive"])
        except redis.RedisError:
            return snapshot  # Redis is only a mirror: Postgres has just answered without it
        return snapshot

    def _see(self, snapshot: TaskSnapshot) -> TaskSnapshot:
        if self._seen is None or snapshot.version >= self._seen.version:
            self._seen = snapshot
        return self._seen

    def ended(self) -> TaskSnapshot:
        """Return the terminal snapshot that was seen when following the task ended."""
        assert self._seen is not None
        assert self._seen.status.is_terminal
        return self._seen
