"""Webhooks: `AgentTasks.webhooks`."""

from agent_tasks.client.deliveries import Deliveries
from agent_tasks.client.endpoints import Endpoints


class Webhooks(Endpoints, Deliveries):
    """The webhooks of a deployment: the endpoints, their deliveries, and the feed of what they tell of."""
