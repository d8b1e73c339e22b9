"""A task over HTTP, from its submit to its end."""

import pytest

from tests.database import query
from tests.eventually import eventually
from tests.gateway import Caller, Gateway, problem_of


def test_a_task_is_accepted_at_once_and_its_result_is_there_later(ana: Caller) -> None:
    answer = ana.post("/tasks", {"agent": "count", "input": {"to": 3}, "metadata": {"ticket": 7}})
    assert answer.status_code == 202
    accepted = answer.json()
    assert answer.headers["location"] == f"/tasks/{accepted['id']}"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["etag"] == f'"{accepted["version"]}"'
    assert accepted["identity"] == {"subject": "ana", "tenant": "acme", "scopes": [*ana_scopes(accepted)], "actors": []}
    assert accepted["metadata"] == {"ticket": 7}
    assert accepted["mode"] == "async"
    assert ana.result(accepted["id"]) == 3
    seen = ana.get(answer.headers["location"])
    assert seen.json()["status"] == "completed"
    assert "retry-after" not in seen.headers


def ana_scopes(snapshot: dict[str, dict[str, list[str]]]) -> list[str]:
    return snapshot["identity"]["scopes"]


def test_a_version_that_is_known_is_not_sent_again(ana: Caller) -> None:
    task = ana.submit("count", {"to": 1})
    ana.result(task["id"])
    first = ana.get(f"/tasks/{task['id']}")
    for known in (first.headers["etag"], f"W/{first.headers['etag']}", f'"0", {first.headers["etag"]}', "*"):
        again = ana.get(f"/tasks/{task['id']}", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert ana.get(f"/tasks/{task['id']}", headers={"If-None-Match": '"0"'}).status_code == 200


def test_a_task_waits_for_its_signal(ana: Caller) -> None:
    task = ana.submit("approval", {})
    path = f"/tasks/{task['id']}"
    eventually(lambda: ana.get(path).json()["status"] == "waiting")
    waiting = ana.get("/waiting", params={"kind": "signal"}).json()["tasks"]
    assert task["id"] in [each["id"] for each in waiting]
    assert ana.get(f"{path}/result").status_code == 202
    sent = ana.post(f"{path}/signals/approval", {"payload": {"ok": True}, "signal_id": "one"})
    assert (sent.status_code, sent.json()["delivered"]) == (200, True), sent.text
    ana.result(task["id"])
    again = ana.post(f"{path}/signals/approval", {"payload": {"ok": True}, "signal_id": "one"})
    assert again.json()["kept"] is True


def test_a_task_is_cancelled_and_resumed(ana: Caller) -> None:
    task = ana.submit("approval", {})
    path = f"/tasks/{task['id']}"
    problem_of(ana.post(f"{path}/resume"), 409)
    problem_of(ana.post(f"{path}/acknowledge"), 409)
    eventually(lambda: ana.get(path).json()["status"] == "waiting")
    ended = ana.post(f"{path}/cancel", {"reason": "not needed"})
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")
    failed = problem_of(ana.get(f"{path}/result"), 424)
    assert (failed["error"]["type"], failed["error"]["details"]["reason"]) == ("cancelled", "not needed")
    resumed = ana.post(f"{path}/resume", {"budget": {"seconds": 60.0}})
    assert (resumed.status_code, resumed.json()["resumed_from"]) == (202, task["id"])
    assert resumed.json()["budget"]["limit"]["seconds"] == 60
    assert ana.post(f"{path}/acknowledge").json()["acknowledged_at"]


def test_a_task_says_where_it_is_called_back(ana: Caller, gateway: Gateway) -> None:
    def called_back(id: str) -> str:
        (row,) = query(gateway.client, "SELECT callback_url FROM agent_tasks.tasks WHERE id = %s", id)
        return row["callback_url"]

    task = ana.submit("approval", {}, callback_url="https://a.example/hook")
    assert called_back(task["id"]) == "https://a.example/hook"
    path = f"/tasks/{task['id']}"
    ana.post(f"{path}/cancel")
    resumed = ana.post(f"{path}/resume", {"callback_url": "https://b.example/hook"}).json()
    assert called_back(resumed["id"]) == "https://b.example/hook"
    ana.post(f"/tasks/{resumed['id']}/cancel")
    for wrong in ("http://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "https://ana@a.example/", "a.example", ""):
        for refused in (
            ana.post("/tasks", {"agent": "approval", "callback_url": wrong}),
            ana.post(f"{path}/resume", {"callback_url": wrong}),
        ):
            assert problem_of(refused, 422)["error"]["details"]["field"] == "callback_url"


@pytest.mark.parametrize("key", ["bare-key", '"a quoted one"'])
def test_a_request_with_the_same_key_is_the_same_task(ana: Caller, key: str) -> None:
    headers = {"Idempotency-Key": key}
    body = {"agent": "count", "input": {"to": 1}, "priority": 3}
    first = ana.post("/tasks", body, headers=headers)
    again = ana.post("/tasks", dict(reversed(body.items())), headers=headers)
    assert first.json()["id"] == again.json()["id"]
    other = problem_of(ana.post("/tasks", {**body, "priority": 4}, headers=headers), 422)
    assert other["error"]["details"]["task_id"] == first.json()["id"]


@pytest.mark.parametrize("key", ["", '""', "ä", "x" * 256, '"half', "two words"])
def test_a_key_that_cannot_be_one_is_refused(ana: Caller, key: str) -> None:
    answer = ana.post("/tasks", {"agent": "count", "input": {"to": 1}}, headers={b"Idempotency-Key": key.encode()})
    assert problem_of(answer, 400)["field"] == "Idempotency-Key"


@pytest.mark.parametrize("id", ["nonsense", "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77", "0198c2f4", "%00", "a" * 5000, "٣"])
@pytest.mark.parametrize("path", ["", "/result", "/events", "/tree", "/children", "/calls"])
def test_an_id_of_no_task_is_not_found(ana: Caller, id: str, path: str) -> None:
    assert problem_of(ana.get(f"/tasks/{id}{path}"), 404)["error"]["type"] == "invalid_input"


def test_an_agent_that_nobody_has_is_named(ana: Caller) -> None:
    problem = problem_of(ana.post("/tasks", {"agent": "nobody", "input": {}}), 422)
    assert "nobody" in problem["detail"]


def test_an_input_that_the_step_does_not_take_names_the_field(ana: Caller) -> None:
    problem = problem_of(ana.post("/tasks", {"agent": "count", "input": {"to": "x"}}), 422)
    assert "to" in problem["field"]


def test_paths_and_methods_that_are_not_there(gateway: Gateway) -> None:
    nobody = gateway.caller(None)
    assert problem_of(nobody.get("/nothing"), 404)["type"] == "urn:agent-tasks:problem:no_such_path"
    assert problem_of(nobody.ask("PATCH", "/tasks"), 405)["type"] == "urn:agent-tasks:problem:method_not_allowed"


def test_whoever_has_no_token_is_told_how_to_send_one(gateway: Gateway) -> None:
    answer = gateway.caller(None).post("/tasks", {"nonsense": 1})
    problem_of(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_health_is_told_without_a_token(gateway: Gateway) -> None:
    nobody = gateway.caller(None)
    assert nobody.get("/healthz").json() == {"status": "ok"}
    ready = nobody.get("/readyz").json()
    assert ready == {"status": "ok", "checks": {"postgres": "ok", "redis": "ok", "schema": "ok"}}
    problem_of(nobody.get("/metrics"), 401)
    assert "agent_tasks" in gateway.caller(scopes=["admin"]).get("/metrics").text
