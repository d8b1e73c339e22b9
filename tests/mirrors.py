"""The mirror of a deployment that has a Redis, as those of the tests have."""

from agent_tasks import AgentTasks
from agent_tasks.doorbell.mirror import Mirror


def mirror_of(client: AgentTasks) -> Mirror:
    mirror = client.publisher.mirror
    assert mirror is not None
    return mirror
