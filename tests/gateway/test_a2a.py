"""A2A: messages begin tasks and answer what they wait for, over both bindings, with one card."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")

from a2a.types import a2a_pb2 as a2a
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError

from tests.conftest import Fleet
from tests.database import query
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway, problem_of
from tests.gateway.a2a import AGENTS, BINDINGS, A2ACaller, a2a_caller, message, request

COMPLETED, WAITING = "TASK_STATE_COMPLETED", "TASK_STATE_INPUT_REQUIRED"


@pytest.fixture(scope="module")
def worker(fleet: Fleet) -> Iterator[None]:
    """One that has the agents; the gateways have not their code."""
    worker = fleet.processes.worker(agents=(AGENTS,), queue="a2a")
    yield
    worker.kill()


@pytest.fixture(scope="module")
def ana(gateway: Gateway, worker: None) -> A2ACaller:
    return a2a_caller(gateway)


def status(task: dict[str, Any]) -> str:
    return task["status"]["state"]


def result(task: dict[str, Any]) -> Any:
    (artifact,) = task["artifacts"]
    assert artifact["artifactId"] == "result"
    (part,) = artifact["parts"]
    return part.get("text", part.get("data"))


def test_a_text_is_the_argument_of_a_skill_that_has_one_and_the_answer_waits_for_the_end(ana: A2ACaller) -> None:
    sent = message("hello", skill="talk")
    task = ana.call("SendMessage", {"message": sent})["task"]
    assert status(task) == COMPLETED
    assert result(task) == "heard hello"
    (first,) = task["history"]
    assert (first["messageId"], first["role"]) == (sent["messageId"], "ROLE_USER")
    assert first["parts"] == [{"text": "hello", "mediaType": "text/plain"}]
    assert ana.get(task["id"]) == task
    assert ana.caller.result(task["id"]) == "heard hello"  # the same task over HTTP


def test_data_holds_arguments_by_name_and_a_text_is_the_one_that_is_left(ana: A2ACaller) -> None:
    assert result(ana.send({"loud": True, "text": "one"}, skill="talk")) == "heard ONE"
    task = ana.send("two", {"loud": True}, skill="talk")
    assert result(task) == "heard TWO"
    assert [part.get("text", part.get("data")) for part in task["history"][0]["parts"]] == ["two", {"loud": True}]


def test_a_data_part_may_name_the_skill_itself(ana: A2ACaller) -> None:
    assert result(ana.send({"skill": "counter", "input": {"to": 3}})) == 3


def test_an_answer_at_once_is_polled_to_its_end(ana: A2ACaller) -> None:
    task = ana.send({"to": 3}, skill="counter", now=True)
    assert status(task) in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
    eventually(lambda: status(ana.get(task["id"])) == COMPLETED)


def test_a_skill_that_replies_with_a_message_does_so_once_it_has_completed(ana: A2ACaller) -> None:
    reply = ana.call("SendMessage", {"message": message("x", skill="teller")})["message"]
    assert reply["role"] == "ROLE_AGENT"
    assert reply["parts"] == [{"data": {"told": "x"}, "mediaType": "application/json"}]
    assert status(ana.get(reply["taskId"])) == COMPLETED


def test_a_task_that_waits_asks_for_input_and_a_message_with_its_id_answers(ana: A2ACaller) -> None:
    task = ana.send("tides", skill="drafter", context="my session")
    assert status(task) == WAITING
    assert task["contextId"] == "my session"
    assert [artifact["parts"][0]["text"] for artifact in task["artifacts"]] == ["a draft on tides"]
    asked = task["status"]["message"]["parts"][1]["data"]["signals"]["approval"]
    assert asked["schema"]["properties"].keys() == {"ok", "remark"}
    done = ana.send({"ok": True, "remark": "fine"}, task=task["id"])
    assert done["id"] == task["id"]
    assert result(done) == {"topic": "tides", "ok": True, "remark": "fine"}
    assert [part["parts"][0].get("text") for part in done["history"]] == ["tides", None]
    assert ana.caller.get("/tasks", params={"session_id": "my session"}).json()["tasks"][0]["id"] == task["id"]


def test_what_the_waiting_step_does_not_take_is_refused_and_the_task_waits_on(ana: A2ACaller) -> None:
    task = ana.send("winds", skill="drafter")
    error = ana.fails("SendMessage", {"message": message({"ok": "perhaps"}, task=task["id"])})
    assert error["code"] == -32602
    assert "keeps waiting" in error["message"]
    assert status(ana.get(task["id"])) == WAITING


def test_a_wait_for_one_of_several_takes_the_one_that_is_named(ana: A2ACaller) -> None:
    task = ana.send("?", skill="asker")
    assert status(task) == WAITING
    unclear = ana.fails("SendMessage", {"message": message("well", task=task["id"])})
    assert "waits for yes, no" in unclear["message"]
    assert result(ana.send("never", task=task["id"], signal="no")) == {"signal": "no", "payload": "never"}


def test_a_signal_that_is_named_is_kept_for_a_task_that_does_not_wait_for_it(ana: A2ACaller) -> None:
    task = ana.send("rain", skill="drafter")
    again = ana.send("a note", task=task["id"], signal="note")
    assert status(again) == WAITING
    assert [event["data"]["name"] for event in _events(ana, task["id"]) if event["type"] == "signalled"] == ["note"]


def _events(ana: A2ACaller, task: str) -> list[dict[str, Any]]:
    return ana.caller.get(f"/tasks/{task}/events").json()["events"]


def test_the_same_message_twice_is_the_same_task_and_another_under_its_id_is_refused(ana: A2ACaller) -> None:
    sent = {"message": message("once", skill="talk")}
    with ThreadPoolExecutor(8) as threads:
        found = [answer["task"]["id"] for answer in threads.map(lambda _: ana.call("SendMessage", sent), range(8))]
    assert len(set(found)) == 1
    assert [event["type"] for event in _events(ana, found[0])].count("submitted") == 1
    other = {**sent["message"], "parts": [{"text": "twice"}]}
    assert ana.fails("SendMessage", {"message": other})["code"] == -32602


def refusal(caller: A2ACaller) -> Any:
    """The error of a new message to the teller; None where it takes it."""
    return caller.rpc("SendMessage", {"message": message("after", skill="teller")}).json().get("error")


def test_the_same_message_is_its_task_also_where_its_skill_takes_other_arguments_or_is_gone(ana: A2ACaller) -> None:
    sent = message("before", skill="teller")
    task = ana.call("SendMessage", {"message": sent})["message"]["taskId"]
    sql = "SELECT definition FROM agent_tasks.agents WHERE name = 'teller'"
    (row,) = query(ana.deployment, sql)
    definition, schema = row["definition"], {**row["definition"]["input_schema"], "properties": {}, "required": ["t"]}

    def register(**changes: Any) -> None:
        said = json.dumps({**definition, **changes})
        query(ana.deployment, "UPDATE agent_tasks.agents SET definition = %s::jsonb WHERE name = 'teller'", said)

    try:
        for changes in ({"input_schema": schema}, {"a2a": {**definition["a2a"], "id": "said"}}):
            register(**changes)
            error = eventually(lambda: refusal(ana))
            assert error["code"] == -32602
            again = ana.call("SendMessage", {"message": sent, "configuration": {"returnImmediately": True}})
            assert again["task"]["id"] == task
            other = {**sent, "parts": [{"text": "other"}]}
            assert "another request" in ana.fails("SendMessage", {"message": other})["message"]
    finally:
        register()


def test_a_message_to_a_task_is_known_by_its_id_its_sender_and_what_it_says(gateway: Gateway, ana: A2ACaller) -> None:
    task = ana.send("dew", skill="drafter")
    sent = message({"ok": True}, task=task["id"])
    boss = a2a_caller(gateway, "boss", scopes=[*EVERYTHING, "tasks:all"])
    for _ in range(2):  # before its end, and after it
        first = ana.call("SendMessage", {"message": sent})["task"]
        for other in ({"data": {"ok": False}}, {"data": {"ok": 1}}, {"text": "yes"}):
            error = ana.fails("SendMessage", {"message": {**sent, "parts": [other]}})
            assert error["code"] == -32602
            assert sent["messageId"] in error["message"]
        assert (
            ana.fails(
                "SendMessage", {"message": message({"ok": True}, task=task["id"], id=sent["messageId"], signal="note")}
            )["code"]
            == -32602
        )
        assert boss.fails("SendMessage", {"message": sent})["code"] == -32602
        assert boss.get(task["id"])["id"] == first["id"]
    assert [event["type"] for event in _events(ana, task["id"])].count("signalled") == 1


def test_the_same_answer_twice_is_one_signal_also_after_the_end(ana: A2ACaller) -> None:
    task = ana.send("fog", skill="drafter")
    sent = {"message": message({"ok": True}, task=task["id"])}
    first = ana.call("SendMessage", sent)["task"]
    assert ana.call("SendMessage", sent)["task"] == first
    assert [event["type"] for event in _events(ana, task["id"])].count("signalled") == 1


def test_a_message_after_the_end_is_not_supported(ana: A2ACaller) -> None:
    task = ana.send("over", skill="talk")
    assert ana.fails("SendMessage", {"message": message("more", task=task["id"])})["code"] == -32004
    assert ana.fails("SendMessage", {"message": message("x", task=task["id"], signal="y")})["code"] == -32004


def test_a_task_that_failed_says_why_and_keeps_what_it_had(ana: A2ACaller) -> None:
    task = ana.send("boom", skill="breaker")
    assert status(task) == "TASK_STATE_FAILED"
    text, data = task["status"]["message"]["parts"]
    assert "boom" in text["text"]
    assert data["data"]["error"]["type"] == "step_failed"
    assert task["artifacts"][0]["parts"][0]["data"] == {"so": "far"}


def test_a_task_is_cancelled_once(ana: A2ACaller) -> None:
    task = ana.send("snow", skill="drafter")
    assert status(ana.call("CancelTask", {"id": task["id"]})) == "TASK_STATE_CANCELED"
    assert ana.fails("CancelTask", {"id": task["id"]})["code"] == -32002
    assert ana.caller.get(f"/tasks/{task['id']}").json()["status"] == "cancelled"


def test_the_budget_of_a_message_is_the_tasks_and_what_was_spent_is_told(ana: A2ACaller) -> None:
    task = ana.send({"to": 5}, skill="counter", budget={"steps": 2})
    assert status(task) == "TASK_STATE_FAILED"
    told = task["metadata"]["agent-tasks"]
    assert told["budget"]["limit"]["steps"] == 2
    assert told["budget"]["spent"]["steps"] == 2
    assert told["skill"] == "counter"
    error = ana.fails("SendMessage", {"message": message({"to": 1}, skill="counter", budget={"steps": -1})})
    assert error["message"].startswith("budget.steps")


def test_metadata_is_kept_with_the_task_and_given_back(ana: A2ACaller) -> None:
    sent = message({"to": 1}, skill="counter")
    sent["metadata"]["ticket"] = 7
    task = ana.call("SendMessage", {"message": sent, "metadata": {"from": "host"}})["task"]
    assert {name: value for name, value in task["metadata"].items() if name != "agent-tasks"} == {
        "ticket": 7,
        "from": "host",
    }
    found = ana.caller.get("/tasks", params={"metadata": "ticket=7"}).json()["tasks"]
    assert [each["id"] for each in found] == [task["id"]]


def test_a_sensitive_agents_messages_are_not_told(ana: A2ACaller) -> None:
    assert "history" not in ana.send("my secret", skill="private")


def test_the_history_is_as_long_as_it_is_asked_for(ana: A2ACaller) -> None:
    task = ana.send("hail", skill="drafter")
    ana.send({"ok": True}, task=task["id"])
    assert len(ana.get(task["id"])["history"]) == 2
    assert [part["data"] for part in ana.get(task["id"], historyLength=1)["history"][0]["parts"]] == [{"ok": True}]
    assert "history" not in ana.get(task["id"], historyLength=0)
    assert ana.fails("GetTask", {"id": task["id"], "historyLength": -1})["code"] == -32602


def test_pages_of_a_context_have_all_of_its_tasks_once(ana: A2ACaller) -> None:
    context = uuid.uuid4().hex
    begun = [ana.send({"to": 0}, skill="counter", context=context)["id"] for _ in range(5)]
    waits = ana.send("x", skill="drafter", context=context)["id"]
    found: list[str] = []
    token = ""
    while True:
        page = ana.call("ListTasks", {"contextId": context, "pageSize": 2, "pageToken": token})
        assert page["pageSize"] == 2
        assert not any("artifacts" in task for task in page["tasks"])
        found += [task["id"] for task in page["tasks"]]
        token = page["nextPageToken"]
        if not token:
            break
    assert found == [waits, *reversed(begun)]
    for state, expected in ((WAITING, [waits]), (COMPLETED, begun[::-1]), ("TASK_STATE_FAILED", [])):
        page = ana.call("ListTasks", {"contextId": context, "status": state, "includeArtifacts": True})
        assert [task["id"] for task in page["tasks"]] == expected
        assert all(task["artifacts"] for task in page["tasks"])
    last = ana.get(begun[-1])["status"]["timestamp"]
    page = ana.call("ListTasks", {"contextId": context, "statusTimestampAfter": last})
    assert [task["id"] for task in page["tasks"]] == [waits, begun[-1]]


@pytest.mark.parametrize("wrong", [{"pageToken": "x"}, {"pageSize": 0}, {"pageSize": 101}, {"historyLength": -1}])
def test_a_list_refuses_what_it_cannot_serve(ana: A2ACaller, wrong: dict[str, Any]) -> None:
    assert ana.fails("ListTasks", wrong)["code"] == -32602


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"parts": [{"text": "x"}], "role": "ROLE_USER"}, -32602),
        ({"parts": [], "role": "ROLE_USER", "messageId": "a"}, -32602),
        ({"parts": [{"text": "x"}], "role": "ROLE_AGENT", "messageId": "b"}, -32602),
        ({"parts": [{"text": "x"}], "role": "ROLE_USER", "messageId": "c" * 300}, -32602),
        (message("x", skill="no such"), -32602),
        (message("x"), -32602),
        (message("x", skill="counter"), -32602),
        (message({"to": "three"}, skill="counter"), -32602),
        (message({"to": 1, "two": 2}, skill="counter"), -32602),
        (message([1], skill="counter"), -32602),
        (message({"to": 1}, {"to": 2}, skill="counter"), -32602),
        (message({"to": 1}, skill="counter", colour="red"), -32602),
        (message("x" * 1_500_000, skill="talk"), -32602),
        ({**message(skill="talk"), "parts": [{"url": "https://a.example/x.pdf"}]}, -32005),
        ({**message(skill="talk"), "parts": [{"raw": "aGk="}]}, -32005),
        ({**message(skill="talk"), "parts": [{"text": "x", "mediaType": "image/png"}]}, -32005),
        (message("x", task="no id"), -32001),
        (message("x", task=str(uuid.uuid4())), -32001),
    ],
)
def test_a_message_that_cannot_be_carried_out_says_why(ana: A2ACaller, sent: dict[str, Any], code: int) -> None:
    error = ana.fails("SendMessage", {"message": sent})
    assert error["code"] == code, error
    assert error["message"]


def test_output_that_nobody_accepts_is_refused(ana: A2ACaller) -> None:
    params = {"message": message("x", skill="talk"), "configuration": {"acceptedOutputModes": ["image/png"]}}
    assert ana.fails("SendMessage", params)["code"] == -32005


def test_a_context_that_is_not_the_tasks_is_refused(ana: A2ACaller) -> None:
    task = ana.send("dew", skill="drafter")
    error = ana.fails("SendMessage", {"message": message({"ok": True}, task=task["id"], context="other")})
    assert error["code"] == -32602
    assert status(ana.get(task["id"])) == WAITING


def test_an_agent_that_is_hidden_is_no_skill_and_neither_are_its_tasks(ana: A2ACaller) -> None:
    assert ana.fails("SendMessage", {"message": message("x", skill="secret")})["code"] == -32602
    task = ana.caller.submit("secret", {"text": "x"}, session_id="hidden")
    assert ana.fails("GetTask", {"id": task["id"]})["code"] == -32001
    assert ana.fails("CancelTask", {"id": task["id"]})["code"] == -32001
    assert ana.call("ListTasks", {"contextId": "hidden"})["tasks"] == []


def test_a_task_of_http_is_seen_signalled_and_cancelled_over_a2a(ana: A2ACaller) -> None:
    one, two = (ana.caller.submit("drafter", {"topic": "sun"}) for _ in range(2))
    eventually(lambda: status(ana.get(one["id"])) == WAITING)
    seen = ana.get(one["id"])
    assert seen["contextId"] == one["id"]
    assert seen["history"][0]["parts"][0]["data"] == {"topic": "sun"}
    assert result(ana.send({"ok": True}, task=one["id"]))["ok"] is True
    assert status(ana.call("CancelTask", {"id": two["id"]})) == "TASK_STATE_CANCELED"


def test_a_task_of_a2a_is_seen_signalled_and_cancelled_over_http(ana: A2ACaller) -> None:
    one, two = (ana.send("moon", skill="drafter")["id"] for _ in range(2))
    ana.caller.post(f"/tasks/{one}/signals/approval", {"payload": {"ok": True, "remark": "http"}})
    assert ana.caller.result(one)["remark"] == "http"
    assert result(ana.get(one))["remark"] == "http"
    ana.caller.post(f"/tasks/{two}/cancel", {"reason": "enough"})
    told = ana.get(two)
    assert status(told) == "TASK_STATE_CANCELED"
    assert told["status"]["message"]["parts"][0]["text"] == "enough"


def test_what_is_no_call_is_answered_as_json_rpc_says(ana: A2ACaller) -> None:
    def code(body: bytes) -> int:
        headers = {"A2A-Version": "1.0", "Content-Type": "application/json"}
        answer = ana.caller.post("/a2a", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["error"]["code"]

    assert code(b"{") == -32700
    assert code(b'{"jsonrpc": "2.0", "jsonrpc": "2.0"}') == -32700
    assert code(b"[]") == -32600
    assert code(b'{"jsonrpc": "1.0", "id": 1, "method": "GetTask"}') == -32600
    assert code(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {}}).encode()) == -32601
    assert code(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": 1}}).encode()) == -32602


@pytest.mark.parametrize("version", ["0.3", "2.0", "x", ""])
def test_another_version_is_not_supported(ana: A2ACaller, version: str) -> None:
    assert ana.rpc("ListTasks", **{"A2A-Version": version}).json()["error"]["code"] == -32009


def test_an_unknown_extension_is_passed_over(ana: A2ACaller) -> None:
    answer = ana.rpc("ListTasks", **{"A2A-Extensions": "https://a.example/unknown"})
    assert "result" in answer.json()


def test_rest_has_its_own_paths_media_type_and_errors(ana: A2ACaller) -> None:
    answer = ana.rest("POST", "/message:send", {"message": message("hi", skill="talk")})
    assert answer.headers["content-type"] == "application/a2a+json"
    task = answer.json()["task"]
    assert ana.rest("GET", f"/tasks/{task['id']}").json() == ana.get(task["id"])
    assert ana.rest("GET", f"/tasks/{task['id']}", params={"historyLength": 0}).json().get("history") is None
    assert ana.rest("GET", "/tasks", params={"pageSize": 1}).json()["pageSize"] == 1
    unknown = ana.rest("GET", f"/tasks/{uuid.uuid4()}")
    assert (unknown.status_code, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")
    over = ana.rest("POST", f"/tasks/{task['id']}:cancel")
    assert over.json()["error"]["details"][0]["reason"] == "TASK_NOT_CANCELABLE"
    broken = ana.caller.post("/a2a/v1/message:send", content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, 400)
    problem_of(ana.rest("GET", "/nothing"), 404)
    assert problem_of(ana.rest("DELETE", "/tasks"), 405)["detail"]
    assert ana.caller.get("/a2a/v1/tasks").json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"


def test_who_may_not_is_told_so_by_the_status(gateway: Gateway, ana: A2ACaller) -> None:
    task = ana.send("ice", skill="drafter")
    nobody = a2a_caller(gateway, None)
    problem_of(nobody.rpc("GetTask", {"id": task["id"]}), 401)
    problem_of(nobody.rpc("NoSuchMethod"), 401)
    problem_of(nobody.rest("GET", f"/tasks/{task['id']}"), 401)
    problem_of(nobody.caller.post("/a2a", content=b"{", headers={"Content-Type": "application/json"}), 401)
    reader = a2a_caller(gateway, scopes=["tasks:read"])
    assert status(reader.get(task["id"])) == WAITING
    problem_of(reader.rpc("SendMessage", {"message": message("x", skill="talk")}), 403)
    problem_of(reader.rpc("SendMessage", {"message": message({"ok": True}, task=task["id"])}), 403)
    problem_of(reader.rpc("CancelTask", {"id": task["id"]}), 403)
    problem_of(ana.rpc("SendMessage", {"message": message("x", skill="royal")}), 403)
    for other in (a2a_caller(gateway, "bob"), a2a_caller(gateway, "ana", "evil")):
        unknown = other.fails("GetTask", {"id": str(uuid.uuid4())})
        assert other.fails("GetTask", {"id": task["id"]}) == unknown
        assert other.fails("CancelTask", {"id": task["id"]})["code"] == -32001
        assert other.fails("SendMessage", {"message": message({"ok": True}, task=task["id"])})["code"] == -32001
        assert task["id"] not in [each["id"] for each in other.call("ListTasks")["tasks"]]


def test_the_audit_knows_the_door_and_what_was_refused(gateway: Gateway, worker: None) -> None:
    cleo = a2a_caller(gateway, "cleo", scopes=["tasks:write", "tasks:read"])
    task = cleo.send("x", skill="drafter")
    cleo.rpc("CancelTask", {"id": task["id"]})
    said = gateway.client.audit(door="a2a", subject="cleo")
    assert [(entry.operation, entry.answer) for entry in said] == [
        ("cancel", "permission_denied"),
        ("submit", "accepted"),
    ]


def test_the_public_card_has_what_agents_say_and_the_extended_one_all_that_may_be_run(
    gateway: Gateway, ana: A2ACaller
) -> None:
    answer = a2a_caller(gateway, None).caller.get("/.well-known/agent-card.json")
    card = answer.json()
    skills = {skill["id"]: skill for skill in card["skills"]}
    assert {"talk", "teller", "asker", "royal"} <= skills.keys()
    assert not {"drafter", "secret", "count"} & skills.keys()
    assert skills["talk"]["tags"] == ["words"]
    assert skills["talk"]["description"] == "Says what it heard."
    assert [each["protocolBinding"] for each in card["supportedInterfaces"]] == ["JSONRPC", "HTTP+JSON"]
    assert {each["protocolVersion"] for each in card["supportedInterfaces"]} == {"1.0"}
    inputs = card["capabilities"]["extensions"][0]["params"]["inputs"]
    assert inputs["talk"]["required"] == ["text"]
    extended = {skill["id"] for skill in ana.call("GetExtendedAgentCard")["skills"]}
    assert {"talk", "drafter", "count"} <= extended
    assert not {"secret", "royal"} & extended
    assert ana.rest("GET", "/extendedAgentCard").json() == ana.call("GetExtendedAgentCard")


def test_the_card_is_sent_once_to_whoever_has_it(ana: A2ACaller) -> None:
    first = ana.caller.get("/.well-known/agent-card.json")
    assert first.headers["cache-control"] == "public, max-age=60"
    tag = first.headers["etag"]
    assert "last-modified" not in first.headers  # whoever goes by it would keep an agent that is gone

    def asked(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = ana.caller.get("/.well-known/agent-card.json", headers=named)
        assert answer.headers["etag"] == tag
        return answer.status_code

    assert asked(If_None_Match=tag) == 304
    assert asked(If_None_Match=f'"other", W/{tag}') == 304
    assert asked(If_None_Match='"other"') == 200
    assert asked(If_Modified_Since="Thu, 01 Jan 2099 00:00:00 GMT") == 200


def test_another_gateway_has_the_same_card(gateway: Gateway, ana: A2ACaller) -> None:
    _, url = gateway.processes.gateway()
    one, two = ana.caller, gateway.caller(None, url=url)
    first, second = (each.get("/.well-known/agent-card.json") for each in (one, two))
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_official_client_goes_through_the_whole_flow(ana: A2ACaller, binding: str) -> None:
    async def flow() -> None:
        async with ana.sdk(binding) as client:
            (first,) = [answer async for answer in client.send_message(request("waves", skill="drafter"))]
            task = first.task
            assert task.status.state == a2a.TASK_STATE_INPUT_REQUIRED
            seen = await client.get_task(a2a.GetTaskRequest(id=task.id))
            assert seen == task
            listed = await client.list_tasks(a2a.ListTasksRequest(context_id=task.context_id))
            assert [each.id for each in listed.tasks] == [task.id]
            (last,) = [answer async for answer in client.send_message(request({"ok": True}, task=task.id))]
            assert last.task.status.state == a2a.TASK_STATE_COMPLETED
            with pytest.raises(TaskNotCancelableError):
                await client.cancel_task(a2a.CancelTaskRequest(id=task.id))
            with pytest.raises(UnsupportedOperationError):
                _ = [answer async for answer in client.send_message(request("more", task=task.id))]
            with pytest.raises(TaskNotFoundError):
                await client.get_task(a2a.GetTaskRequest(id=str(uuid.uuid4())))
            (message,) = [answer async for answer in client.send_message(request("x", skill="teller"))]
            assert message.message.role == a2a.ROLE_AGENT
            card = await client.get_extended_agent_card(a2a.GetExtendedAgentCardRequest())
            assert "drafter" in [skill.id for skill in card.skills]

    asyncio.run(flow())


@pytest.mark.parametrize("names", [("taskId", "task_id"), ("messageId", "message_id")])
def test_a_message_that_names_a_thing_twice_is_refused(ana: A2ACaller, names: tuple[str, str]) -> None:
    """Which of the spellings the SDK takes would decide what the request is, after its scope was asked for."""
    twice = {
        **message("x", skill="echo"),
        **dict(zip(names, ("0198c2f4-7c1a-7e53-b9d1-3c0f6a9be011", ""), strict=True)),
    }
    assert "not both" in ana.fails("SendMessage", {"message": twice})["message"]


def test_a_request_of_very_many_values_is_refused_before_it_is_made_into_the_protocols(ana: A2ACaller) -> None:
    many = message({"numbers": [[]] * 5_000}, skill="echo")
    assert "5,000 values" in ana.fails("SendMessage", {"message": many})["message"]
