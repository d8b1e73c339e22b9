"""Misfits: what living tasks and schedules need that the code which is loaded here does not accept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from agent_tasks.authoring.agent import Agent, check_signal
from agent_tasks.authoring.step import Step
from agent_tasks.errors import AgentTaskError, InvalidInput, text_of
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import living
from agent_tasks.store.queries.living import LivingSignal, LivingState
from agent_tasks.task.arguments import TASK_SIGNALS


class MisfitKind(StrEnum):
    """The part of a task that the code does not accept."""

    AGENT = "agent"
    STEP = "step"
    STATE = "state"
    SIGNAL = "signal"
    UNDO = "undo"
    SCHEDULE = "schedule"


_ACTION = {
    MisfitKind.AGENT: "Load its module (AGENT_TASKS_AGENTS), or keep workers of the old release until none is left.",
    MisfitKind.STEP: "Name it in was= of the step that takes its place, or keep it until no task is at it.",
    MisfitKind.STATE: "Take it, with a default or a wider type, or give the step a migrate_state=.",
    MisfitKind.SIGNAL: "Take what was sent, or declare the signal, until no task has or awaits it.",
    MisfitKind.UNDO: "Keep an undo= that takes it, by was= and migrate_state= of its step, until no task needs it.",
    MisfitKind.SCHEDULE: "Put the schedule anew for what the agent takes now, or remove it: agent-tasks unschedule.",
}
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Misfit:
    """What does not fit, and how many tasks, or schedules, it keeps from going on."""

    kind: MisfitKind
    agent: str
    step: str | None
    problem: str
    tasks: int
    example: str
    """The id of one of the tasks, or the name of the schedule."""

    @property
    def action(self) -> str:
        """What to do about it."""
        return _ACTION[self.kind]


def misfits(connection: Connection, agents: Mapping[str, Agent]) -> list[Misfit]:
    """Return what does not fit, each with all its tasks, by agent and step; within a transaction."""
    found: dict[tuple[Any, ...], Misfit] = {}
    for one in _all(connection, agents):
        key = (one.agent, one.step or "", one.kind, one.problem)
        known = found.get(key)
        found[key] = one if known is None else replace(
            known, tasks=known.tasks + one.tasks, example=min(known.example, one.example)
        )  # fmt: skip
    return [found[key] for key in sorted(found)]


def _all(connection: Connection, agents: Mapping[str, Agent]) -> Iterator[Misfit]:
    steps = {step.task_name: step for agent in agents.values() for step in agent.runnable.values()}
    code = {name: step.accepted for name, step in steps.items()}
    signalled = [name for name, step in steps.items() if "signal" in step.wants]
    typed = [name for name in signalled if steps[name].payload_type is not None]
    for row in living.states(connection, code, signalled):
        yield from _of_state(row, agents, steps.get(f"{row['agent']}.{row['step']}"))
    for row in living.undos(connection, code):
        if row["agent"] in agents:  # else its step has said so
            yield from _of_undo(row, steps.get(f"{row['agent']}.{row['step']}"))
    for row in living.signals(connection, signalled, typed):
        yield from _of_signals(row, steps[f"{row['agent']}.{row['step']}"])
    for row in living.schedules(connection):
        agent = agents.get(row["agent"])
        try:
            if agent is None:
                raise InvalidInput(f"No agent {row['agent']} is loaded here")
            agent.first_step.write(row["input"])
        except Exception as error:  # a validator of the user's may raise anything
            yield Misfit(MisfitKind.SCHEDULE, row["agent"], None, _said(error), 1, row["name"])


def _of_state(row: LivingState, agents: Mapping[str, Agent], step: Step | None) -> Iterator[Misfit]:
    agent = agents.get(row["agent"])
    if agent is None:
        yield _misfit(MisfitKind.AGENT, row, f"No agent {row['agent']} is loaded here.")
        return
    if step is None:
        yield _misfit(MisfitKind.STEP, row, f"The code of {row['agent']} has no step {row['step']}.")
        return
    for name in row["names"] or ():
        if not name.startswith(TASK_SIGNALS):
            try:
                check_signal(agent.name, agent.signals, name)
            except InvalidInput:
                yield _misfit(MisfitKind.SIGNAL, row, f"It waits for {name!r}, which the agent does not declare.")
    yield from _bound(MisfitKind.STATE, row, step)
    if row["unsignalled"]:
        try:
            step.handed_signal([], every=False)
        except InvalidInput as error:
            yield _misfit(MisfitKind.SIGNAL, row, f"It may begin without a signal: {_said(error)}")


def _of_undo(row: LivingState, step: Step | None) -> Iterator[Misfit]:
    if step is None:
        yield _misfit(MisfitKind.UNDO, row, f"The code of {row['agent']} has no undo of {row['step'][5:]}.")
    else:
        yield from _bound(MisfitKind.UNDO, row, step)


def _bound(kind: MisfitKind, row: LivingState, step: Step) -> Iterator[Misfit]:
    if row["state"] is not None:
        try:
            step.bind(row["state"])
        except Exception as error:  # a validator of the user's may raise anything
            yield _misfit(kind, row, _said(error))


def _of_signals(row: LivingSignal, step: Step) -> Iterator[Misfit]:
    if row["consumed"]:
        found = [{**signal, "sent_at": _SOME_TIME} for signal in row["signals"]]
        try:
            step.handed_signal(found, every=row["every"])
        except InvalidInput as error:
            yield _misfit(MisfitKind.SIGNAL, row, _said(error))
        return
    for signal in row["signals"]:
        if why := step.refusal(signal["payload"]):
            yield _misfit(MisfitKind.SIGNAL, row, f"{step.task_name} does not accept the signal that came: {why}")


def _misfit(kind: MisfitKind, row: LivingState | LivingSignal, problem: str) -> Misfit:
    return Misfit(kind, row["agent"], row["step"], problem, row["tasks"], row["example"])


def _said(error: Exception) -> str:
    return error.message if isinstance(error, AgentTaskError) else f"{type(error).__name__}: {text_of(error)}"
