"""The course of a step that pays: its worker is lost, and each call that asks is answered when the step is parked."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from agent_tasks import AgentTasks
from agent_tasks.engine.steps.decision import ParkFor, decide
from agent_tasks.engine.steps.operations import DatabaseAway
from agent_tasks.engine.steps.run import Raised
from tests.database.driving import Driver, result_of, value_of
from tests.database.perishable import Perishable


def paid(driver: Driver, task_id: UUID, step: Any, moments: int | None, *, approve: Mapping[str, bool]) -> Any:
    """Run the step that pays until it returns, lost once; each call is answered when the step is parked."""
    client = driver.client
    for lives in range(40):
        run = driver.run(task_id, step, Perishable, moments=moments if lives % 2 == 0 else None)
        outcome = result_of(run)
        if isinstance(outcome, Raised):
            assert isinstance(outcome.error, DatabaseAway), outcome.error
            moments = None
            driver.crash(run)
            continue
        decision = decide(run, outcome, limit=1_000_000, draining=False)
        driver.commits.commit(run.claim, decision)
        if not isinstance(decision, ParkFor):
            return value_of(run)
        for call, tool in asked(client, task_id).items():
            client.get(task_id).signal("approval", {"call": call, "approved": approve[tool]}, signal_id=call)
    raise AssertionError("it never ends")


def asked(client: AgentTasks, task_id: UUID) -> dict[str, str]:
    """The calls that wait for an approval, by their digests."""
    events = [event.data for event in client.get(task_id).events() if event.type == "approval_asked"]
    return {data["call"]: f"{data['tool']} {data['arguments']['cents']}" for data in events}
