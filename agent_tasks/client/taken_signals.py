"""TakenSignals: which signals an agent takes, from its code or from a worker's registration."""

from functools import cached_property
from typing import Any

from agent_tasks.authoring.agent import check_signal, checked_against, loaded_agents
from agent_tasks.authoring.definition import json_schema
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput
from agent_tasks.store.queries import catalog


class TakenSignals:
    """What an agent says of its signals."""

    def __init__(self, deployment: Deployment, agent: str) -> None:
        self.agent = agent
        self._code = loaded_agents().get(agent)
        self._registered: dict[str, Any] = {}
        if self._code is None:
            with deployment.database.connection() as connection:
                self._registered = catalog.registered_agent(connection, agent) or {}

    def check_name(self, name: str) -> None:
        """Raise InvalidInput if the agent declares its signals and this name is not one of them."""
        check_signal(self.agent, self._code.signals if self._code else self._registered.get("signals"), name)

    def check_payload(self, step_name: str, payload: Any) -> None:
        """Raise InvalidInput if the waiting step does not accept the payload, which is JSON: it keeps waiting."""
        if self._code is None:
            try:
                checked_against(self._schemas.get(step_name), payload, f"{self.agent}.{step_name}", "signal")
            except InvalidInput as error:
                raise InvalidInput(f"{error.message}. The task keeps waiting.", **error.details) from None
            return
        step = self._code.at(step_name)
        if step is not None and (why := step.refusal(payload)):
            raise InvalidInput(
                f"{step.task_name} does not accept this signal: {why}. It keeps waiting.",
                field=why.split(":")[0],
                problem=why.partition(": ")[2],
            )

    def payload_schema(self, step_name: str) -> dict[str, Any] | None:
        """Return the JSON schema of the payload that the waiting step takes; None where it takes any."""
        if self._code is None:
            return self._schemas.get(step_name)
        step = self._code.at(step_name)
        return None if step is None or step.payload_type is None else json_schema(step.payload_type.adapter)

    @property
    def goal(self) -> str | None:
        """What the agent is for, where it says so."""
        return self._code.goal if self._code else self._registered.get("goal")

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        return self._registered.get("payload_schemas") or {}
