"""Who may do what: each operation, asked by each kind of caller."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from agent_tasks import AgentTasks, AlertRule, AuditEntry, Identity, Settings
from agent_tasks.client.pushes import put_push
from agent_tasks.gateway.application import create_app
from agent_tasks.gateway.mcp.methods import OPERATOR_TOOLS
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.task.scopes import Scope
from agent_tasks.transitions.bulk import begin
from agent_tasks.transitions.push import PushRow
from tests.conftest import Fleet
from tests.database import query
from tests.database.webhooks import endpoint
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Answer, Caller, Gateway, problem_of
from tests.gateway.methods import METHODS, Method, ask
from tests.issuer import AUDIENCE, running_issuer

ANA = Identity(subject="ana", tenant="acme")
OPEN = {"/healthz", "/readyz", "/hooks/{token}"}
NEVER = "0198c2f4-5a9e-7c31-9a51-3f0c1c1f2b77"
ALLOWED = ("own", "token", "tenant-wide", "admin", "auth-off")
"""Who may do with Ana's what Ana may: she herself by a key and by an issuer's token, and those above her."""
FOREIGN = ("other subject", "other tenant")
NAMED = ("schedule", "paused schedule", "endpoint", "disabled endpoint", "alert", "queue", "paused queue")
WIDE = ("begin_pause", "end_pause")
"""They concern a whole tenant, and take `tasks:all`, too. No tenant notices those of another."""
TAKEN = ("schedule", "put_webhook")
"""Names are each tenant's own, and one that somebody else of it has is not changed."""
UNKNOWN = ("no token", "revoked", "expired", "other issuer")


@dataclass(frozen=True)
class Row:
    """How an operation is asked of something of Ana's."""

    method: str
    path: str
    of: str = ""
    """What it is asked of: a task that is `shared`, a `new` or an `ended` one, a `schedule`, an `endpoint`, a
    `disabled endpoint`, a `delivery` to one, a `bulk` operation, an `alert`, a `paused` task, a `queue`, a
    `paused queue`; empty: of nothing."""
    status: int = 200
    body: dict[str, Any] | None = None


REPLAY = {"webhook": "{name}", "after": "2999-01-01T00:00:00Z"}
ROWS = {
    "submit": Row("POST", "/tasks", status=202, body={"agent": "count", "input": {"to": 1}}),
    "resume": Row("POST", "/tasks/{id}/resume", "ended", 202),
    "acknowledge": Row("POST", "/tasks/{id}/acknowledge", "ended"),
    "schedule": Row("PUT", "/schedules/{name}", "schedule", body={"agent": "count", "input": {"to": 1}, "every": 9000}),
    "unschedule": Row("DELETE", "/schedules/{name}", "schedule", 204),
    "pause_schedule": Row("POST", "/schedules/{name}/pause", "schedule"),
    "unpause_schedule": Row("POST", "/schedules/{name}/unpause", "paused schedule"),
    "trigger_schedule": Row("POST", "/schedules/{name}/trigger", "schedule", 202),
    "pause": Row("POST", "/tasks/{id}/pause", "new"),
    "unpause": Row("POST", "/tasks/{id}/unpause", "paused"),
    "begin_pause": Row("POST", "/pauses", "queue", body={"queue": "{name}"}),
    "end_pause": Row("DELETE", "/pauses?queue={name}", "paused queue"),
    "list_pauses": Row("GET", "/pauses"),
    "cancel": Row("POST", "/tasks/{id}/cancel", "new"),
    "signal": Row("POST", "/tasks/{id}/signals/{name}", "new", body={"payload": {"ok": True}}),
    "bulk": Row("POST", "/bulk", status=202, body={"operation": "cancel", "filter": {"agent": "none"}}),
    "stop_bulk": Row("POST", "/bulk/{id}/stop", "bulk"),
    "get_bulk": Row("GET", "/bulk/{id}", "bulk"),
    "list_bulks": Row("GET", "/bulk"),
    "put_webhook": Row("PUT", "/webhooks/{name}", "endpoint", body={"url": "https://a.example/"}),
    "rotate_webhook": Row("POST", "/webhooks/{name}/rotate?tenant=acme", "endpoint"),
    "enable_webhook": Row("POST", "/webhooks/{name}/enable?tenant=acme", "disabled endpoint"),
    "disable_webhook": Row("POST", "/webhooks/{name}/disable?tenant=acme", "endpoint"),
    "ping_webhook": Row("POST", "/webhooks/{name}/ping?tenant=acme", "endpoint", 202),
    "remove_webhook": Row("DELETE", "/webhooks/{name}?tenant=acme", "endpoint", 204),
    "replay_delivery": Row("POST", "/deliveries/{id}/replay", "delivery", 202),
    "replay_deliveries": Row("POST", "/deliveries/replay?tenant=acme", "endpoint", 202, REPLAY),
    "get_task": Row("GET", "/tasks/{id}", "shared"),
    "list_tasks": Row("GET", "/tasks"),
    "get_result": Row("GET", "/tasks/{id}/result", "shared"),
    "get_events": Row("GET", "/tasks/{id}/events", "shared"),
    "get_children": Row("GET", "/tasks/{id}/children", "shared"),
    "get_calls": Row("GET", "/tasks/{id}/calls", "shared"),
    "get_logs": Row("GET", "/tasks/{id}/logs", "shared"),
    "get_tree": Row("GET", "/tasks/{id}/tree", "shared"),
    "list_waiting": Row("GET", "/waiting"),
    "get_spend": Row("GET", "/spend"),
    "get_audit": Row("GET", "/audit"),
    "list_agents": Row("GET", "/agents"),
    "get_schedule": Row("GET", "/schedules/{name}", "schedule"),
    "list_schedules": Row("GET", "/schedules"),
    "get_webhook": Row("GET", "/webhooks/{name}?tenant=acme", "endpoint"),
    "list_webhooks": Row("GET", "/webhooks"),
    "list_deliveries": Row("GET", "/deliveries"),
    "get_delivery": Row("GET", "/deliveries/{id}", "delivery"),
    "get_feed": Row("GET", "/events"),
    "put_alert": Row("PUT", "/alerts/{name}", "alert", body={"kind": "deliveries"}),
    "remove_alert": Row("DELETE", "/alerts/{name}?tenant=acme", "alert", 204),
    "get_alert": Row("GET", "/alerts/{name}?tenant=acme", "alert"),
    "list_alerts": Row("GET", "/alerts"),
    "purge": Row("POST", "/purge", body={"tenant": "nobody's"}),
    "get_metrics": Row("GET", "/metrics"),
}


@dataclass
class World:
    """What belongs to Ana, and those who ask for it."""

    client: AgentTasks
    callers: dict[str, Caller]
    caller_with: Callable[..., Caller]
    """One with a key of this subject, tenant and scopes."""
    without: Callable[[str], Caller]
    """Ana with a key that lacks one scope, and has all others."""
    tree: str
    """A task with two children that has completed."""
    waiting: str

    def caller(self, who: str, operation: str) -> Caller:
        return self.without(OPERATIONS[operation].scope) if who == "wrong scope" else self.callers[who]

    def thing(self, row: Row | Method) -> str:
        """The id, or the name, of something of Ana's that the row can be asked of."""
        if row.of in ("", "shared"):
            return self.tree
        if row.of.endswith("schedule"):
            made = self.client.schedule("count", {"to": 1}, name=uuid.uuid4().hex, every=9000, identity=ANA).name
            if row.of.startswith("paused"):
                self.client.pause_schedule(made, identity=ANA)
            return made
        if row.of == "bulk":
            id = uuid.uuid4()
            with self.client.database.transaction() as connection:
                begin(
                    connection, id, "cancel", filter={"agent": "none"}, options={"reason": "x"}, problems=[], most=None,
                    identity=ANA, asked_by=ANA, seconds=900, told={}, key=None, digest=b"", key_seconds=900,
                )  # fmt: skip
            return str(id)
        if row.of == "alert":
            query(self.client, "DELETE FROM agent_tasks.alerts")
            return self.client.put_alert(uuid.uuid4().hex, AlertRule("deliveries"), tenant="acme").name
        if row.of.endswith("queue"):
            name = uuid.uuid4().hex
            if row.of.startswith("paused"):
                self.client.pause(queue=name)
                self.client.pause(queue=name, identity=Identity(subject="boss", tenant="acme", scopes=("tasks:all",)))
            return name
        if row.of.endswith("endpoint"):
            query(self.client, "DELETE FROM agent_tasks.webhooks WHERE name LIKE 'one of %%'")
            off = {"disabled_at": "2026-01-01", "disabled_why": "asked"} if row.of.startswith("disabled") else {}
            name = f"one of {uuid.uuid4().hex}"
            endpoint(self.client, "acme", name=name, subject="ana", **off)
            return name
        task = self.client.submit("approval", identity=ANA)
        if row.of == "delivery":
            return str(self.client.webhooks.deliveries(task_id=task.id).deliveries[0].id)
        if row.of == "pushed":
            push = PushRow(id="one", url="https://a.example/", token=None, scheme=None, credentials=None)
            put_push(self.client, task.id, push, ANA)
        if row.of == "ended":
            task.cancel()
        if row.of == "paused":
            self.client.pause(task, identity=ANA)
        return str(task.id)

    def asks(self, caller: Caller, row: Row, thing: str) -> Answer:
        name = thing if row.of in NAMED else "approval"
        body = json.loads(json.dumps(row.body).replace("{name}", name))
        options = {} if body is None else {"json": body}
        return caller.ask(row.method, row.path.format(id=thing, name=name), **options)

    def heard(self, since: int, door: str = "http") -> list[AuditEntry]:
        """What came in through a door of the gateway since then."""
        return [entry for entry in self.client.audit(door=door, limit=10) if entry.id > since]

    @property
    def last(self) -> int:
        """The id of the last entry of the audit."""
        return max([entry.id for entry in self.client.audit(limit=1)], default=0)


@pytest.fixture(scope="module")
def world(fleet: Fleet) -> Iterator[World]:
    client = fleet.client
    with running_issuer() as issuer:
        running, url = fleet.processes.gateway(oidc_issuer=issuer.url, oidc_audience=AUDIENCE, oidc_tenant_claim="org")
        _, url_off = fleet.processes.gateway(gateway_auth="off")
        gateway = Gateway(client, fleet.processes, running, url)
        revoked = client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING)
        client.revoke_key(revoked.id)
        expired = client.create_key(tenant="acme", subject="ana", scopes=EVERYTHING, expires_in=1e-6)
        claims: dict[str, Any] = {"org": "acme", "scope": " ".join(EVERYTHING)}
        callers = {
            "own": gateway.caller("ana"),
            "token": gateway.caller(token=issuer.token(**claims)),
            "tenant-wide": gateway.caller("boss", scopes=[*EVERYTHING, "tasks:all"]),
            "admin": gateway.caller("root", "ops", ["admin"]),
            "auth-off": gateway.caller(None, url=url_off),
            "other subject": gateway.caller("bob"),
            "other tenant": gateway.caller("ana", "evil", [*EVERYTHING, "tasks:all"]),
            "no token": gateway.caller(None),
            "revoked": gateway.caller(token=revoked.key),
            "expired": gateway.caller(token=expired.key),
            "other issuer": gateway.caller(token=issuer.token(**claims, iss="https://elsewhere.example")),
        }
        lacking: dict[str, Caller] = {}

        def without(scope: str) -> Caller:
            if scope not in lacking:
                lacking[scope] = gateway.caller(scopes=[s for s in (*EVERYTHING, "tasks:all") if s != scope])
            return lacking[scope]

        for tenant, subject in (("acme", "ana"), ("acme", "bob"), ("evil", None), ("ops", None), ("", None)):
            endpoint(client, tenant, subject=subject)
        for who in ("own", *FOREIGN):
            callers[who].submit("approval")
        client.submit("approval")
        client.schedule("count", {"to": 1}, name="of nobody", every=9000)
        family = {"family": [{"agent": "count", "input": {"to": 1}}] * 2}
        tree, waiting = (
            client.submit(agent, input, identity=ANA) for agent, input in (("foreman", family), ("approval", {}))
        )
        tree.wait(20)
        eventually(lambda: len(client.living(kind="signal")) == 5)
        yield World(client, callers, gateway.caller, without, str(tree.id), str(waiting.id))
        gateway.close()


def test_each_operation_and_each_route_has_a_row() -> None:
    app = create_app(AgentTasks(Settings(database_url="postgresql://nowhere/none", redis_url="redis://nowhere")))
    paths = app.openapi()["paths"].items()
    served = {said["operationId"]: (method.upper(), path) for path, ways in paths for method, said in ways.items()}
    assert {path for name, (_, path) in served.items() if name not in OPERATIONS} == OPEN
    assert set(OPERATIONS) == set(ROWS)
    asked = {name: (row.method, row.path.partition("?")[0]) for name, row in ROWS.items()}
    assert {name: served[name] for name in ROWS} == asked


def expected(operation: str, who: str) -> int:
    row = ROWS[operation]
    if who in UNKNOWN:
        return 401
    if who == "wrong scope" or (OPERATIONS[operation].scope == "admin" and who not in ("admin", "auth-off")):
        return 403
    if operation in WIDE:
        nothing = 409 if operation == "end_pause" else 200
        return {"own": 403, "token": 403, "other subject": 403, "other tenant": nothing}.get(who, 200)
    if who in FOREIGN and row.of:
        if operation in TAKEN:
            return 403 if who == "other subject" else 200
        return 404
    return row.status


@pytest.mark.parametrize("who", [*ALLOWED, *FOREIGN, "wrong scope", *UNKNOWN])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_may_do_what_and_what_the_audit_says_of_it(world: World, operation: str, who: str) -> None:
    row, caller, status = ROWS[operation], world.caller(who, operation), expected(operation, who)
    thing = world.thing(row)
    before = world.last
    answer = world.asks(caller, row, thing)
    assert answer.status_code == status, answer.text
    if status == 401:
        problem_of(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    elif status == 403 and operation not in TAKEN:
        problem = problem_of(answer, 403)
        scope = "tasks:all" if operation in WIDE and who != "wrong scope" else OPERATIONS[operation].scope
        assert problem["error"]["details"]["scope"] == scope
        assert repr(scope) in problem["detail"]
    elif status == 404:
        never = "nothing" if row.of in NAMED else NEVER
        other = world.asks(caller, row, never)
        assert other.text == answer.text.replace(thing, never)
        assert told(other) == told(answer)
    entries = world.heard(before)[-1:] if status == 404 else world.heard(before)
    if status == 401 or not OPERATIONS[operation].writes:
        assert entries == []
        return
    (entry,) = entries
    written_as = OPERATIONS[operation].written_as or operation
    assert (entry.door, entry.origin, entry.operation) == ("http", "127.0.0.1", written_as)
    assert who_wrote(entry) == known(caller, who)
    assert entry.answer == ("accepted" if status < 400 else answer.json()["error"]["type"])
    told_of = answer.json() if status in (200, 202) else {}
    of = {
        "submit": told_of.get("id"),
        "replay_delivery": told_of.get("task_id"),
        "trigger_schedule": told_of.get("id"),
    }.get(operation)
    of = thing if row.of in ("new", "ended", "paused") else of
    assert entry.task_id == (uuid.UUID(of) if of else None)
    is_named = row.of in (*NAMED, "delivery") and (status < 400 or operation not in ("replay_deliveries", *WIDE))
    named = thing if is_named or row.of == "bulk" else None
    if status < 400:
        task = thing if operation in ("pause", "unpause") else named
        named = {"bulk": "cancel", "purge": "nobody's"}.get(operation, task)
    assert entry.target == ("approval" if operation == "signal" else named)


def told(answer: Answer) -> dict[str, str]:
    """The headers that would tell one answer from another."""
    return {
        name: value for name, value in answer.headers.items() if name not in ("date", "ratelimit", "content-length")
    }


def who_wrote(entry: AuditEntry) -> tuple[str, str | None, str | None]:
    return entry.tenant, entry.subject, entry.key_id


def known(caller: Caller, who: str) -> tuple[str, str | None, str | None]:
    """As whom the audit knows a caller."""
    key = caller.http.headers.get("authorization", "").partition("Bearer at_")[2].partition("_")[0] or None
    people: dict[str, tuple[str, str | None]] = {
        "tenant-wide": ("acme", "boss"), "admin": ("ops", "root"), "auth-off": ("", None),
        "other subject": ("acme", "bob"), "other tenant": ("evil", "ana"),
    }  # fmt: skip
    return (*people.get(who, ("acme", "ana")), key)


PROTOCOLS = [
    pytest.param(method, id=str(method), marks=pytest.mark.skipif(find_spec(method.door) is None, reason="no extra"))
    for method in METHODS
]


@pytest.mark.parametrize("who", [*ALLOWED, *FOREIGN, "wrong scope", *UNKNOWN])
@pytest.mark.parametrize("method", PROTOCOLS)
def test_who_may_do_what_over_mcp_and_a2a(world: World, method: Method, who: str) -> None:
    if who == "wrong scope" and not method.scope:
        pytest.skip("it takes none")
    caller = world.without(method.scope) if who == "wrong scope" else world.callers[who]
    thing, before = world.thing(method), world.last
    said = ask(caller, method, thing)
    is_hidden = who in FOREIGN and bool(method.of)
    if who in UNKNOWN:
        assert said.status == 401, said
        assert said.headers["www-authenticate"].startswith("Bearer")
    elif who == "wrong scope":
        assert said.status == 403, said
        assert repr(method.scope) in json.dumps(said.body)
    elif method.name == "subscriptions/listen":
        assert said.agreed == ([] if is_hidden else [thing])
    elif is_hidden:
        assert said.body["error"]["code"] == {"mcp": -32602, "a2a": -32001}[method.door], said
        never = ask(caller, method, NEVER)
        assert (never.status, {**never.body, "id": 0}) == (said.status, {**said.body, "id": 0})
    else:
        assert (said.status, said.is_done) == (200, True), said
    is_refused = is_hidden or who == "wrong scope"
    entries = world.heard(before, method.door)[-1:] if is_hidden else world.heard(before, method.door)
    if who in UNKNOWN or not method.writes or (method.is_quiet and not is_refused):
        assert entries == []
        return
    (entry,) = entries
    assert (entry.door, entry.origin, entry.operation) == (method.door, "127.0.0.1", method.writes)
    assert who_wrote(entry) == known(caller, who)
    refusal = "permission_denied" if who == "wrong scope" else "invalid_input"
    assert entry.answer == (refusal if is_refused else "accepted")
    if method.of:
        assert entry.task_id == uuid.UUID(thing)


def test_each_method_of_mcp_and_a2a_has_a_row() -> None:
    from agent_tasks.gateway.mcp import methods

    named = {method.name for method in METHODS if method.door == "mcp" and method.scope}
    assert named == set(methods.OPERATIONS_OF_METHODS)
    call = pytest.importorskip("agent_tasks.gateway.a2a.call", exc_type=ImportError)
    assert {method.name for method in METHODS if method.door == "a2a"} == {*call.OPERATIONS_OF_METHODS, *call.SENDING}


@pytest.mark.parametrize("tool", OPERATOR_TOOLS)
def test_the_tools_for_coding_agents_take_their_own_scope_and_reach_what_its_holder_sees(
    world: World, tool: str
) -> None:
    pytest.importorskip("mcp", reason="the extra mcp is not installed")

    def use(caller: Caller, thing: str) -> tuple[int, bool | None]:
        given = {"search": {"text": thing}, "signal": {"task_id": thing, "name": "approval", "payload": {"ok": True}}}
        arguments = given.get(tool, {"task_id": thing})
        said = ask(caller, Method("mcp", "tools/call", Scope.MCP, params={"name": tool, "arguments": arguments}))
        result = said.body.get("result", {})
        found = result.get("structuredContent", {}).get("tasks")
        return said.status, None if not result else bool(found) if tool == "search" else not result["isError"]

    def thing() -> str:
        return world.thing(Row("", "", "ended" if tool == "resume" else "new"))

    def caller(*scopes: str, subject: str = "ana", tenant: str = "acme") -> Caller:
        return world.caller_with(subject, tenant, [str(scope) for scope in scopes])

    others = [scope for scope in Scope if scope not in (Scope.MCP, Scope.ADMIN)]
    assert use(caller(*others), thing()) == (403, None)
    for scope in others:
        assert use(caller(scope), thing()) == (403, None)
    for who in UNKNOWN:
        assert use(world.callers[who], thing()) == (401, None)
    assert use(caller(Scope.MCP), thing()) == (200, True)
    assert use(caller(Scope.MCP, Scope.ALL, subject="boss"), thing()) == (200, True)
    assert use(world.callers["admin"], thing()) == (200, True)
    assert use(world.callers["auth-off"], thing()) == (200, True)
    assert use(caller(Scope.MCP, *EVERYTHING, subject="bob"), thing()) == (200, False)
    assert use(caller(Scope.MCP, Scope.ALL, *EVERYTHING, tenant="evil"), thing()) == (200, False)


@pytest.mark.parametrize("who", [*ALLOWED, *FOREIGN])
def test_contexts_of_others_are_empty_over_a2a(world: World, who: str) -> None:
    pytest.importorskip("a2a", reason="the extra a2a is not installed")
    context, other = uuid.uuid4().hex, Identity(subject="eve", tenant="acme")
    task = world.client.submit("count", {"to": 1}, identity=ANA, session_id=context)
    world.client.submit("count", {"to": 1}, identity=other, session_id=f"{context} of eve")
    said = ask(world.callers[who], Method("a2a", "ListTasks", "tasks:read", params={"contextId": context}))
    found = [each["id"] for each in said.body["result"]["tasks"]]
    assert found == ([str(task.id)] if who in ALLOWED else [])
    assert said.body["result"]["totalSize"] == len(found)
    eves = ask(world.callers[who], Method("a2a", "ListTasks", "tasks:read", params={"contextId": f"{context} of eve"}))
    assert bool(eves.body["result"]["tasks"]) is (who in ("tenant-wide", "admin", "auth-off"))


@pytest.mark.parametrize("who", [*ALLOWED, *FOREIGN])
def test_lists_have_what_the_caller_may_see_and_nothing_else(world: World, who: str) -> None:
    caller = world.callers[who]
    tasks = [caller.get(path).json()["tasks"] for path in ("/tasks?limit=1000", "/waiting?limit=1000")]
    owners = [{(task["identity"] or {}).get("tenant") for task in found} for found in tasks]
    subjects = {(task["identity"] or {}).get("subject") for task in tasks[0]}
    schedules = caller.get("/schedules").json()["schedules"]
    assert (world.tree in {task["id"] for task in tasks[0]}) is (who in ALLOWED)
    assert (world.waiting in {task["id"] for task in tasks[1]}) is (who in ALLOWED)
    if who in ("admin", "auth-off"):
        assert {"acme", "evil", None} <= owners[0] & owners[1]
        assert "of nobody" in {each["name"] for each in schedules}
        return
    tenant = "evil" if who == "other tenant" else "acme"
    assert owners == [{tenant}] * 2
    if who == "tenant-wide":
        assert {"ana", "bob"} <= subjects
    else:
        assert subjects == {"bob" if who == "other subject" else "ana"}
    assert {each["tenant"] for each in schedules} <= {tenant}


@pytest.mark.parametrize("who", [*ALLOWED, *FOREIGN])
def test_deliveries_and_the_feed_have_what_the_caller_may_see_and_nothing_else(world: World, who: str) -> None:
    caller = world.callers[who]

    def tasks_told(tenant: str | None = None) -> set[str]:
        asked = {"limit": "1000"} if tenant is None else {"limit": "1000", "tenant": tenant}
        found: set[str] = set()
        while True:
            page = caller.get("/events", params=asked).json()
            found |= {event["data"]["task_id"] for event in page["events"]}
            if not page["more"]:
                return found
            asked["after"] = page["next"]

    def tasks_of(tenant: str) -> set[str]:
        return {str(task.id) for task in world.client.search(tenant=tenant, limit=1000).tasks}

    sent = caller.get("/deliveries", params={"limit": 1000}).json()["deliveries"]
    owners = {(delivery["tenant"], delivery["subject"]) for delivery in sent}
    if who in ("admin", "auth-off"):
        assert {("acme", "ana"), ("acme", "bob"), ("evil", "ana"), ("", None)} <= owners
        own, other = {"admin": "ops", "auth-off": ""}[who], "evil"
        eventually(lambda: tasks_told() == tasks_of(own) and tasks_told(other) == tasks_of(other) != set())
        return
    tenant = "evil" if who == "other tenant" else "acme"
    subjects = {"tenant-wide": {"ana", "bob"}, "other subject": {"bob"}}.get(who, {"ana"})
    assert owners == {(tenant, subject) for subject in subjects}
    mine = {task["id"] for task in caller.get("/tasks", params={"limit": 1000}).json()["tasks"]}
    eventually(lambda: tasks_told() == mine != set())  # an open transaction of a worker holds some of it back
    foreign = "acme" if who == "other tenant" else "evil"
    assert tasks_told(foreign) == set()
    assert caller.get("/deliveries", params={"tenant": foreign}).json()["deliveries"] == []


@pytest.mark.parametrize("who", [*ALLOWED, *FOREIGN])
def test_a_tree_is_seen_from_each_of_its_tasks_by_whom_it_is_for(world: World, who: str) -> None:
    caller = world.callers[who]
    page = world.callers["own"].get(f"/tasks/{world.tree}/children", params={"limit": 1}).json()
    child = page["tasks"][0]["id"]
    whole = caller.get(f"/tasks/{child}/tree", params={"root": True})
    following = caller.get(f"/tasks/{world.tree}/children", params={"after": page["next"]})
    if who in FOREIGN:
        assert all(problem_of(each, 404) for each in (whole, following, caller.get(f"/tasks/{child}")))
        return
    assert (whole.json()["snapshot"]["id"], len(whole.json()["children"])) == (world.tree, 2)
    (other,) = following.json()["tasks"]
    assert other["id"] != child


@pytest.mark.parametrize("who", ["tenant-wide", "admin"])
def test_who_steers_for_another_signs_with_their_own_name_and_the_task_stays_its_owners(world: World, who: str) -> None:
    task, caller = world.client.submit("approval", identity=ANA), world.callers[who]
    answer = caller.post(f"/tasks/{task.id}/signals/approval", {"payload": {"ok": True}})
    assert answer.status_code == 200, answer.text
    assert task.result(20)["by"] == {"tenant-wide": "boss", "admin": "root"}[who]
    ended = world.client.submit("approval", identity=ANA)
    ended.cancel()
    resumed = caller.post(f"/tasks/{ended.id}/resume").json()
    assert (resumed["identity"]["subject"], resumed["identity"]["tenant"]) == ("ana", "acme")
    assert world.callers["own"].get(f"/tasks/{resumed['id']}").status_code == 200
