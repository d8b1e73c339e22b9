"""Tenants are sealed off from each other, and each has limits of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from agent_tasks import AgentTasks
from tests.conftest import fresh_deployment
from tests.database import query
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Answer, Caller, Gateway, problem_of
from tests.processes import Processes

RATE, OPEN_TASKS = 20, 3
COUNT = {"agent": "count", "input": {"to": 1}}
SCHEDULE = {**COUNT, "every": 9000}


@pytest.fixture(scope="module")
def gateway(server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One with low limits, and without a worker: what is submitted stays open. Each test has tenants of its own."""
    with (
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, tmp_path_factory.mktemp("sealed")) as processes,
    ):
        agents = (*settings.agents, "tests.agents_allowed")
        limits = {"gateway_rate": f"{RATE}/hour", "gateway_open_tasks": OPEN_TASKS}
        running, url = processes.gateway(agents=agents, **limits)
        gateway = Gateway(AgentTasks(settings), processes, running, url)
        yield gateway
        gateway.close()
        gateway.client.close()


def ids(answer: Answer) -> list[str]:
    return [task["id"] for task in answer.json()["tasks"]]


def test_a_key_is_of_one_subject_of_one_tenant(gateway: Gateway) -> None:
    callers = [gateway.caller(subject, tenant) for tenant in ("k1", "k2") for subject in ("ana", "bob")]
    made = [who.post("/tasks", COUNT, headers={"Idempotency-Key": "one"}).json()["id"] for who in callers]
    assert len(set(made)) == 4
    again = [who.post("/tasks", COUNT, headers={"Idempotency-Key": "one"}).json()["id"] for who in callers[2:]]
    assert again == made[2:]
    assert [entry.operation for entry in gateway.client.audit(tenant="k1")] == ["submit"] * 2


def test_a_request_whose_key_is_being_accepted_is_told_to_come_again(gateway: Gateway) -> None:
    ana, eve = gateway.caller("ana", "h1"), gateway.caller("ana", "h2")
    headers = {"Idempotency-Key": "held"}
    with (
        ThreadPoolExecutor(2) as threads,
        psycopg.connect(gateway.client.settings.database_url) as holder,
    ):
        holder.execute("LOCK TABLE agent_tasks.idempotency_keys IN EXCLUSIVE MODE")
        first = threads.submit(ana.post, "/tasks", COUNT, headers=headers)
        eventually(lambda: waiting_for_keys(gateway) == 1)
        second = problem_of(gateway.caller("ana", "h1").post("/tasks", COUNT, headers=headers), 409)
        assert second["error"]["retry_after"] == 1
        other = threads.submit(eve.post, "/tasks", COUNT, headers=headers)
        eventually(lambda: waiting_for_keys(gateway) == 2)  # it is not refused because of another tenant's
        holder.rollback()
        accepted = first.result()
        assert (accepted.status_code, other.result().status_code) == (202, 202)
    again = ana.post("/tasks", COUNT, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, accepted.json()["id"])
    told = [(entry.answer, entry.task_id is None) for entry in gateway.client.audit(tenant="h1")]
    assert told == [("accepted", False), ("invalid_input", True)]


def waiting_for_keys(gateway: Gateway) -> int:
    sql = "SELECT count(*) AS n FROM pg_locks WHERE relation = 'agent_tasks.idempotency_keys'::regclass AND NOT granted"
    return query(gateway.client, sql)[0]["n"]


def test_of_many_with_the_same_key_at_once_one_task_is_made(gateway: Gateway) -> None:
    callers = [gateway.caller("ana", "race") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda who: who.post("/tasks", COUNT, headers={"Idempotency-Key": "r"}), callers))
    assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == set(
        ids(callers[0].get("/tasks"))
    )
    assert all(problem_of(each, 409) and each.headers["retry-after"] for each in answers if each.status_code != 202)
    assert len(ids(callers[0].get("/tasks"))) == 1


def test_a_schedule_is_of_one_tenant_and_admin_says_which_is_meant(gateway: Gateway) -> None:
    ana, eve, root = gateway.caller("ana", "s1"), gateway.caller("ana", "s2"), gateway.caller("root", "s0", ["admin"])
    for who in (ana, eve):
        assert who.ask("PUT", "/schedules/daily", json=SCHEDULE).status_code == 200
    assert [each["tenant"] for each in ana.get("/schedules").json()["schedules"]] == ["s1"]
    for method in ("GET", "DELETE"):
        problem_of(ana.ask(method, "/schedules/daily", params={"tenant": "s2"}), 404)
        assert problem_of(root.ask(method, "/schedules/daily"), 422)["field"] == "tenant"
    assert root.get("/schedules/daily", params={"tenant": "s2"}).json()["tenant"] == "s2"
    assert root.ask("DELETE", "/schedules/daily", params={"tenant": "s2"}).status_code == 204
    assert (ana.get("/schedules/daily").status_code, eve.get("/schedules/daily").status_code) == (200, 404)
    assert root.ask("PUT", "/schedules/daily", json=SCHEDULE).json()["tenant"] == "s0"
    assert [(e.subject, e.operation, e.target) for e in gateway.client.audit(tenant="s0", limit=2)] == [
        ("root", "schedule", "daily"), ("root", "unschedule", "daily"),
    ]  # fmt: skip


def test_filters_and_cursors_of_others_find_nothing_of_theirs(gateway: Gateway) -> None:
    ana, eve = gateway.caller("ana", "l1"), gateway.caller("ana", "l2", [*EVERYTHING, "tasks:all"])
    first, theirs, last = ana.submit("count", {"to": 1}), eve.submit("count", {"to": 1}), ana.submit("count", {"to": 2})
    page = ana.get("/tasks", params={"limit": 1}).json()
    assert [task["id"] for task in page["tasks"]] == [last["id"]]
    assert ids(ana.get("/tasks", params={"after": page["next"]})) == [first["id"]]
    assert ids(eve.get("/tasks", params={"after": page["next"]})) == [theirs["id"]]
    assert ids(eve.get("/tasks", params={"tenant": "l1"})) == ids(eve.get("/waiting", params={"tenant": "l1"})) == []
    assert eve.get("/tasks", params={"tenant": "l1"}).json()["next"] is None


def test_the_queue_of_a_session_is_that_of_the_callers_own(gateway: Gateway) -> None:
    ana, eve, root = gateway.caller("ana", "q1"), gateway.caller("ana", "q2"), gateway.caller("root", "q0", ["admin"])
    ana.submit("count", {"to": 1}, session_id="s", queue="own")
    assert ana.submit("count", {"to": 1}, session_id="s")["queue"] == "own"
    assert [who.submit("count", {"to": 1}, session_id="s")["queue"] for who in (eve, root)] == ["agents"] * 2


def test_a_tenant_has_a_rate_and_no_other_feels_it(gateway: Gateway) -> None:
    ana, bob, eve = gateway.caller("ana", "r1"), gateway.caller("bob", "r1"), gateway.caller("ana", "r2")
    left = [remaining((ana if turn % 2 else bob).get("/agents")) for turn in range(RATE)]
    assert left == list(range(RATE - 1, -1, -1))
    refused = ana.post("/tasks", COUNT)
    assert problem_of(refused, 429)["type"] == "urn:agent-tasks:problem:rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 3600 // RATE
    assert refused.headers["ratelimit-policy"] == f'"default";q={RATE};w=3600'
    assert remaining(refused) == 0
    assert remaining(eve.get("/agents")) == RATE - 1
    assert remaining(problem_asked(eve)) == RATE - 2
    assert gateway.client.audit(tenant="r1") == []


def problem_asked(caller: Caller) -> Answer:
    answer = caller.get("/tasks/none")
    problem_of(answer, 404)
    return answer


def remaining(answer: Answer) -> int:
    return int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0])


def test_requests_are_let_through_while_redis_is_away(gateway: Gateway) -> None:
    _, url = gateway.processes.gateway(redis_url="redis://127.0.0.1:1/0", gateway_rate="1/hour")
    ana = gateway.caller("ana", "a1", url=url)
    for _ in range(3):
        answer = ana.get("/agents")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


def test_a_tenant_may_have_so_many_open_tasks(gateway: Gateway) -> None:
    ana, bob, eve = gateway.caller("ana", "o1"), gateway.caller("bob", "o1"), gateway.caller("ana", "o2")
    tasks = [who.submit("count", {"to": 1})["id"] for who in (ana, bob, ana)]
    assert len(tasks) == OPEN_TASKS
    refused = bob.post("/tasks", COUNT)
    assert problem_of(refused, 429)["type"] == "urn:agent-tasks:problem:too_many_open_tasks"
    assert refused.headers["retry-after"] == "5"
    eve.submit("count", {"to": 1})
    problem_of(ana.post("/tasks", COUNT, headers={"Idempotency-Key": "new"}), 429)
    assert ana.post(f"/tasks/{tasks[0]}/cancel").status_code == 200
    assert ana.post(f"/tasks/{tasks[0]}/resume").status_code == 202
    problem_of(ana.post(f"/tasks/{tasks[0]}/resume"), 429)
    assert [e.operation for e in gateway.client.audit(tenant="o1")] == ["resume", "cancel", *["submit"] * 3]


def test_a_request_that_is_sent_again_gets_its_task_also_where_no_other_may_be_opened(gateway: Gateway) -> None:
    ana, bob = gateway.caller("ana", "o3"), gateway.caller("bob", "o3")
    first = ana.post("/tasks", COUNT, headers={"Idempotency-Key": "once"})
    for _ in range(OPEN_TASKS - 1):
        ana.submit("count", {"to": 1})
    again = ana.post("/tasks", COUNT, headers={"Idempotency-Key": '"once"'})
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    problem_of(bob.post("/tasks", COUNT, headers={"Idempotency-Key": "once"}), 429)


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("seconds", "-1"), ("seconds", "0"), ("tokens", "1.5"), ("tokens", "9223372036854775808"), ("usd", "1e301"),
        ("steps", "true"), ("calls", '"7"'), ("calls", "2147483648"), ("pence", "1"),
    ],
)  # fmt: skip
def test_a_budget_that_is_none_is_refused_by_its_field(gateway: Gateway, name: str, amount: str) -> None:
    ana, head = gateway.caller("ana", f"b {name} {amount}"), {"Content-Type": "application/json"}
    body = f'{{"agent": "count", "input": {{"to": 1}}, "budget": {{"{name}": {amount}}}}}'
    problem = problem_of(ana.ask("POST", "/tasks", content=body, headers=head), 422)
    assert problem["field"] == f"budget.{name}"
    assert ids(ana.get("/tasks")) == []


@pytest.mark.parametrize("scopes", [EVERYTHING, ("admin",)])
def test_an_agent_that_needs_a_scope_is_not_run_without_it(gateway: Gateway, scopes: tuple[str, ...]) -> None:
    tenant = f"g-{scopes[0]}"
    body = {"agent": "guarded", "input": {"name": "look_up"}}
    problem = problem_of(gateway.caller("ana", tenant, scopes).post("/tasks", body), 403)
    assert problem["error"]["details"] == {"agent": "guarded", "missing": ["words:read"]}
    assert [(e.operation, e.answer) for e in gateway.client.audit(tenant=tenant)] == [("submit", "permission_denied")]
    assert gateway.caller("ana", tenant, [*scopes, "words:read"]).post("/tasks", body).status_code == 202


def test_nothing_but_the_token_says_who_asks(gateway: Gateway) -> None:
    ana = gateway.caller("ana", "f1")
    who: dict[str, Any] = {"subject": "eve", "tenant": "f2"}
    for more in ({"identity": who}, who):
        problem_of(ana.post("/tasks", {**COUNT, **more}), 422)
    task = ana.post("/tasks", {**COUNT, "metadata": who}, headers={"X-Tenant": "f2", "X-Subject": "eve"}).json()
    assert (task["identity"]["subject"], task["identity"]["tenant"]) == ("ana", "f1")
    problem_of(ana.post(f"/tasks/{task['id']}/signals/go", {"identity": who}), 422)
    token = ana.http.headers["authorization"]
    twice = [("Authorization", token), ("Authorization", "Bearer at_0")]
    problem_of(gateway.caller(None).get("/tasks", headers=twice), 401)
