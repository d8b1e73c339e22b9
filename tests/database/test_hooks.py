"""Hooks: a URL made by a step is bound to the wait that it opens, and speaks to its task and what continues that."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks import AgentTasks, HookClosed, InvalidInput, InvalidState, PayloadTooLarge, Wait
from agent_tasks.authoring.agent import find_agent
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.cli.application import app
from agent_tasks.client.hooks import read_token
from agent_tasks.engine.steps.decision import WaitForSignals
from agent_tasks.task.hook_token import HookToken, wait_id_of
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.signal import consumed
from agent_tasks.transitions.wait import wait
from tests.database import claimed, commit, query, row_of
from tests.database.children import broken, end
from tests.database.driving import driving
from tests.database.hooking import asking, handed, made, opened, refused
from tests.eventually import eventually


def test_an_answer_is_handed_to_the_step_that_waits_for_it(client: AgentTasks) -> None:
    task_id, url = asking(client)
    assert url.startswith("http://127.0.0.1:8000/hooks/h1.")
    shown = client.hook(url)
    assert (shown.signal, shown.agent, shown.waiting, shown.once) == ("approval", "echo", True, True)
    receipt = client.answer_hook(url, {"ok": True})
    assert (receipt.kept, receipt.delivered) == (True, True)
    assert handed(client, task_id) == [{"ok": True}]


def test_who_answered_is_not_known_and_the_audit_says_that_it_was_a_signal(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.answer_hook(url, 1, key="one")
    (row,) = query(client, "SELECT sender, signal_id FROM agent_tasks.signals WHERE task_id = %s", task_id)
    assert row["sender"] is None
    assert row["signal_id"].startswith("hook-")
    (entry, *_) = client.audit(limit=1)
    assert (entry.operation, entry.target, entry.task_id, entry.answer) == ("signal", "approval", task_id, "accepted")


def test_an_answer_before_the_wait_opens_is_kept_for_it(client: AgentTasks) -> None:
    taken = claimed(client)
    url = made(client, taken)
    assert not client.hook(url).waiting
    assert not client.answer_hook(url, "early").delivered
    assert refused(client, url) == "used"
    opened(client, taken)
    assert handed(client, taken.id) == ["early"]


def test_an_early_answer_waits_for_its_own_wait_and_no_other(client: AgentTasks) -> None:
    first = claimed(client)
    opened(client, first)
    client.get(first.id).signal("approval", "for the first")
    second = claimed(client, first.id)
    url = made(client, second)
    client.answer_hook(url, "for the second")
    with client.database.connection() as connection:
        commit(connection, second)  # it does not wait after all
    third = claimed(client, first.id)
    opened(client, third)
    assert row_of(client, first.id)["status"] == "waiting"
    assert refused(client, url) == "used"


def test_an_early_answer_that_the_step_then_refuses_leaves_the_hook_open(client: AgentTasks) -> None:
    task = client.submit("approval")
    taken = claimed(client, task.id)
    url = made(client, taken)
    client.answer_hook(url, {"ok": "perhaps"}, key="one")
    committed = Committed("decide", '{"draft": "d"}', 0)
    directive = Wait("approval", then="decide", draft="d")
    with driving(client) as driver:
        decide = find_agent("approval").steps["decide"]
        ids = {"approval": wait_id_of(taken.lineage_id, taken.step_number)}
        decision = WaitForSignals(committed, directive, decide, None, ids)
        assert driver.commits.commit(taken, decision).row["status"] == "waiting"
    assert client.hook(url).waiting
    assert not client.answer_hook(url, {"ok": "perhaps"}, key="one").delivered
    assert client.answer_hook(url, {"ok": True}, key="two").delivered


def test_a_payload_that_the_waiting_step_refuses_keeps_the_task_waiting(client: AgentTasks) -> None:
    taken = claimed(client, client.submit("approval").id)
    url = made(client, taken)
    with client.database.connection() as connection, connection.transaction():
        wait(
            connection, taken, Committed("decide", '{"draft": "d"}', 0), ["approval"],
            all_of_them=False, timeout=None, on_timeout=None, ring_seconds=60,
        )  # fmt: skip
    with pytest.raises(InvalidInput, match=r"payload\.ok: .*boolean.* keeps waiting") as caught:
        client.answer_hook(url, {"ok": "perhaps"}, key="one")
    assert caught.value.details["field"] == "payload.ok"
    assert "boolean" in caught.value.details["problem"]
    assert row_of(client, taken.id)["status"] == "waiting"
    assert client.hook(url).payload_schema == {
        "title": "Approval", "type": "object", "required": ["ok"],
        "properties": {"ok": {"title": "Ok", "type": "boolean"}},
    }  # fmt: skip
    with pytest.raises(PayloadTooLarge):
        client.answer_hook(url, "x" * 2_000_000)
    assert client.answer_hook(url, {"ok": True}, key="one").delivered


def test_the_same_key_gets_the_first_answer_and_another_or_none_does_not(client: AgentTasks) -> None:
    task_id, url = asking(client)
    first = client.answer_hook(url, "first", key="one")
    assert client.answer_hook(url, "second", key="one") == first.model_copy(update={"unserved": None})
    assert [refused(client, url, key="two"), refused(client, url)] == ["used", "used"]
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        assert [row["payload"] for row in consumed(connection, task_id, 1)] == ["first"]
    end(client, taken, broken)
    assert client.answer_hook(url, "third", key="one").delivered
    assert refused(client, url) == "used"


def test_answers_at_the_same_time_are_one(client: AgentTasks) -> None:
    task_id, url = asking(client)
    barrier, outcomes = threading.Barrier(6), list[Any]()

    def answer(number: int) -> None:
        barrier.wait()
        try:
            outcomes.append(client.answer_hook(url, number).delivered)
        except HookClosed as error:
            outcomes.append(error.details["why"])

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["True", *["used"] * 5]
    assert len(handed(client, task_id)) == 1


def test_after_the_wait_is_over_an_answer_is_refused(client: AgentTasks) -> None:
    task_id, url = asking(client)
    client.get(task_id).signal("approval", "from elsewhere")
    assert refused(client, url) == "over"
    with pytest.raises(HookClosed, match="does not wait for 'approval' any more"):
        client.hook(url)
    assert handed(client, task_id) == ["from elsewhere"]


def test_a_step_that_waits_for_something_else_or_not_at_all_leaves_its_hook_closed(client: AgentTasks) -> None:
    other, none = claimed(client), claimed(client)
    urls = [made(client, taken) for taken in (other, none)]
    opened(client, other, "payment")
    with client.database.connection() as connection:
        commit(connection, none)
    assert [refused(client, url) for url in urls] == ["over", "over"]


def test_a_hook_that_is_not_for_one_answer_takes_them_for_later_waits_too(client: AgentTasks) -> None:
    task_id, url = asking(client, HookOptions("approval", once=False))
    assert client.answer_hook(url, 1, key="a").delivered
    assert not client.answer_hook(url, 2, key="b").delivered
    assert not client.hook(url).waiting
    assert not client.answer_hook(url, 2, key="b").delivered
    second = claimed(client, task_id)
    opened(client, second)
    third = claimed(client, task_id)
    with client.database.connection() as connection:
        assert [row["payload"] for row in consumed(connection, task_id, 2)] == [2]
    end(client, third, broken)
    assert refused(client, url) == "ended"


def test_an_inbox_takes_a_bounded_number_of_answers_that_nobody_takes(
    client: AgentTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.client.hooks.MOST_KEPT", 2)
    task_id, url = asking(client, HookOptions("approval", once=False))
    client.get(task_id).signal("other")  # of no hook
    first = [client.answer_hook(url, number, key=str(number)) for number in range(3)]
    with pytest.raises(InvalidState, match="2 answers that it has not taken yet"):
        client.answer_hook(url, 3)
    assert client.answer_hook(url, 2, key="2").delivered is first[2].delivered is False
    opened(client, claimed(client, task_id))
    assert client.answer_hook(url, 3).kept


def test_a_hook_expires_by_the_clock_of_the_database(client: AgentTasks) -> None:
    _, url = asking(client, HookOptions("approval", expires=timedelta(days=1)))
    token = read_token(client, url)
    (now,) = query(client, "SELECT clock_timestamp() AS at")
    assert token.expires_at is not None
    assert timedelta(hours=23) < token.expires_at - now["at"] <= timedelta(days=1)
    assert client.hook(url).until == token.expires_at
    over = replace(token, expires_at=now["at"])
    assert refused(client, signed(client, over)) == "expired"
    _, short = asking(client, HookOptions("approval", expires=0.05))
    eventually(lambda: is_closed(client, short))
    assert refused(client, short) == "expired"
    assert client.answer_hook(url).delivered


def is_closed(client: AgentTasks, url: str) -> bool:
    try:
        client.hook(url)
    except HookClosed:
        return True
    return False


def signed(client: AgentTasks, token: HookToken) -> str:
    return f"https://elsewhere.example/any/prefix/hooks/{token.sign(client.hook_keys[0])}?utm=mail#top"


def test_a_task_that_is_purged_says_so(client: AgentTasks) -> None:
    task_id, url = asking(client)
    query(client, "DELETE FROM agent_tasks.tasks WHERE id = %s", task_id)
    assert refused(client, url) == "purged"
    with pytest.raises(HookClosed, match="not kept any more"):
        client.hook(url)
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.hooks WHERE task_id = %s", task_id) == [{"n": 0}]


def test_a_wait_that_was_opened_by_an_earlier_release_is_answered_as_before(client: AgentTasks) -> None:
    task_id, _ = asking(client)
    query(
        client,
        "UPDATE agent_tasks.tasks SET waiting_for = (waiting_for - 'wait_ids') || "
        "jsonb_build_object('wait_id', '0198c2f4') WHERE id = %s",
        task_id,
    )
    assert client.get(task_id).signal("approval", 1, wait_id="0198c2f4").delivered


def test_the_command_line_shows_and_answers_a_hook(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"AGENT_TASKS_{name.upper()}", str(getattr(client.settings, name)))
    task_id, url = asking(client, HookOptions("approval", expires=3600))

    def run(*arguments: str) -> str:
        ran = CliRunner().invoke(app, ["hook", *arguments])
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert run(url).startswith("echo asks for approval: it waits since ")
    assert json.loads(run(url, "--json"))["waiting"] is True
    assert run(url, '{"ok": true}', "--key", "one") == "The task goes on.\n"
    assert json.loads(run(url, "1", "--key", "one", "--json"))["delivered"] is True
    assert handed(client, task_id) == [{"ok": True}]
