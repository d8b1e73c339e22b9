"""Hooks: of tasks that are resumed or forked."""

from typing import Any
from uuid import UUID

import pytest

from agent_tasks import AgentTasks, HookClosed
from agent_tasks.task.hook_token import wait_id_of
from tests.database import claimed, commit, query, row_of
from tests.database.children import broken, end
from tests.database.hooking import asking, handed, made, opened, refused


def test_a_resumed_task_is_spoken_to_by_the_same_url(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.get(task_id).cancel()
    assert refused(client, url) == "ended"
    resumed = client.get(task_id).resume()
    assert client.hook(url).waiting
    resumed.cancel()
    newest = resumed.resume()
    assert client.answer_hook(url, "late", key="k").delivered
    assert handed(client, newest.id) == ["late"]
    assert row_of(client, task_id)["status"] == "cancelled"


def forked(client: AgentTasks, task_id: UUID) -> tuple[UUID, str]:
    """A fork from before the wait, which waits for what its own hook sends."""
    taken = claimed(client, client.get(task_id).resume(from_step=0).id)
    url = made(client, taken)
    opened(client, taken)
    return taken.id, url


def test_forks_from_before_the_wait_have_urls_of_their_own_and_no_answer_to_one_is_anothers(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.answer_hook(url, "first", key="k")
    end(client, claimed(client, task_id), broken)
    (one, its), (other, others) = forked(client, task_id), forked(client, task_id)
    assert len({url, its, others}) == 3
    assert refused(client, url) == "used"
    assert client.answer_hook(its, "second", key="k").delivered
    assert row_of(client, other)["status"] == "waiting"
    assert handed(client, one) == ["second"]
    client.get(other).cancel()
    continued = client.get(other).resume()
    assert client.answer_hook(others, "third", key="k").delivered
    assert handed(client, continued.id) == ["third"]


def test_a_url_that_would_answer_one_of_several_living_tasks_answers_none(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.get(task_id).cancel()
    one, other = client.get(task_id).resume(), client.get(task_id).resume()
    assert refused(client, url) == "forked"
    with pytest.raises(HookClosed, match="goes on in several tasks"):
        client.hook(url)
    other.cancel()
    assert client.answer_hook(url, "late").delivered
    assert handed(client, one.id) == ["late"]


def test_a_task_is_spoken_to_also_when_those_between_are_purged(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.get(task_id).cancel()
    between = client.get(task_id).resume()
    between.cancel()
    newest = between.resume()
    query(client, "DELETE FROM agent_tasks.tasks WHERE id = ANY (%s) RETURNING id", [task_id, between.id])
    assert client.answer_hook(url).delivered
    assert row_of(client, newest.id)["status"] == "pending"


def test_what_had_answered_a_wait_in_part_does_not_answer_it_in_a_fork_from_before(client: AgentTasks) -> None:
    taken = claimed(client)
    opened(client, taken, "approval", "payment", every=True)
    wait_id = wait_id_of(taken.lineage_id, 0)
    client.get(taken.id).signal("approval", "of the old draft", wait_id=wait_id)
    client.get(taken.id).signal("other", "for any")
    client.get(taken.id).cancel()
    on, fork = client.get(taken.id).resume(), client.get(taken.id).resume(from_step=0)
    opened(client, claimed(client, fork.id), "approval", "payment", every=True)
    for task, delivered in ((on, True), (fork, False)):
        assert task.signal("payment", 1).delivered is delivered
    assert {s["name"] for s in inbox_of(client, fork.id)} == {"other", "payment"}


def inbox_of(client: AgentTasks, task_id: UUID) -> list[Any]:
    return query(client, "SELECT name FROM agent_tasks.signals WHERE task_id = %s AND consumed_step IS NULL", task_id)


def test_an_answer_that_was_kept_goes_with_a_task_that_is_resumed_before_its_wait(client: AgentTasks) -> None:
    taken = claimed(client)
    url = made(client, taken)
    client.answer_hook(url, "early")
    end(client, taken, broken)
    resumed = client.get(taken.id).resume(from_step=0)
    assert refused(client, url) == "used"
    opened(client, claimed(client, resumed.id))
    assert handed(client, resumed.id) == ["early"]


def test_a_repeat_gets_its_first_answer_after_the_task_was_resumed_past_the_wait(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.answer_hook(url, "first", key="k")
    second = claimed(client, task_id)
    with client.database.connection() as connection:
        commit(connection, second)
    end(client, claimed(client, task_id), broken)
    client.get(task_id).resume()
    assert client.answer_hook(url, "again", key="k").delivered
    assert refused(client, url) == "over"
