"""What can be looked at in the console beside what other doors offer, and which scope it takes."""

from agent_tasks.gateway.operations import Operation
from agent_tasks.task.scopes import Scope

LIST_WORKERS = Operation("list_workers", Scope.ADMIN)
READ_PAYLOADS = Operation("read_payloads", Scope.READ, writes=True)
"""Audited as if it wrote; the page itself asks for `payloads:read`, which `admin` does not stand for."""
