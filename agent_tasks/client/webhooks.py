"""Webhooks: `AgentTasks.webhooks`."""

from agent_tasks.client.deliveries import Deliveries


class Webhooks(Deliveries):
    """The webhooks of a deployment: their deliveries, and the feed of what they tell of."""
