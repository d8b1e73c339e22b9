"""Our part in a worker of a team's: what it does with bells it cannot serve, and what it takes from."""

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, signals

from agent_tasks import Settings
from agent_tasks.celery.worker import GuestProcess, _consume
from agent_tasks.doorbell.bell import PASSES, PASSES_HEADER
from agent_tasks.doorbell.installed import Installed
from agent_tasks.engine.process import runtime as runtime_module
from agent_tasks.engine.process.gate import Gate, NotTaken
from agent_tasks.engine.process.quarantine import Quarantine
from agent_tasks.engine.process.runtime import Runtime
from agent_tasks.engine.process.terms import OURS, Terms
from agent_tasks.store.errors import Contention

SETTINGS = Settings(database_url="postgresql://nobody@localhost:1/none", redis_url="redis://localhost:1/0")


def guest(module: str = "shop") -> GuestProcess:
    app = Celery("theirs", broker="memory://", set_as_current=False)
    return GuestProcess(Installed(app, SETTINGS, module), SETTINGS, sends_events=False)


def request_of(**headers: Any) -> Any:
    return SimpleNamespace(
        id="7:0:1",
        task="hops.hop",
        root_id="7",
        parent_id=None,
        kwargsrepr="{}",
        retries=0,
        headers=headers,
        delivery_info={"routing_key": "agents", "priority": 3},
    )


class Bells:
    def __init__(self) -> None:
        self.back: list[Any] = []

    def put_back(self, messages: list[Any]) -> bool:
        self.back += messages
        return True


def test_a_bell_for_a_process_that_did_not_begin_comes_again_in_a_moment_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bells, closed = Bells(), list[int]()
    made = SimpleNamespace(bells=bells, close=lambda: closed.append(len(bells.back)))
    monkeypatch.setattr("agent_tasks.celery.worker.Deployment", lambda _: made)
    process, headers = guest(), {}
    for passed in range(PASSES):
        process.take(request_of(**headers))
        headers = bells.back[-1].headers
        assert headers[PASSES_HEADER] == passed + 1
        assert headers["eta"]
    process.take(request_of(**headers))
    assert len(bells.back) == PASSES
    assert closed == list(range(1, PASSES + 1)), "a connection is left open"
    assert "the sweep rings again" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("shop", "-Q leaves out agents, agent-tasks-sweeps: steps, or sweeps, that wait there are for other workers; "),
        (["shop", "agents"], "to take them: -Q agents,shop,agent-tasks-sweeps"),
        ("shop,agents,agent-tasks-sweeps", None),
        (None, None),
    ],
)
def test_a_worker_that_was_told_what_to_take_from_says_once_which_of_our_queues_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, chosen: Any, said: str | None
) -> None:
    monkeypatch.setattr(signals.celeryd_after_setup, "receivers", [])
    app: Any = Celery("theirs", broker="memory://", set_as_current=False)
    _consume(app, SETTINGS, chosen)
    signals.celeryd_after_setup.send(sender="w@h", instance=None, conf=app.conf)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


def test_an_app_that_no_new_process_could_import_has_no_quarantine_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert guest("").make_quarantine() is None
    assert "install(app) was called by no module that a new process could import" in caplog.text


@pytest.mark.parametrize("terms", [OURS, Terms(waits_in_slots=False)])
def test_a_step_that_cannot_be_claimed_for_a_lock_is_not_taken_again_at_once(
    monkeypatch: pytest.MonkeyPatch, terms: Terms
) -> None:
    def deliver(*_: Any) -> None:
        raise NotTaken from Contention("the row is locked")

    happened: list[Any] = []
    bells, gate = Bells(), Gate()
    gate.open()
    paused = SimpleNamespace(wait=lambda seconds: happened.append((len(bells.back), seconds)))
    monkeypatch.setattr(runtime_module, "threading", SimpleNamespace(Event=lambda: paused))
    runtime: Any = Runtime.__new__(Runtime)
    runtime.gate, runtime.client, runtime._terms = gate, SimpleNamespace(bells=bells), terms
    runtime._for_later, runtime.executor = deque[Any](), SimpleNamespace(deliver=deliver)
    runtime.take(request_of())
    assert happened == ([(1, 1.0)] if terms.waits_in_slots else [])
    assert len(bells.back) == (1 if terms.waits_in_slots else 0)
    runtime._send_again()  # at the next tick
    assert len(bells.back) == 1


@pytest.mark.parametrize("module", ["shop", ""])
def test_the_quarantine_of_a_teams_worker_looks_in_the_folder_in_which_celery_has_found_the_app(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    begun: list[str] = []

    def begin(arguments: list[str], **_: Any) -> Any:
        begun.append(arguments[-1])
        return SimpleNamespace(pid=1)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("agent_tasks.engine.process.quarantine.subprocess.Popen", begin)
    app = Celery("theirs", broker="memory://", set_as_current=False)
    Quarantine(app, SETTINGS, "w", module)._begin(1, ("agents",))
    assert (str(tmp_path) in begun[0]) == bool(module)
