"""AgentTasks: submits to one deployment, and finds its tasks."""

from functools import cached_property

from agent_tasks.client.alerting import Alerting
from agent_tasks.client.answering import Answering
from agent_tasks.client.finding import Finding
from agent_tasks.client.issuing import Issuing
from agent_tasks.client.operating import Operating
from agent_tasks.client.scheduling import Scheduling
from agent_tasks.client.submitting import Submitting
from agent_tasks.client.webhooks import Webhooks


class AgentTasks(Submitting, Finding, Operating, Answering, Scheduling, Alerting, Issuing):
    """One deployment: its Postgres, its Redis, its key. Thread-safe; nothing connects before it is used.

    `settings` default to the environment's, or those of a running `agent-tasks dev`.
    """

    @cached_property
    def webhooks(self) -> Webhooks:
        """Webhooks: endpoints, what was delivered, replays, and the feed of what happened."""
        return Webhooks(self)
