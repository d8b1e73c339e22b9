"""What begins in a worker of a team's, beside its own tasks."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from billiard.pool import EX_RECYCLE
from celery import signals

from agent_tasks.authoring.agent import loaded_steps
from agent_tasks.celery.ticks import hide_ticks
from agent_tasks.deployment import Deployment
from agent_tasks.doorbell.bell import PASSES, PASSES_HEADER, repeated
from agent_tasks.doorbell.celery_app import SWEEP_QUEUE, shorten_unknown
from agent_tasks.doorbell.installed import Installed
from agent_tasks.doorbell.outcome import ENDED, FAILED
from agent_tasks.doorbell.producer_bells import ProducerBells
from agent_tasks.doorbell.step_task import unlimited
from agent_tasks.engine.process import drain, outcomes
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.loading import load, queues_of_agents
from agent_tasks.engine.process.passing import Passing
from agent_tasks.engine.process.pools import check_pool
from agent_tasks.engine.process.quarantine import Quarantine
from agent_tasks.engine.process.terms import Terms
from agent_tasks.engine.process.worker import WorkerProcess
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings
from agent_tasks.sweeps.application import TICKS, register
from agent_tasks.sweeps.sweeper import Sweeper

log = logging.getLogger(__name__)
_OFF = "no steps are run here, the app's own tasks are"
_HANDED_ON_SECONDS = 1.0
_REPLACED_SECONDS = 2.0
"""How long steps may go on in a child that the pool replaces (max_tasks_per_child, max_memory_per_child)."""


def begin(ours: Installed, node: str, conf: Any, options: Mapping[str, Any]) -> None:
    """Begin our part in a worker that starts. Where it cannot, one line says why, and the worker goes on without it."""
    try:
        shorten_unknown()
        process = _prepared(ours, conf, options)
        process.begin_node(node, conf, options)
        process.connect()
        process.own_queues = _consume(ours.app, process.settings, options.get("queues"))
        hide_ticks("celery.worker.strategy", "celery.app.trace")
    except InvalidInput as error:
        _say(logging.ERROR, f"{_OFF}: %s", error)
        _pass_all_on(ours.app)
    except (Exception, SystemExit) as error:  # whatever is wrong with our part is not to end a worker of theirs
        _say(logging.ERROR, f"{_OFF}: our part of the worker did not begin", exc_info=error)
        _pass_all_on(ours.app)


def _say(level: int, *said: Any, **options: Any) -> None:
    """Say it in the log as soon as Celery has one: as a worker begins there is none yet."""
    signals.celeryd_after_setup.connect(lambda **_: log.log(level, *said, **options), weak=False)


def _prepared(ours: Installed, conf: Any, options: Mapping[str, Any]) -> "GuestProcess":
    check_pool(conf, options)
    settings = ours.settings or Settings.load()
    load(settings)
    process = GuestProcess(
        ours, settings, sends_events=bool(options.get("task_events") or conf.worker_send_task_events)
    )
    steps = loaded_steps()
    for name in (*steps, ENDED, FAILED, *TICKS):
        if name in ours.app.tasks:
            raise InvalidInput(
                f"the app has a task of its own that is named {name}, as one of ours is: rename it, or the agent",
                field=name,
            )
    limits = unlimited(*(options.get(name) or conf[f"task_{name}"] for name in ("time_limit", "soft_time_limit")))
    for step in steps.values():
        process.register(step, **limits)
    outcomes.register(ours.app, lambda: process.begun, **limits)
    register(ours.app, process.sweeper, **limits)
    return process


def _consume(app: Any, settings: Settings, chosen: Any) -> list[str]:
    """Have the worker take from our queues, too, unless it was told by -Q what to take from.

    Returns those that it takes from for our sake alone.
    """
    ours = [*queues_of_agents(settings), SWEEP_QUEUE]
    known = app.amqp.queues
    missing = [name for name in ours if name not in known]
    for name in missing:  # an app that creates no missing ones would refuse its name after -Q, too
        known.add(known.new_missing(name))
    if not chosen:
        for name in ours:
            known.select_add(known[name])
        return missing
    named = set(chosen.split(",") if isinstance(chosen, str) else chosen)
    if left_out := [name for name in ours if name not in named]:
        _say(
            logging.WARNING,
            "-Q leaves out %s: steps, or sweeps, that wait there are for other workers; to take them: -Q %s",
            ", ".join(left_out),
            ",".join([*sorted(named), *left_out]),
        )
    return [SWEEP_QUEUE]


def _pass_all_on(app: Any) -> None:
    """Have bells that come all the same, on queues of theirs or named by -Q, go on to workers that can run steps.

    By the app's own producer, since there may be no settings of ours.
    """
    passing: list[Passing] = []

    def pass_on(message: Any = None, **_: Any) -> None:
        if not passing:
            passing.append(Passing(ProducerBells(app, lambda: b"", "our part is off")))
            passing[0].start()
        passing[0].keep(message)

    signals.task_unknown.connect(pass_on, weak=False)


class GuestProcess(WorkerProcess):
    """A process that is a team's: nothing in it is stopped, replaced or held up for our sake."""

    def __init__(self, ours: Installed, settings: Settings, *, sends_events: bool) -> None:
        super().__init__(ours.app, settings)
        self.terms = Terms(waits_in_slots=False, sends_events=sends_events, resets_signals=False)
        self._module = ours.module
        self._sweeper: Sweeper | None = None
        self.own_queues: list[str] = []
        """Queues that the worker takes from for our sake alone."""

    def begin(self, worker: Any) -> None:
        try:
            super().begin(worker)
        except Exception:  # Celery would end the worker
            log.exception("%s: our part of the worker did not begin; restart it when that is mended", _OFF)
            self.app.amqp.queues.deselect(self.own_queues)  # before the first message: they are for other workers

    def hand_on(self, request: Any) -> None:
        """Send it again, to be taken in a moment: another worker may have a part of ours that has begun.

        It is the broker's consumer that waits, since there may be no more threads here, and no slot of theirs.
        """
        passes = request.headers.get(PASSES_HEADER, 0)
        if passes not in range(PASSES):
            log.warning("no steps are run here, the sweep rings again: message=%s", request.id)
            return
        taken = repeated(request)
        eta = datetime.now(UTC) + timedelta(seconds=_HANDED_ON_SECONDS)
        handed_on = replace(taken, headers={**taken.headers, PASSES_HEADER: passes + 1, "eta": eta.isoformat()})
        deployment = Deployment(self.settings)
        if not deployment.bells.put_back([handed_on]):
            log.warning("message not handed on, the sweep sends another: message=%s", request.id)
        deployment.close()

    def make_quarantine(self) -> Quarantine | None:
        if not self._module:
            log.error(
                "a step that was running when a process died waits for another worker: install(app) was called by no "
                "module that a new process could import; call it in one"
            )
            return None
        return Quarantine(self.app, self.settings, self.node, self._module)

    def sweeper(self) -> Sweeper | None:
        """The sweeper of this process; None where our part has not begun, and while Postgres is away: a tick is not to
        hold a slot in waiting for it."""
        runtime = self.begun
        if runtime is None or not runtime.gate.is_open:
            return None
        if self._sweeper is None or self._sweeper.client is not runtime.client:
            self._sweeper = Sweeper(runtime.client)
        return self._sweeper

    def gate_of_runtime(self) -> Gate:
        return Gate()

    def lost_too_much(self, why: str) -> None:
        """Say so: a worker that is not ours is for its owners to restart."""
        log.error("restart this worker, %s", why)

    def drain_children(self) -> None:
        drain.drain_children(self.settings, then=lambda: drain.give_back_of_children(self.settings, self.node))

    def leave(self) -> None:
        """Let the process end as Celery has it: steps that are left have lost their leases."""

    def _end_child(self, exitcode: int | None = None, **_: Any) -> None:
        """Drain, for a moment only where a child of the pool makes way for a new one, for which their tasks wait."""
        if self.begun is not None:
            seconds = self.settings.drain_seconds
            self.begun.stop(min(seconds, _REPLACED_SECONDS) if exitcode == EX_RECYCLE else seconds)
