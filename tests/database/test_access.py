"""Who may do what with whose task: every operation for every kind of caller, decided by the row in Postgres."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat as uuid_utils

import tests.agents_allowed  # noqa: F401
from agent_tasks import AgentTasks, Identity, InvalidState, PermissionDenied, TaskCancelled, TaskHandle, TaskNotFound
from agent_tasks.aio import AsyncAgentTasks
from agent_tasks.doorbell.mirror import key
from tests.database import all_of, claimed, query
from tests.database.children import spawn

ANA = Identity(subject="ana", tenant="acme", scopes=("write",))
MAY = {
    "the owner": ANA,
    "the owner with other scopes": Identity(subject="ana", tenant="acme"),
    "the owner through an agent": ANA.extended("mailer"),
    "one who may see all of the tenant": Identity(subject="boss", tenant="acme", scopes=("tasks:all",)),
    "a trusted program": None,
}
MAY_NOT = {
    "another of the tenant": Identity(subject="bob", tenant="acme", scopes=("write",)),
    "another without the scope that sees all": Identity(subject="boss", tenant="acme", scopes=("tasks:*", "tasks")),
    "the same name elsewhere": Identity(subject="ana", tenant="evil", scopes=("write",)),
    "one who may see all elsewhere": Identity(subject="eve", tenant="evil", scopes=("tasks:all",)),
    "one of no tenant": Identity(subject="ana"),
}
Operation = Callable[[TaskHandle], Any]


def of(task: TaskHandle) -> AgentTasks:
    """The client that the task is of."""
    assert isinstance(task.deployment, AgentTasks)
    return task.deployment


def follow(task: TaskHandle) -> Any:
    """The first event of those to come."""
    return next(iter(task.events(follow=True, timeout=5)))


def asynchronously(operation: str) -> Operation:
    async def run(task: TaskHandle) -> Any:
        handle = await AsyncAgentTasks(of(task)).get(task.id, identity=task.identity)
        return await getattr(handle, operation)()

    return lambda task: asyncio.run(run(task))


READS: dict[str, Operation] = {
    "get": lambda task: of(task).get(task.id, identity=task.identity),
    "get by text": lambda task: of(task).get(str(task.id), identity=task.identity),
    "snapshot": TaskHandle.snapshot,
    "stored": TaskHandle.stored,
    "look": TaskHandle.look,
    "read": TaskHandle.read,
    "events": lambda task: list(task.events()),
    "follow": follow,
    "children": TaskHandle.children,
    "tree": TaskHandle.tree,
    "whole tree": lambda task: task.tree(root=True),
    "traceback": TaskHandle.traceback,
    "aio get and snapshot": asynchronously("snapshot"),
    "aio children": asynchronously("children"),
}
WRITES: dict[str, Operation] = {
    "signal": lambda task: task.signal("approval", 1),
    "signal again": lambda task: task.signal("approval", 1, signal_id="one"),
    "signal of no name": lambda task: task.signal("approval", 1, wait_id="none"),
    "cancel": lambda task: task.cancel("because"),
    "aio cancel": asynchronously("cancel"),
}
AFTER_THE_END: dict[str, Operation] = {
    "wait": lambda task: task.wait(timeout=5),
    "result": lambda task: task.result(timeout=5),
    "resume": TaskHandle.resume,
    "fork": lambda task: task.resume(from_step=0),
    "acknowledge": TaskHandle.acknowledge,
    "signal": lambda task: task.signal("approval", 1, signal_id="one"),
    "cancel": lambda task: task.cancel("because"),
    "aio wait": asynchronously("wait"),
}


def child_of_two(client: AgentTasks, *, ended: bool) -> UUID:
    """A task of ana's with two children, one of which is looked at."""
    root = claimed(client, client.submit("echo", {"value": 1}, identity=ANA, metadata={"note": "secret"}).id)
    child, _ = spawn(client, root, 2)
    owner = ANA.extended("echo").model_dump_json()
    query(
        client,
        "UPDATE agent_tasks.tasks SET tenant = 'acme', identity = %s::jsonb WHERE parent_id = %s",
        owner,
        root.id,
    )
    if ended:
        client.get(root.id).cancel("because")
    return child


def operations(*, ended: bool) -> dict[str, Operation]:
    return READS | (AFTER_THE_END if ended else WRITES)


def refusal(operation: Operation, task: TaskHandle) -> Any:
    """What the error says, with the task's id taken out; what it returned where it was not refused."""
    try:
        return operation(task)
    except TaskNotFound as error:
        return error.message.replace(str(task.id), "ID"), error.details, str(error.info.suggested_action)


def everything(client: AgentTasks) -> Any:
    ids = [row["id"] for row in query(client, "SELECT id FROM agent_tasks.tasks ORDER BY id")]
    return [all_of(client, task_id) for task_id in ids], query(client, "SELECT * FROM agent_tasks.signals ORDER BY seq")


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("who", MAY_NOT)
def test_what_one_may_not_see_does_not_exist(client: AgentTasks, who: str, ended: bool) -> None:
    child = child_of_two(client, ended=ended)
    before = everything(client)
    said: dict[str, Any] = {}
    for name, operation in operations(ended=ended).items():
        there = refusal(operation, TaskHandle(client, child, MAY_NOT[who]))
        nowhere = refusal(operation, TaskHandle(client, uuid_utils.uuid7(), MAY_NOT[who]))
        said[name] = there if there == nowhere else f"{there} where it is, {nowhere} where there is none"
    first = said["get"]
    assert said == dict.fromkeys(said, first)
    assert first[0].startswith("No task ID that ")
    assert not re.search(r"acme|secret|write", first[0])
    assert everything(client) == before


def is_there(operation: Operation, task: TaskHandle) -> str | bool:
    """Whether the task was found, though it may have ended, or its wait be over; what was said where not."""
    try:
        operation(task)
    except TaskNotFound as error:
        return str(error)
    except (InvalidState, TaskCancelled):
        return True
    return True


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("who", MAY)
def test_what_one_may_see_is_there(client: AgentTasks, who: str, ended: bool) -> None:
    found = {
        name: is_there(operation, TaskHandle(client, child_of_two(client, ended=ended), MAY[who]))
        for name, operation in operations(ended=ended).items()
    }
    assert found == dict.fromkeys(found, True)


def test_a_missing_scope_is_told_of_where_something_would_run_and_nowhere_else(client: AgentTasks) -> None:
    owner = Identity(subject="ana", tenant="acme", scopes=("words:read",))
    without = owner.model_copy(update={"scopes": ()})
    denied: set[str] = set()
    for ended in (False, True):
        for name, operation in operations(ended=ended).items():
            task = client.submit("guarded", {"name": "fetch"}, identity=owner)
            if ended:
                task.cancel()
            try:
                assert is_there(operation, TaskHandle(client, task.id, without)) is True
            except PermissionDenied:
                denied.add(name)
    assert denied == {"resume", "fork"}


def test_a_list_has_what_one_may_see_and_nothing_else(client: AgentTasks) -> None:
    child_of_two(client, ended=False)
    for who, identity in {**MAY, **MAY_NOT}.items():
        expected = 3 if who in MAY else 0
        assert len(client.living(identity=identity)) == expected
        assert len(client.living(identity=identity, tenant="acme", subject="ana")) == expected


@pytest.mark.parametrize("who", MAY_NOT)
def test_an_idempotency_key_of_another_tells_nothing(client: AgentTasks, who: str) -> None:
    own = client.submit("echo", {"value": 1}, identity=ANA, idempotency_key="order-9")
    other = client.submit("echo", {"value": 2}, identity=MAY_NOT[who], idempotency_key="order-9")
    assert other.id != own.id


def forge(client: AgentTasks, task: TaskHandle, **changes: Any) -> None:
    """Write to Redis what an attacker there would: another owner, another state, a version above all."""
    version = 10**6
    body = json.loads(task.stored().model_dump_json()) | changes | {"version": version}
    signature = client.redis.hget(key(task.id), "signature") or b""
    entry = {"version": version, "snapshot": json.dumps(body), "signature": signature}
    client.redis.hset(key(task.id), mapping=entry)  # type: ignore[arg-type]


def test_write_access_to_redis_gives_no_access_to_tasks(client: AgentTasks) -> None:
    eve = MAY_NOT["one who may see all elsewhere"]
    task = client.submit("echo", {"value": 1}, identity=ANA)
    before = everything(client)
    said: dict[str, Any] = {}
    for name, operation in operations(ended=False).items():
        forge(client, task, identity=eve.model_dump(mode="json"))
        said[name] = refusal(operation, TaskHandle(client, task.id, eve))
    assert said == dict.fromkeys(said, said["get"])
    assert said["get"][0].startswith("No task ID")
    assert everything(client) == before


@pytest.mark.parametrize("identity", [None, ANA])
def test_nobody_believes_what_is_in_redis_without_a_signature_or_for_another_task(
    client: AgentTasks, identity: Identity | None
) -> None:
    task = client.submit("echo", {"value": 1}, identity=ANA)
    forge(client, task, status="completed", result="forged", finished_at="2026-01-01T00:00:00Z")
    handle = client.get(task.id, identity=identity)
    assert (handle.snapshot().status, handle.snapshot().status) == ("pending", "pending")
    other = client.submit("echo", {"value": 2}, identity=ANA)
    assert other.snapshot().status == "pending", "what somebody looked at is kept in Redis"
    other.cancel()
    moved: Any = client.redis.hgetall(key(other.id))
    client.redis.hset(key(task.id), mapping=moved)
    assert client.get(task.id, identity=identity).snapshot().id == task.id
    assert handle.snapshot().status == "pending"


def test_a_handle_of_an_identity_reads_the_mirror_once_the_row_has_let_it_in(client: AgentTasks) -> None:
    handle = client.get(client.submit("echo", identity=ANA).id, identity=ANA)
    assert handle.snapshot().status == "pending"
    query(client, "ALTER TABLE agent_tasks.tasks RENAME TO hidden")
    try:
        assert handle.snapshot().status == "pending"
    finally:
        query(client, "ALTER TABLE agent_tasks.hidden RENAME TO tasks")
