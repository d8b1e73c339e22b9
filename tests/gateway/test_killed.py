"""Gateways and workers killed with SIGKILL on the way of a task: there is one task, its result, and all its events."""

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import rows
from tests.agents import notes
from tests.conftest import Fleet
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Answer, Caller, Gateway
from tests.processes import Running

EVENTS = {"Accept": "text/event-stream"}


class Doomed:
    """A gateway that will be killed, and a caller who then goes on at another one."""

    def __init__(self, gateway: Gateway, subject: str, **settings: Any) -> None:
        token = gateway.client.create_key(tenant="acme", subject=subject, scopes=EVERYTHING).key
        self.running, url = gateway.processes.gateway(**settings)
        self.first = gateway.caller(token=token, url=url)
        self.other = gateway.caller(token=token)
        self.ask("GET", "/agents")  # for which it loads what kills it

    @property
    def is_alive(self) -> bool:
        return self.running.is_alive

    def dies_of(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request of which the gateway dies, and what the other gateway says to it."""
        with pytest.raises(httpx2.TransportError):
            self.first.ask(method, path, json=body, headers=named(headers))
        assert self.running.wait_for_exit() == -signal.SIGKILL
        return self.ask(method, path, body, **headers)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request to the first gateway while it lives, else, or again, to the other one."""
        options: dict[str, Any] = {"headers": named(headers), **({} if body is None else {"json": body})}
        try:
            return self.first.ask(method, path, **options)
        except httpx2.TransportError:
            assert self.running.wait_for_exit() == -signal.SIGKILL

        def accepted() -> Answer | None:
            answer = self.other.ask(method, path, **options)
            return None if answer.status_code == 409 else answer  # until Postgres has seen that the first is gone

        return eventually(accepted)


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def of_session(caller: Caller, session: str) -> list[dict[str, Any]]:
    return caller.get("/tasks", params={"session_id": session}).json()["tasks"]


def history(caller: Caller, path: str) -> list[str]:
    """The types of all events of a task, which are numbered without a gap."""
    events = caller.get(f"{path}/events").json()["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return [event["type"] for event in events]


def waits(caller: Caller, path: str) -> bool:
    return caller.get(path).json()["status"] == "waiting"


@pytest.mark.parametrize("moment", ["written", "committed"])
def test_a_submit_whose_gateway_is_killed_is_sent_again_and_makes_one_task(gateway: Gateway, moment: str) -> None:
    doomed = Doomed(gateway, f"submits-{moment}", kill_at=f"commit:{moment}")
    body = {"agent": "count", "input": {"to": 2}, "session_id": moment}
    answer = doomed.dies_of("POST", "/tasks", body, Idempotency_Key="once")
    (task,) = of_session(doomed.other, moment)
    assert answer.json()["id"] == task["id"]
    assert doomed.other.result(task["id"]) == 2
    kinds = history(doomed.other, f"/tasks/{task['id']}")
    assert (kinds.count("submitted"), kinds.count("finished")) == (1, 1)
    written = gateway.client.audit(subject=f"submits-{moment}")
    assert [(entry.operation, entry.answer) for entry in written] == [("submit", "accepted")]


def test_a_signal_whose_gateway_is_killed_is_sent_again_and_has_one_effect(gateway: Gateway) -> None:
    doomed = Doomed(gateway, "signals", kill_at="commit:committed")
    path = f"/tasks/{doomed.other.submit('approval')['id']}"
    eventually(lambda: waits(doomed.other, path))
    answer = doomed.dies_of("POST", f"{path}/signals/approval", {"payload": {"ok": True}, "signal_id": "one"})
    assert answer.status_code == 200, answer.text
    assert doomed.other.result(path.rpartition("/")[2]) == {"draft": "a draft", "ok": True, "by": "signals"}
    assert history(doomed.other, path).count("signalled") == 1


def test_a_cancel_whose_gateway_is_killed_before_its_commit_has_ended_nothing(gateway: Gateway) -> None:
    doomed = Doomed(gateway, "cancels", kill_at="commit:written")
    path = f"/tasks/{doomed.other.submit('foreman', {'family': [{'agent': 'approval'}] * 2})['id']}"
    eventually(lambda: waits(doomed.other, path))
    assert doomed.dies_of("POST", f"{path}/cancel", {"reason": "enough"}).json()["status"] == "cancelled"
    children = doomed.other.get(f"{path}/children").json()["tasks"]
    assert [child["status"] for child in children] == ["cancelled", "cancelled"]
    for each in (path, *(f"/tasks/{child['id']}" for child in children)):
        assert history(doomed.other, each).count("finished") == 1


def streamed(caller: Caller, path: str, after: int = 0) -> Iterator[tuple[int, str]]:
    """Number and type of each event until the end, or until the connection breaks."""
    head = {**EVENTS, **({"Last-Event-ID": str(after)} if after else {})}
    try:
        with caller.http.stream("GET", f"{path}/events", headers=head) as answer:
            number = 0
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "event":
                    yield (0 if value == "end" else number), value
    except httpx2.TransportError:
        return


def test_gateway_and_worker_are_killed_while_a_step_runs_and_its_events_are_read(
    gateway: Gateway, fleet: Fleet, tmp_path: Path
) -> None:
    doomed = Doomed(gateway, "reads")
    worker = gateway.processes.worker(queue="killed", quantum_seconds=0)
    options = {"input": {"folder": str(tmp_path)}, "queue": "killed"}
    path = f"/tasks/{doomed.first.submit('relay', **options)['id']}"
    seen: list[tuple[int, str]] = []
    for event in streamed(doomed.first, path):
        seen.append(event)
        if [kind for _, kind in seen].count("claimed") == 2 and doomed.is_alive:  # of `held`, which pays and waits
            eventually(lambda: rows.is_paid(fleet.client))
            worker.kill()
            doomed.running.kill()
    assert seen[-1][1] != "end"
    gateway.processes.worker(queue="killed", ready=False)
    (tmp_path / "go").touch()
    assert doomed.other.result(path.rpartition("/")[2]) == "done"
    seen += streamed(doomed.other, path, seen[-1][0])
    assert seen.pop() == (0, "end")
    assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
    assert [kind for _, kind in seen] == history(doomed.other, path)
    assert "expired" in history(doomed.other, path)
    assert notes(tmp_path).count("paid") == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_gateway_is_killed_before_each_statement_of_the_whole_flow_in_turn(gateway: Gateway) -> None:
    worker = gateway.processes.worker(queue="flow")
    for number in itertools.count(1):
        doomed = Doomed(gateway, f"flow-{number}", kill_at=f"request:{number}")
        worker = walk(gateway, doomed, f"flow-{number}", worker)
        if doomed.is_alive:
            break
        assert number < 200
    assert number > 20
    worker.kill()


def walk(gateway: Gateway, doomed: Doomed, session: str, worker: Running) -> Running:
    """One task from its submit to its end, whose worker is killed while it waits; returns the worker after it."""
    body = {"agent": "approval", "input": {}, "session_id": session, "queue": "flow"}
    accepted = doomed.ask("POST", "/tasks", body, Idempotency_Key=session)
    path = accepted.headers["location"]
    eventually(lambda: doomed.ask("GET", path).json()["status"] == "waiting")
    worker.kill()
    worker = gateway.processes.worker(queue="flow", ready=False)
    waiting = doomed.ask("GET", "/waiting?kind=signal").json()["tasks"]
    assert accepted.json()["id"] in [task["id"] for task in waiting]
    sent = {"payload": {"ok": True}, "signal_id": "one"}
    assert doomed.ask("POST", f"{path}/signals/approval", sent).status_code == 200
    result = doomed.ask("GET", f"{path}/result", Prefer="wait=30")
    assert (result.status_code, result.json()["ok"]) == (200, True)
    assert doomed.ask("POST", f"{path}/acknowledge").json()["acknowledged_at"]
    schedule = {"agent": "count", "input": {"to": 1}, "every": 3600.0}
    assert doomed.ask("PUT", f"/schedules/{session}", schedule).status_code == 200
    assert doomed.ask("DELETE", f"/schedules/{session}").status_code in (204, 404)
    assert doomed.ask("GET", f"/schedules/{session}").status_code == 404
    (task,) = of_session(doomed.other, session)
    assert task["id"] == accepted.json()["id"]
    kinds = history(doomed.other, path)
    assert [kinds.count(kind) for kind in ("submitted", "signalled", "finished")] == [1, 1, 1]
    return worker
