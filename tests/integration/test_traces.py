"""One trace of a task's whole life: over two workers and a gateway, over the death of a worker, and over restarts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_tasks import AgentTasks
from agent_tasks.task.trace import span_of
from tests.collector import Collector, Seen, collecting
from tests.eventually import eventually
from tests.processes import Processes
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.slow
TRACE, CALLER, SIGNALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "00f067aa0ba902b8"
OTHER_TRACE = "5bf92f3577b34da6a3ce929d0e0e4736"
AGENTS: dict[str, Any] = {"agents": ("tests.agents_traced",), "lease_seconds": 2.0}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector


def start(processes: Processes) -> str:
    """Start two workers and all that belongs to them; return the URL of the gateway."""
    workers = [processes.worker(ready=False, **AGENTS) for _ in range(2)]
    processes.clocked_sweeper(**AGENTS)
    processes.deliverer(**AGENTS)
    _, url = processes.gateway(gateway_auth="off", webhook_allow=("127.0.0.1",), **AGENTS)
    processes.wait_until_ready(*workers)
    return url


def until(collector: Collector, name: str, count: int = 1) -> list[Seen]:
    eventually(lambda: len(collector.named(name)) >= count, 60)
    return collector.named(name)


def test_a_task_is_one_trace_from_the_request_over_a_restart_of_everything_to_its_webhook(
    processes: Processes, client: AgentTasks, collector: Collector
) -> None:
    url = start(processes)
    with receiving() as receiver:
        body = {"agent": "traced", "input": {"topic": "tides"}, "session_id": "s-7", "callback_url": receiver.url}
        answer = httpx2.post(f"{url}/tasks", json=body, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
        task = client.get(answer.raise_for_status().json()["id"])
        own = span_of(task.id)
        assert task.snapshot().traceparent == f"00-{TRACE}-{own}-01"
        eventually(lambda: "approval" in str(task.snapshot().waiting_for), 60)
        until(collector, "step traced.ask")
        until(collector, "webhook task.waiting")
        for process in processes.all:
            process.kill()

        url = start(processes)
        for number, name in enumerate(("approval", "second")):
            eventually(lambda name=name: name in str(task.snapshot().waiting_for), 60)
            sent = httpx2.post(
                f"{url}/tasks/{task.id}/signals/{name}",
                json={"payload": name},
                headers={"traceparent": f"00-{OTHER_TRACE}-{SIGNALLER[:-1]}{number}-01"},
            )
            sent.raise_for_status()
            until(collector, "wait signal", number + 1)
        assert task.result(timeout=60) == {"parts": [1, 2], "second": "second"}
        until(collector, "webhook task.completed")
        until(collector, "invoke_agent traced")
        delivered = {each.headers["traceparent"] for each in receiver.received}

    spans = {span.id: span for span in collector.spans}
    assert {span.trace_id for span in spans.values()} == {TRACE}
    assert len(spans) == len(collector.spans)
    (send,) = collector.named("send traced")
    (invoked,) = collector.named("invoke_agent traced")
    assert (invoked.id, invoked.parent) == (own, send.id)
    assert CALLER in collector.above(send)
    assert (send.service, invoked.service) == ("agent-tasks-gateway", "agent-tasks-worker")
    snapshot = task.snapshot()
    assert snapshot.finished_at is not None
    assert abs(invoked.seconds - (snapshot.finished_at - snapshot.created_at).total_seconds()) < 1e-5
    assert invoked.attributes["agent_tasks.task.status"] == "completed"
    assert invoked.attributes["agent_tasks.spent.tokens"] == 120
    assert {span.parent for span in spans.values() if span.name.startswith(("step traced.", "wait ", "webhook "))} == {
        own
    }

    plan, ask = collector.one("step traced.plan"), collector.one("step traced.ask")
    tool, call = collector.one("execute_tool look_up"), collector.one("call think")
    assert {tool.parent, call.parent} == {plan.id}
    chat = collector.one("chat gpt-4o-mini")
    assert (chat.parent, chat.began, chat.ended) == (call.id, call.began, call.ended)
    assert (chat.attributes["gen_ai.usage.input_tokens"], chat.attributes["gen_ai.usage.output_tokens"]) == (100, 20)
    assert chat.attributes["agent_tasks.spent.usd"] == plan.attributes["agent_tasks.spent.usd"] > 0
    assert chat.attributes["gen_ai.provider.name"] == "openai"

    helpers = collector.named("invoke_agent traced_helper")
    assert {helper.parent for helper in helpers} == {plan.id}
    assert {helper.id for helper in helpers} == {span_of(child.id) for child in task.children()}
    steps = collector.named("step traced_helper.help_out")
    assert {step.parent for step in steps} == {helper.id for helper in helpers}

    (children,) = collector.named("wait children")
    assert plan.began < children.began < children.ended < ask.began
    approval, second = sorted(collector.named("wait signal"), key=lambda span: span.ended)
    for number, wait in enumerate((approval, second)):
        ((trace_id, sender),) = wait.links
        requests = [span for span in collector.all if span.id == sender]  # of FastAPI, where it writes some
        assert (trace_id, requests[0].parent if requests else sender) == (OTHER_TRACE, f"{SIGNALLER[:-1]}{number}")
    assert approval.attributes["agent_tasks.wait.timed_out"] is False
    published = sorted(collector.named("step traced.publish"), key=lambda span: span.began)
    assert [step.attributes["agent_tasks.step.outcome"] for step in published] == ["retried", "parked", "succeeded"]
    assert [step.failed for step in published] == [True, False, False]
    assert len(collector.named("wait retry")) == 1

    webhooks = [span for span in spans.values() if span.name.startswith("webhook ")]
    assert {span.links for span in webhooks} == {((TRACE, own),)}
    assert delivered >= {f"00-{TRACE}-{span.id}-01" for span in webhooks}
    for span in spans.values():
        assert span.attributes["agent_tasks.task.id"]
        assert span.attributes["gen_ai.agent.name"].startswith("traced")
        assert span.attributes["gen_ai.conversation.id"] == "s-7"


def test_a_step_whose_worker_was_killed_goes_on_in_the_same_trace(
    processes: Processes, client: AgentTasks, collector: Collector, tmp_path: Path
) -> None:
    url = start(processes)
    body = {"agent": "traced_mortal", "input": {"died": str(tmp_path / "died")}}
    answer = httpx2.post(f"{url}/tasks", json=body, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    task = client.get(answer.raise_for_status().json()["id"])
    assert task.result(timeout=60) == "alive"
    until(collector, "invoke_agent traced_mortal")
    (again,) = until(collector, "step traced_mortal.second")
    assert again.parent == span_of(task.id)
    assert again.attributes["agent_tasks.step.run"] > 1
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert collector.one("invoke_agent traced_mortal").parent == collector.one("send traced_mortal").id
