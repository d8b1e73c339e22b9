"""What begins in a worker of a team's, beside its own tasks."""

import logging
from collections.abc import Mapping
from typing import Any

from celery import signals

from agent_tasks.authoring.agent import loaded_agents
from agent_tasks.celery.ticks import PREFIX, hide_ticks
from agent_tasks.doorbell.celery_app import SWEEP_QUEUE
from agent_tasks.doorbell.installed import Installed
from agent_tasks.doorbell.outcome import ENDED, FAILED
from agent_tasks.doorbell.step_task import unlimited
from agent_tasks.engine.process import drain, outcomes
from agent_tasks.engine.process.gate import Gate
from agent_tasks.engine.process.loading import load, queues_of_agents
from agent_tasks.engine.process.pools import check_pool
from agent_tasks.engine.process.quarantine import Quarantine
from agent_tasks.engine.process.terms import Terms
from agent_tasks.engine.process.worker import WorkerProcess
from agent_tasks.errors import InvalidInput
from agent_tasks.settings import Settings
from agent_tasks.sweeps.application import NAMES, register
from agent_tasks.sweeps.sweeper import Sweeper

log = logging.getLogger(__name__)
_OFF = "no steps are run here, the app's own tasks are"


def begin(ours: Installed, node: str, conf: Any, options: Mapping[str, Any]) -> None:
    """Begin our part in a worker that starts. Where it cannot, one line says why, and the worker goes on without it."""
    try:
        process = _prepared(ours, conf, options)
    except InvalidInput as error:
        _say(logging.ERROR, f"{_OFF}: %s", error)
    except (Exception, SystemExit) as error:  # whatever is wrong with our part is not to end a worker of theirs
        _say(logging.ERROR, f"{_OFF}: our part of the worker did not begin", exc_info=error)
    else:
        process.begin_node(node, conf, options)
        process.connect()
        hide_ticks("celery.worker.strategy", "celery.app.trace")


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
    steps = {step.task_name: step for agent in loaded_agents().values() for step in agent.runnable.values()}
    for name in (*steps, ENDED, FAILED, *(f"{PREFIX}.{each}" for each in NAMES)):
        if name in ours.app.tasks:
            raise InvalidInput(
                f"the app has a task of its own that is named {name}, as the step is: rename one of them", field=name
            )
    limits = unlimited(*(options.get(name) or conf[f"task_{name}"] for name in ("time_limit", "soft_time_limit")))
    for step in steps.values():
        process.register(step, **limits)
    outcomes.register(ours.app, lambda: process.runtime, **limits)
    register(ours.app, process.sweeper, **limits)
    _consume(ours.app, settings, options.get("queues"))
    return process


def _consume(app: Any, settings: Settings, chosen: Any) -> None:
    """Have the worker take from our queues, too, unless it was told by -Q what to take from."""
    ours = [*queues_of_agents(settings), SWEEP_QUEUE]
    known = app.amqp.queues
    for name in ours:
        if name not in known:  # an app that creates no missing ones would refuse its name after -Q, too
            known.add(known.new_missing(name))
    if not chosen:
        for name in ours:
            known.select_add(known[name])
        return
    named = set(chosen.split(",") if isinstance(chosen, str) else chosen)
    if missing := [name for name in ours if name not in named]:
        _say(
            logging.WARNING,
            "-Q leaves out %s: steps, or sweeps, that wait there are for other workers; to take them: -Q %s",
            ", ".join(missing),
            ",".join([*sorted(named), *missing]),
        )


class GuestProcess(WorkerProcess):
    """A process that is a team's: nothing in it is stopped, replaced or held up for our sake."""

    def __init__(self, ours: Installed, settings: Settings, *, sends_events: bool) -> None:
        super().__init__(ours.app, settings)
        self.terms = Terms(waits_in_slots=False, sends_events=sends_events, resets_signals=False)
        self._module = ours.module
        self._sweeper: Sweeper | None = None

    def begin(self, worker: Any) -> None:
        try:
            super().begin(worker)
        except Exception:  # Celery would end the worker
            log.exception("%s: our part of the worker did not begin", _OFF)

    def make_quarantine(self) -> Quarantine:
        return Quarantine(self.app, self.settings, self.node, self._module)

    def sweeper(self) -> Sweeper | None:
        """The sweeper of this process; None while Postgres is away: a tick is not to hold a slot in waiting for it."""
        runtime = self.runtime
        if not runtime.gate.is_open:
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
