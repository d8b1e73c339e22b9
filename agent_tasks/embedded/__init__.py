"""Real servers from wheels, and a supervisor for the processes that use them."""

from agent_tasks.embedded.errors import EmbeddedServersBusy, EmbeddedServersFailed, EmbeddedServersMissing
from agent_tasks.embedded.roster import RosterBusy
from agent_tasks.embedded.servers import EmbeddedServers
from agent_tasks.embedded.supervisor import Process, Supervisor

__all__ = [
    "EmbeddedServers",
    "EmbeddedServersBusy",
    "EmbeddedServersFailed",
    "EmbeddedServersMissing",
    "Process",
    "RosterBusy",
    "Supervisor",
]
