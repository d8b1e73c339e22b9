"""GET /tasks and GET /spend: what is found by their parameters, and what is refused."""

from typing import Any

import pytest

from agent_tasks import Identity
from tests.database import query
from tests.gateway import Caller, Gateway, problem_of

EVE = Identity(subject="eve", tenant="other")


def found(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json()["tasks"]]


def test_tasks_are_found_by_each_parameter(ana: Caller) -> None:
    task = ana.post("/tasks", {"agent": "approval", "input": {}, "metadata": {"ticket": "a=b", "of": "search"}}).json()
    ended = ana.post(f"/tasks/{task['id']}/cancel", {"reason": "nobody needs the flamingo"}).json()
    asked: list[dict[str, Any]] = [
        {"metadata": "ticket=a=b"}, {"metadata": ["of=search", "ticket=a=b"]}, {"text": "flamingo"},
        {"text": task["id"]}, {"error_type": "cancelled", "text": "flaming", "queue": task["queue"]},
        {"step": ended["step"], "agent": "approval", "text": "flamingo", "ended_after": task["created_at"]},
        {"created_after": task["created_at"], "ended_before": "2999-01-01T00:00:00Z", "metadata": "of=search"},
    ]  # fmt: skip
    for parameters in asked:
        assert found(ana.get("/tasks", params=parameters)) == [task["id"]], parameters
    assert found(ana.get("/tasks", params={"created_before": "2020-01-01T00:00:00Z"})) == []


def test_pages_of_tasks_by_their_ends_go_on_by_their_cursor(ana: Caller) -> None:
    tasks = [ana.submit("approval", {}, metadata={"of": "pages"})["id"] for _ in range(3)]
    for task in reversed(tasks):
        ana.post(f"/tasks/{task}/cancel")
    parameters = {"metadata": "of=pages", "ended_after": "2020-01-01T00:00:00Z", "limit": 2}
    first = ana.get("/tasks", params=parameters)
    assert found(first) == tasks[:2]
    assert found(ana.get("/tasks", params={**parameters, "after": first.json()["next"]})) == tasks[2:]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"metadata": "ticket"}, "metadata"), ({"text": "?"}, "text"), 
        ({"ended_after": "2026-11-27T09:00"}, "ended_after"),
        ({"metadata": [f"{n}=1" for n in range(9)]}, "metadata"), ({"step": ""}, "step"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_by_its_name(ana: Caller, parameters: dict[str, Any], field: str) -> None:
    assert problem_of(ana.get("/tasks", params=parameters), 422)["field"] == field


def test_a_time_without_its_zone_is_refused_with_one_that_would_do(ana: Caller) -> None:
    problem = problem_of(ana.get("/tasks", params={"ended_after": "2026-11-27T09:00"}), 422)
    assert "as in 2026-11-27T09:00:00Z, not '2026-11-27T09:00:00'" in problem["detail"]


def test_a_key_of_metadata_may_be_long(ana: Caller) -> None:
    assert found(ana.get("/tasks", params={"metadata": "k" * 10_240 + "=1"})) == []


def test_spend_is_that_of_the_callers_own_tasks_and_anothers_is_refused(ana: Caller, gateway: Gateway) -> None:
    own = ana.submit("approval", {})["id"]
    others = gateway.client.submit("approval", identity=EVE).id
    sql = """
        INSERT INTO agent_tasks.events (task_id, seq, type, data)
        VALUES (%s, 900, 'charged', '{"tokens": 5, "usd": 0.5, "model": "large"}'), (%s, 900, 'charged', '{"usd": 9}')
    """
    query(gateway.client, sql, own, others)
    answer = ana.get("/spend", params={"by": ["tenant", "model"]})
    assert answer.status_code == 200, answer.text
    (spent,) = [each for each in answer.json()["spend"] if each["model"] == "large"]
    assert (spent["tenant"], spent["tokens"], spent["usd"]) == ("acme", 5, 0.5)
    assert {each["tenant"] for each in answer.json()["spend"]} == {"acme"}
    assert problem_of(ana.get("/spend", params={"tenant": "other"}), 403)["type"].endswith("permission_denied")
    assert problem_of(ana.get("/spend", params={"by": "colour"}), 422)


def test_the_audit_is_that_of_the_caller_or_its_tenant(ana: Caller, gateway: Gateway) -> None:
    task = ana.submit("approval", {})["id"]
    ana.post(f"/tasks/{task}/cancel", {"reason": "no need"})
    eve = gateway.caller("eve", "other", ["tasks:write", "tasks:read", "tasks:all"])
    theirs = eve.submit("approval", {})["id"]
    first = ana.get("/audit", params={"task_id": task, "limit": 1})
    assert first.status_code == 200, first.text
    (entry,) = first.json()["entries"]
    assert (entry["operation"], entry["door"], entry["data"]) == ("cancel", "http", {"reason": "no need"})
    (submit,) = ana.get("/audit", params={"task_id": task, "after": first.json()["next"]}).json()["entries"]
    assert (submit["operation"], submit["subject"]) == ("submit", "ana")
    for asked in ({"task_id": theirs}, {"tenant": "other"}):
        assert ana.get("/audit", params=asked).json() == {"entries": [], "next": None}
        assert theirs in {each["task_id"] for each in eve.get("/audit", params=asked).json()["entries"]}
    boss = gateway.caller("boss", "acme", ["tasks:read", "tasks:all"])
    assert boss.get("/audit", params={"task_id": task}).json()["entries"][0] == entry
    root = gateway.caller("root", "ops", ["admin"])
    assert root.get("/audit", params={"task_id": theirs}).json()["entries"]
    assert problem_of(ana.get("/audit", params={"task_id": "7"}), 422)["field"] == "task_id"
    assert problem_of(ana.get("/audit", params={"limit": 0}), 422)["field"] == "limit"


def test_what_steps_have_logged_is_paged_and_not_anothers_to_read(ana: Caller, gateway: Gateway) -> None:
    task = ana.submit("approval", {})["id"]
    sql = """
        INSERT INTO agent_tasks.logs (task_id, at, level, logger, message, step, step_number, run)
        VALUES (%s, now(), 'info', 'acme', 'one', 'ask', 0, 1), (%s, now(), 'error', 'acme', 'two', 'ask', 0, 1)
    """
    query(gateway.client, sql, task, task)
    page = ana.get(f"/tasks/{task}/logs", params={"limit": 1}).json()
    assert [line["message"] for line in page["logs"]] == ["one"]
    last = ana.get(f"/tasks/{task}/logs", params={"after": page["next"]}).json()
    assert [(line["message"], line["level"]) for line in last["logs"]] == [("two", "error")]
    assert ana.get(f"/tasks/{task}/logs", params={"after": last["next"]}).json() == {"logs": [], "next": last["next"]}
    assert problem_of(gateway.caller("eve", "other").get(f"/tasks/{task}/logs"), 404)
    assert problem_of(ana.get(f"/tasks/{task}/logs", params={"after": -1}), 422)["field"] == "after"
