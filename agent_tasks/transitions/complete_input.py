"""running → running: an input gets the defaults that the agent's code has made of what was left out."""

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import OWNED
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import lost

_COMPLETE = f"UPDATE agent_tasks.tasks SET input = %(input)s::jsonb WHERE {OWNED}"


def complete_input(connection: Connection, claim: Claim, text: str) -> None:
    """Keep `text` as the task's input, so that each try of its first step is given the same. Raises LeaseLost."""
    if not connection.execute(_COMPLETE, {**claim.fence, "input": text}).rowcount:
        raise lost(claim)
