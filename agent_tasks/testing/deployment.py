"""The deployment of a test: a real Postgres, and no bell, mirror or word of a change that leaves the process."""

from collections.abc import Callable, Mapping
from typing import Any

from agent_tasks.client.client import AgentTasks
from agent_tasks.deployment import Once
from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.callbacks import Callbacks
from agent_tasks.doorbell.publisher import Publisher
from agent_tasks.settings import Settings
from agent_tasks.testing.doorbell import Doorbell
from agent_tasks.testing.following import Followed


class TestedDeployment(AgentTasks):
    """A deployment whose bells are answered by the worker of its own process, when that is told to."""

    __test__ = False

    def __init__(self, settings: Settings, followed: Callable[[str], None]) -> None:
        """`followed` is called with the channel of a task that somebody is about to wait for."""
        super().__init__(settings)
        self.doorbell = Doorbell()
        self._followed = followed

    @Once
    def notices(self) -> Callbacks:
        return Followed(self._followed)

    @Once
    def bells(self) -> Bells:
        return self.doorbell

    @Once
    def publisher(self) -> Publisher:
        return Publisher(self._signing_keys, self.doorbell, None, spans=self.spans)

    @property
    def has_redis(self) -> bool:
        return False  # status is read from Postgres, which alone is always right


def settings_of_test(
    database_url: str, given: Mapping[str, Any] | None = None, *, lease_seconds: float = 3600.0
) -> Settings:
    """Return the settings of a deployment for tests, on this database; else as `given`, or the environment, says.

    Nobody renews a lease: a test may hold a step for as long as that.
    """
    own: dict[str, Any] = {
        **(given or {}),
        "database_url": database_url,
        "broker_url": "memory://",  # where nothing is ever sent
        "secret_key": "of the tests",
        "lease_seconds": lease_seconds,
    }
    return Settings(**own)
