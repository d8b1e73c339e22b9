"""`Child(a2a=…)`: an agent elsewhere as a child: sent to once, awaited by a parked task, cancelled with the tree."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("a2a")

from a2a.types import a2a_pb2 as a2a

from agent_tasks import AgentTasks, Child, Identity, InvalidInput, TaskHandle
from tests import rows
from tests.eventually import eventually
from tests.peers.a2a_peer import A2APeer, a2a_peer


@pytest.fixture
def peer() -> Iterator[A2APeer]:
    with a2a_peer() as peer:
        yield peer


def child_of(task: TaskHandle, index: int = 0) -> TaskHandle | None:
    """The child that waits for the remote task, once it does."""
    children = task.children()
    return children[index] if len(children) > index and children[index].snapshot().waiting_for is not None else None


def asked(deployed: AgentTasks, peer: A2APeer, *inputs: Any, **options: Any) -> TaskHandle:
    return deployed.submit("travel", {"url": peer.url, "inputs": list(inputs)}, **options)


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
def test_a_remote_agent_is_a_child(deployed: AgentTasks, binding: str) -> None:
    with a2a_peer(binding=binding) as peer:
        task = asked(deployed, peer, "to Rome", {"city": "Oslo"})
        eventually(lambda: child_of(task) and child_of(task, 1) and len(peer.looks) > 2)
        assert rows.task(deployed, task.id)["worker"] is None
        for task_id in list(peer.tasks):
            peer.finish(
                task_id, {"text": "booked"}, {"data": {"seats": 2, "of": [1.5]}}, {"url": "https://x.example/f"}
            )
        for outcome in task.result(timeout=30):
            assert outcome["status"] == "completed"
            result = outcome["result"]
            assert (result["text"], result["data"]) == ("booked", [{"seats": 2, "of": [1.5]}])
            assert result["files"] == [{"url": "https://x.example/f"}]
            assert result["context_id"] == f"context of {result['task_id']}"
        sent = sorted(([*part] for message in peer.messages for part in message["parts"]), reverse=True)
        assert sent == [["text"], ["data"]]
        assert {message["messageId"] for message in peer.messages} == {str(child.id) for child in task.children()}
        assert peer.cancelled == []


def test_what_is_left_of_the_budget_is_said_and_what_was_spent_is_charged(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a", "b")
    eventually(lambda: len(peer.tasks) == 2)
    for message in peer.messages:
        budget = message["metadata"]["agent-tasks"]["budget"]
        assert budget["tokens"] == 500
        assert 0 < budget["seconds"] <= 600
    peer.finish("task-1", **{"agent-tasks": {"budget": {"spent": {"tokens": 9, "usd": 0.5}}}})
    peer.finish("task-2", **{"agent-tasks/usage": {"tokens": 3}})
    task.result(timeout=30)
    row = rows.task(deployed, task.id)
    assert (row["spent_tokens"], float(row["spent_usd"]), row["reserved_tokens"]) == (12, 0.5, 0)


def test_a_message_in_answer_is_the_result(deployed: AgentTasks, peer: A2APeer) -> None:
    peer.replies = True
    (outcome,) = asked(deployed, peer, "a").result(timeout=30)
    assert (outcome["result"]["text"], outcome["result"]["task_id"]) == ("at once", None)


def test_a_cancelled_tree_reaches_the_remote_agents(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a", "b", "c")
    eventually(lambda: all(child_of(task, index) for index in range(3)))
    task.cancel("not needed")
    assert sorted(eventually(lambda: len(peer.cancelled) == 3 and peer.cancelled)) == ["task-1", "task-2", "task-3"]
    eventually(lambda: all(child.snapshot().status == "cancelled" for child in task.children()))
    assert len(peer.messages) == 3


def test_a_tree_that_is_cancelled_while_the_message_is_answered_reaches_it(deployed: AgentTasks, peer: A2APeer) -> None:
    """The answer is lost with the step: the same message finds the task."""
    peer.may_answer.clear()
    task = asked(deployed, peer, "a")
    assert peer.arrived.wait(30)
    task.cancel("not needed")
    peer.may_answer.set()
    assert eventually(lambda: peer.cancelled) == ["task-1"]
    assert len({message["messageId"] for message in peer.messages}) == 1
    assert list(peer.tasks) == ["task-1"]


def test_a_task_that_asks_is_answered_by_a_signal(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a")
    eventually(lambda: child_of(task))
    peer.state("task-1", a2a.TASK_STATE_INPUT_REQUIRED, {"text": "Which day?"})
    (child,) = task.children()
    eventually(lambda: (waits := child.snapshot().waiting_for) and waits.names == ["input"])
    (event,) = rows.events(deployed, child.id, "a2a.input_required")
    assert (event["data"]["signal"], event["data"]["text"]) == ("input", "Which day?")
    child.signal("input", "Monday")
    answer = eventually(lambda: len(peer.messages) == 2 and peer.messages[1])
    assert (answer["taskId"], answer["contextId"]) == ("task-1", "context of task-1")
    assert answer["parts"] == [{"text": "Monday"}]
    peer.finish("task-1")
    (outcome,) = task.result(timeout=30)
    assert outcome["result"]["text"] == "end of task-1"
    assert len(peer.messages) == 2


def test_a_task_that_wants_to_be_authorised_goes_on_by_itself(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a")
    eventually(lambda: child_of(task))
    peer.state("task-1", a2a.TASK_STATE_AUTH_REQUIRED)
    (child,) = task.children()
    eventually(lambda: (waits := child.snapshot().waiting_for) and waits.names == ["auth"])
    peer.finish("task-1")
    (outcome,) = task.result(timeout=30)
    assert outcome["status"] == "completed"
    assert len(peer.messages) == 1


FAILURE = {"type": "budget_exhausted", "message": "no tokens left", "suggested_action": "raise_budget"}


@pytest.mark.parametrize(
    ("state", "parts", "said"),
    [
        (a2a.TASK_STATE_FAILED, [{"text": "no seats"}], "failed: no seats"),
        (a2a.TASK_STATE_FAILED, [{"text": "no tokens"}, {"data": {"error": FAILURE}}], "failed: no tokens"),
        (a2a.TASK_STATE_CANCELED, [], "was cancelled there"),
        (a2a.TASK_STATE_REJECTED, [{"text": "not here"}], "was rejected: not here"),
    ],
)
def test_an_end_without_a_result_is_the_childs_failure(
    deployed: AgentTasks, peer: A2APeer, state: Any, parts: list[Any], said: str
) -> None:
    task = asked(deployed, peer, "a")
    eventually(lambda: child_of(task))
    peer.state("task-1", state, *parts)
    (outcome,) = task.result(timeout=30)
    assert outcome["status"] == "failed"
    assert said in outcome["error"]
    assert len(peer.messages) == 1
    assert peer.cancelled == []


def test_an_agent_that_has_lost_the_task_is_told_of(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a")
    eventually(lambda: child_of(task))
    peer.tasks.clear()
    (outcome,) = task.result(timeout=30)
    (child,) = task.children()
    error = child.snapshot().error
    assert error is not None
    assert error.type == "context_lost"
    assert "does not know the task" in outcome["error"]


def test_a_result_that_is_too_large_is_told_of(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a")
    eventually(lambda: child_of(task))
    peer.finish("task-1", {"text": "x" * 2_000_000})
    task.result(timeout=30)
    (child,) = task.children()
    error = child.snapshot().error
    assert error is not None
    assert error.type == "payload_too_large"


def test_a_child_that_is_resumed_with_its_parent_is_sent_anew(deployed: AgentTasks, peer: A2APeer) -> None:
    task = asked(deployed, peer, "a")
    eventually(lambda: child_of(task))
    task.cancel("for now")
    eventually(lambda: peer.cancelled and all(child.snapshot().status.is_terminal for child in task.children()))
    again = task.resume()
    eventually(lambda: len(peer.tasks) == 2)
    peer.finish("task-2")
    (outcome,) = again.result(timeout=30)
    assert outcome["result"]["text"] == "end of task-2"


def test_headers_and_the_skill_are_sent_and_no_header_is_recorded(deployed: AgentTasks, peer: A2APeer) -> None:
    identity = Identity(subject="ana", tenant="acme")
    task = deployed.submit("travel_straight", {"url": peer.url, "text": "hi"}, identity=identity)
    eventually(lambda: child_of(task))
    peer.finish("task-1")
    assert task.result(timeout=30) == "end of task-1"
    assert peer.headers[0]["authorization"] == "Bearer secret-of-ana"
    assert peer.messages[0]["metadata"]["agent-tasks"]["skill"] == "booking"
    for table in rows.query(deployed, "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'agent_tasks'"):
        sql = f"SELECT FROM agent_tasks.{table['relname']} AS t WHERE t::text LIKE '%%secret-of%%'"
        assert rows.query(deployed, sql) == []


def test_a_card_that_names_another_host_is_refused(deployed: AgentTasks) -> None:
    peer = A2APeer()
    peer.named = "http://elsewhere.invalid/rpc"
    from tests.peers.serving import serving

    with serving(peer.application):
        (outcome,) = asked(deployed, peer, "a").result(timeout=30)
    assert "names an address of another origin" in outcome["error"]


def test_a_child_is_of_one_agent_at_an_address() -> None:
    with pytest.raises(InvalidInput, match="not both"):
        Child("writer", a2a="https://x.example")
    with pytest.raises(InvalidInput, match="without credentials"):
        Child(a2a="https://ana:secret@x.example")
    with pytest.raises(InvalidInput, match="a URL or a A2AAgent"):
        Child(a2a=7)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInput, match="list of A2A's parts"):
        Child(a2a="https://x.example", input={"parts": {}})
    assert Child(a2a="https://x.example", input="hi").agent_name == "a2a-remote"
