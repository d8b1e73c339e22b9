"""GET /agents: which agents there are, and what each takes."""

from fastapi import Request, Response
from pydantic import BaseModel

from agent_tasks.client.agents import AgentInfo
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import reports as examples
from agent_tasks.gateway.gate import Gate

router = doors()


class Agents(BaseModel):
    """The agents of a deployment, by name."""

    agents: list[AgentInfo]


@router.get("/agents", name="list_agents", response_model=Agents, responses=examples.list_agents, summary="Agents")
async def list_agents(request: Request) -> Response:
    """The agents that workers have, with the schema of the input of each."""

    def look(gate: Gate, caller: Caller) -> Agents:
        return Agents(agents=gate.client.agents())

    return await performed(request, look)
