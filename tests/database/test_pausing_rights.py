"""Pauses: whose they are, who ends them, and who is told of them."""

import pytest

from agent_tasks import AgentTasks, Identity, InvalidState, PermissionDenied, TaskNotFound
from tests.database import submitted
from tests.database.pausing import ANA, BOB, is_claimed

OPERATOR = Identity(subject="olga", tenant="acme", scopes=("tasks:all",))


def test_tenants_pause_nothing_of_each_other(client: AgentTasks) -> None:
    own, others = submitted(client, identity=ANA), submitted(client, identity=BOB)
    with pytest.raises(TaskNotFound):
        client.pause(others, identity=OPERATOR)
    with pytest.raises(PermissionDenied):
        client.pause(tenant="other", identity=OPERATOR)
    with pytest.raises(PermissionDenied, match="tasks:all"):
        client.pause(agent="echo", identity=ANA)
    client.pause(agent="echo", identity=OPERATOR)
    assert not is_claimed(client, own)
    assert is_claimed(client, others)
    assert client.pauses(identity=BOB) == []
    assert client.pauses(identity=ANA) == []
    assert [pause.by for pause in client.pauses(identity=OPERATOR)] == ["olga"]
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(agent="echo", identity=BOB)


def test_a_tenant_does_not_end_what_the_operators_have_paused(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task)
    client.pause(tenant="acme")
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(task, identity=ANA)
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(tenant="acme", identity=OPERATOR)
    assert {pause.by for pause in client.pauses(identity=OPERATOR)} == {"the operators"}
    admin = Identity(subject="root", scopes=("admin",))
    client.resume_paused(task, identity=admin)
    client.resume_paused(tenant="acme", identity=admin)
    assert [entry.subject for entry in client.audit(operation="unpause", limit=2)] == ["root", "root"]
    assert is_claimed(client, task)


def test_whoever_pauses_first_keeps_the_operators_from_nothing(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, identity=ANA)
    client.pause(task, reason="runaway")
    with pytest.raises(InvalidState, match="is paused since"):
        client.pause(task)
    client.resume_paused(task, identity=ANA)
    assert not is_claimed(client, task)
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(task, identity=ANA)
    client.resume_paused(task)
    assert is_claimed(client, task)


def test_the_operators_end_their_own_pause_first_and_then_that_of_the_tenant(client: AgentTasks) -> None:
    client.pause(tenant="acme", reason="theirs", identity=OPERATOR)
    client.pause(tenant="acme", reason="ours")
    assert client.resume_paused(tenant="acme").reason == "ours"
    assert client.resume_paused(tenant="acme").reason == "theirs"
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(tenant="acme")


def test_the_operators_end_what_a_tenant_has_paused_of_an_agent(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(agent="echo", identity=OPERATOR)
    with pytest.raises(InvalidState, match="is not paused"):
        client.resume_paused(agent="echo")
    assert client.resume_paused(agent="echo", tenant="acme").by == "olga"
    assert is_claimed(client, task)


@pytest.mark.parametrize("named", [{"agent": "echo"}, {"queue": "there"}])
def test_the_operators_pause_what_an_agent_or_a_queue_has_of_one_tenant(
    client: AgentTasks, named: dict[str, str]
) -> None:
    own, others = (submitted(client, queue="there", identity=who) for who in (ANA, BOB))
    begun = client.pause(**named, tenant="acme")
    assert (begun.tenant, begun.by_operators) == ("acme", True)
    assert not is_claimed(client, own)
    assert is_claimed(client, others)
    with pytest.raises(PermissionDenied, match="operators"):
        client.resume_paused(**named, identity=OPERATOR)
    with pytest.raises(PermissionDenied, match="only"):
        client.pause(**named, tenant="other", identity=OPERATOR)
    assert [pause.by for pause in client.pauses(identity=OPERATOR)] == ["the operators"]
    assert client.pauses(identity=BOB) == []
    client.resume_paused(**named, tenant="acme")
    assert is_claimed(client, own)


def test_a_tenant_without_a_name_is_listed_no_pauses_of_the_operators(client: AgentTasks) -> None:
    client.pause(agent="echo")
    assert client.pauses(identity=Identity(subject="nemo", scopes=("tasks:all",))) == []


def test_a_subject_pauses_its_own_task_and_lets_it_go_on(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, identity=ANA)
    assert [pause.by for pause in client.pauses(identity=ANA)] == ["ana"]
    client.resume_paused(task, identity=ANA)
    assert is_claimed(client, task)


def test_who_paused_what_is_audited(client: AgentTasks) -> None:
    task = submitted(client, identity=ANA)
    client.pause(task, reason="why", identity=ANA)
    client.resume_paused(task, identity=ANA)
    client.pause(queue="there", reason="stuck")
    audit = [(entry.operation, entry.subject, entry.task_id, entry.target, entry.data) for entry in client.audit()][:3]
    assert audit == [
        ("pause", None, None, "there", {"kind": "queue", "reason": "stuck"}),
        ("unpause", "ana", task, str(task), {"kind": "task"}),
        ("pause", "ana", task, str(task), {"kind": "task", "reason": "why"}),
    ]
    client.pause(queue="there", tenant="acme")
    client.resume_paused(queue="there", tenant="acme")
    assert [(entry.tenant, entry.data) for entry in client.audit()][:2] == [
        ("", {"kind": "queue", "of_tenant": "acme"}), ("", {"kind": "queue", "of_tenant": "acme"}),
    ]  # fmt: skip


def test_a_paused_task_says_so_wherever_it_is_shown(client: AgentTasks) -> None:
    task = client.submit("echo", {"value": 1}, identity=ANA)
    assert task.snapshot().paused is None
    client.pause(agent="echo", reason="why")
    handle = client.get(task.id)
    shown = [
        handle.snapshot(), handle.stored(), handle.tree().snapshot, *client.living(), *client.search().tasks,
    ]  # fmt: skip
    for snapshot in shown:
        assert snapshot.paused is not None
        assert (snapshot.paused.kind, snapshot.paused.name, snapshot.paused.reason) == ("agent", "echo", "why")
    seen = client.get(task.id, identity=ANA).stored().paused
    assert seen is not None
    assert seen.by == "the operators"
    assert client.living()[0].paused.by != "the operators"  # type: ignore[union-attr]
    client.resume_paused(agent="echo")
    assert handle.snapshot().paused is None
