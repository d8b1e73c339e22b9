"""Traces: kept with the task, told by its bell, and handed down."""

import json
from typing import Any

import pytest
from opentelemetry import trace

from agent_tasks import AgentTasks, InvalidInput
from agent_tasks.client.handle import TaskHandle
from agent_tasks.doorbell.lists import OURS
from agent_tasks.task.trace import below, check_traceparent, span_of
from tests.database import claimed, query
from tests.database.children import broken, run_child, spawn

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def trace_id(task: TaskHandle) -> str:
    traceparent = task.stored().traceparent
    return check_traceparent(traceparent).split("-")[1]


def parent_span(client: AgentTasks, task: TaskHandle) -> str | None:
    return query(client, "SELECT parent_span FROM agent_tasks.tasks WHERE id = %s", task.id)[0]["parent_span"]


def headers(client: AgentTasks, queue: str = "agents") -> list[dict[str, Any]]:
    messages = [json.loads(m) for key in OURS.of(queue) for m in client.redis.lrange(key, 0, -1)]  # type: ignore[union-attr]
    return [message["headers"] for message in messages]


def test_a_task_has_a_span_of_its_own_in_the_trace_that_is_given_which_is_shown_and_told_by_the_bell(
    client: AgentTasks,
) -> None:
    task = client.submit("echo", traceparent=GIVEN)
    own = below(GIVEN, task.id)
    assert own == f"{GIVEN[:36]}{span_of(task.id)}-01"
    assert task.snapshot().traceparent == client.get(task.id).snapshot().traceparent == task.stored().traceparent == own
    assert [header["traceparent"] for header in headers(client)] == [own]
    assert parent_span(client, task) == GIVEN[36:52]


def test_the_trace_of_the_callers_span_is_taken_where_none_is_given(client: AgentTasks) -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(7, 9, is_remote=False, trace_flags=trace.TraceFlags(1)))
    with trace.use_span(span):
        task = client.submit("echo")
        assert task.stored().traceparent == f"00-{7:032x}-{span_of(task.id)}-01"
        assert parent_span(client, task) == f"{9:016x}"
        assert trace_id(client.submit("echo", traceparent=GIVEN)) == GIVEN[3:35]


def test_without_a_span_each_root_begins_a_trace_of_its_own(client: AgentTasks) -> None:
    tasks = [client.submit("echo"), client.submit("echo"), *client.submit_many("echo", [{}] * 3)]
    assert len({trace_id(task) for task in tasks}) == 5
    assert {parent_span(client, task) for task in tasks} == {None}
    many = client.submit_many("echo", [{}] * 3, traceparent=GIVEN)
    assert {trace_id(task) for task in many} == {GIVEN[3:35]}
    assert len({task.stored().traceparent for task in many}) == 3


def test_what_is_no_traceparent_is_refused_before_anything_is_written(client: AgentTasks) -> None:
    with pytest.raises(InvalidInput, match="W3C"):
        client.submit("echo", traceparent="00-abc")
    assert query(client, "SELECT FROM agent_tasks.tasks") == []


def test_a_resumed_task_and_the_children_that_go_on_with_it_stay_in_the_trace(client: AgentTasks) -> None:
    task = client.submit("echo", traceparent=GIVEN)
    children = spawn(client, claimed(client, task.id), 2)
    query(client, "UPDATE agent_tasks.tasks SET traceparent = %s WHERE id = ANY (%s)", GIVEN, children)
    for child in children:
        run_child(client, child, broken)
    client.get(task.id).cancel()
    again = task.resume()
    assert again.stored().traceparent == below(GIVEN, again.id)
    assert parent_span(client, again) == span_of(task.id)
    nodes = again.tree().children
    assert [node.snapshot.traceparent for node in nodes] == [below(GIVEN, node.snapshot.id) for node in nodes]


def test_a_task_from_before_there_were_traces_is_rung_without_one(client: AgentTasks) -> None:
    task = client.submit("echo", queue="old")
    query(client, "UPDATE agent_tasks.tasks SET traceparent = NULL WHERE id = %s", task.id)
    client.redis.delete(*OURS.of("old"))
    client.publish([client.find_row(task.id)])
    assert ["traceparent" in header for header in headers(client, "old")] == [False]


def test_a_schedule_begins_a_trace_with_each_task(client: AgentTasks) -> None:
    with pytest.raises(InvalidInput, match="a trace of its own") as caught:
        client.schedule("echo", every=60, traceparent=GIVEN)
    assert caught.value.details["field"] == "traceparent"
