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
