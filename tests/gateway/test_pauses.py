"""Pausing over HTTP: a task, and an agent, a queue or a tenant."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.eventually import eventually
from tests.gateway import EVERYTHING, Caller, Gateway, problem_of

NEVER = "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"


@pytest.fixture(scope="module")
def olga(gateway: Gateway) -> Caller:
    return gateway.caller("olga", "acme", [*EVERYTHING, "tasks:all"])


@pytest.fixture
def waiting(ana: Caller) -> Iterator[str]:
    """A task of Ana's that waits for its approval."""
    task = ana.submit("approval", {})
    eventually(lambda: ana.get(f"/tasks/{task['id']}").json()["status"] == "waiting")
    yield task["id"]
    ana.post(f"/tasks/{task['id']}/unpause")
    ana.post(f"/tasks/{task['id']}/cancel")


def pauses(caller: Caller, **asked: Any) -> list[dict[str, Any]]:
    return caller.get("/pauses", params=asked).json()["pauses"]


def test_a_paused_task_begins_no_step_until_it_is_unpaused(ana: Caller, waiting: str) -> None:
    path = f"/tasks/{waiting}"
    before = ana.get(path).headers["etag"]
    held = ana.post(f"{path}/pause", {"reason": "its input is being mended"})
    assert held.status_code == 200, held.text
    paused = held.json()["paused"]
    assert (paused["kind"], paused["name"], paused["by"]) == ("task", waiting, "ana")
    assert paused["reason"] == "its input is being mended"
    during = ana.get(path, headers={"If-None-Match": before})
    assert (during.status_code, during.headers["etag"]) == (200, held.headers["etag"])
    assert during.headers["etag"] != before
    (listed,) = pauses(ana)
    assert (listed["kind"], listed["name"], listed["ended_at"]) == ("task", waiting, None)
    assert ana.post(f"{path}/signals/approval", {"payload": {"ok": True}}).json()["kept"] is True
    assert ana.get(f"{path}/result", headers={"Prefer": "wait=1"}).status_code == 202
    gone_on = ana.post(f"{path}/unpause")
    assert (gone_on.status_code, gone_on.json()["paused"]) == (200, None)
    ana.result(waiting)
    assert pauses(ana) == []
    (ended,) = [pause for pause in pauses(ana, ended=True) if pause["name"] == waiting]
    assert (ended["id"], ended["ended_at"] is not None) == (listed["id"], True)


def test_pausing_twice_unpausing_twice_and_pausing_what_has_ended_change_nothing(ana: Caller, waiting: str) -> None:
    path = f"/tasks/{waiting}"
    assert "is not paused" in problem_of(ana.post(f"{path}/unpause"), 409)["detail"]
    assert ana.post(f"{path}/pause").status_code == 200
    assert "is paused since" in problem_of(ana.post(f"{path}/pause", {"reason": "again"}), 409)["detail"]
    assert ana.get(path).json()["paused"]["reason"] is None
    assert ana.post(f"{path}/unpause").status_code == 200
    ana.post(f"{path}/cancel")
    assert "nothing to pause" in problem_of(ana.post(f"{path}/pause"), 409)["detail"]


@pytest.mark.parametrize("lever", ["pause", "unpause"])
def test_a_task_of_another_is_as_unknown(gateway: Gateway, ana: Caller, waiting: str, lever: str) -> None:
    if lever == "unpause":
        ana.post(f"/tasks/{waiting}/pause")
    before = ana.get(f"/tasks/{waiting}").json()["paused"]
    for stranger in (gateway.caller("bob"), gateway.caller("ana", "evil", [*EVERYTHING, "tasks:all"])):
        refused = stranger.post(f"/tasks/{waiting}/{lever}")
        problem_of(refused, 404)
        unknown = stranger.post(f"/tasks/{NEVER}/{lever}")
        assert refused.text == unknown.text.replace(NEVER, waiting)
        assert pauses(stranger, ended=True) == []
    assert ana.get(f"/tasks/{waiting}").json()["paused"] == before


def test_an_agent_of_a_tenant_is_paused_and_no_other_tenant_notices(gateway: Gateway, olga: Caller) -> None:
    eve = gateway.caller("eve", "other", [*EVERYTHING, "tasks:all"])
    held = olga.post("/pauses", {"agent": "count", "reason": "spends too much"})
    assert held.status_code == 200, held.text
    pause = held.json()
    told = {name: pause[name] for name in ("kind", "name", "tenant", "reason", "by", "ended_at")}
    assert told == {
        "kind": "agent", "name": "count", "tenant": "acme", "reason": "spends too much", "by": "olga", "ended_at": None,
    }  # fmt: skip
    task = olga.submit("count", {"to": 2})
    assert olga.get(f"/tasks/{task['id']}").json()["paused"]["reason"] == "spends too much"
    assert eve.result(eve.submit("count", {"to": 2})["id"]) == 2
    assert (pauses(eve), [each["id"] for each in pauses(olga)]) == ([], [pause["id"]])
    problem_of(eve.ask("DELETE", "/pauses?agent=count"), 409)
    problem_of(olga.post("/pauses", {"agent": "count"}), 409)
    ended = olga.ask("DELETE", "/pauses?agent=count")
    assert (ended.status_code, ended.json()["id"]) == (200, pause["id"])
    assert ended.json()["ended_at"]
    assert olga.result(task["id"]) == 2


def test_operators_pause_what_an_agent_has_of_one_tenant(gateway: Gateway, olga: Caller) -> None:
    root = gateway.caller("root", "ops", ["admin"])
    pause = root.post("/pauses", {"agent": "count", "tenant": "acme"}).json()
    assert (pause["name"], pause["tenant"], pause["by_operators"]) == ("count", "acme", True)
    assert olga.get(f"/tasks/{olga.submit('count', {'to': 1})['id']}").json()["paused"]["by"] == "the operators"
    problem_of(olga.ask("DELETE", "/pauses?agent=count"), 403)
    assert root.ask("DELETE", "/pauses?agent=count&tenant=acme").json()["id"] == pause["id"]


def test_a_page_of_pauses_goes_on_where_the_last_one_ended(gateway: Gateway) -> None:
    boss = gateway.caller("boss", "pages", [*EVERYTHING, "tasks:all"])
    made = [boss.post("/pauses", {"queue": name}).json()["id"] for name in ("one", "two", "three")]
    first = boss.get("/pauses?limit=2").json()
    assert [each["id"] for each in first["pauses"]] == [made[2], made[1]]
    second = boss.get(f"/pauses?limit=2&after={first['next']}").json()
    assert ([each["id"] for each in second["pauses"]], second["next"]) == ([made[0]], None)


def test_what_is_wider_than_ones_own_tasks_takes_tasks_all(ana: Caller, olga: Caller) -> None:
    for answer in (ana.post("/pauses", {"queue": "slow"}), ana.ask("DELETE", "/pauses?queue=slow")):
        assert problem_of(answer, 403)["error"]["details"]["scope"] == "tasks:all"
    problem_of(olga.post("/pauses", {"tenant": "other"}), 403)
    assert pauses(olga) == []


def test_each_takes_its_scope(gateway: Gateway, waiting: str) -> None:
    reader = gateway.caller("ana", scopes=[each for each in (*EVERYTHING, "tasks:all") if each != "tasks:write"])
    for method, path, body in (
        ("POST", f"/tasks/{waiting}/pause", {}),
        ("POST", f"/tasks/{waiting}/unpause", None),
        ("POST", "/pauses", {"queue": "slow"}),
        ("DELETE", "/pauses?queue=slow", None),
    ):
        answer = reader.ask(method, path, **({} if body is None else {"json": body}))
        assert problem_of(answer, 403)["error"]["details"]["scope"] == "tasks:write"
    assert pauses(reader) == []
    writer = gateway.caller("ana", scopes=["tasks:write"])
    assert problem_of(writer.get("/pauses"), 403)["error"]["details"]["scope"] == "tasks:read"


@pytest.mark.parametrize(
    "body",
    [{}, {"agent": "a", "queue": "b"}, {"agent": ""}, {"agent": 7}, {"task": NEVER}, {"queue": "q", "reason": 1}],
)
def test_what_is_to_be_paused_is_named_once(olga: Caller, body: dict[str, Any]) -> None:
    problem_of(olga.post("/pauses", body), 422)
    assert pauses(olga) == []


@pytest.mark.parametrize("asked", ["", "?agent=a&queue=b", "?agent="])
def test_what_is_to_go_on_is_named_once(olga: Caller, asked: str) -> None:
    problem_of(olga.ask("DELETE", f"/pauses{asked}"), 422)
