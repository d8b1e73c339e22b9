"""Who does everything."""

from agent_tasks import Budget, Identity
from agent_tasks.transitions import heartbeat

ANA = Identity(subject="ana", tenant="acme", scopes=("tasks:all",))
PLENTY = Budget(seconds=3600, tokens=100_000, usd=10.0, steps=500, calls=500)
WORKER = heartbeat.WorkerRecord("w", "h", 1, ("agents",), ("echo.echo",))
