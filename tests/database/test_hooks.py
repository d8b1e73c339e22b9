"""Hooks: a URL made by a step is bound to the wait that it opens, and speaks to its task and what continues that."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from agent_tasks import (
    AgentTasks,
    HookClosed,
    HookNotFound,
    Identity,
    InvalidInput,
    InvalidState,
    PayloadTooLarge,
    Settings,
    SyncContext,
    Wait,
)
from agent_tasks.authoring.agent import find_agent
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.cli.application import app
from agent_tasks.client.hooks import read_token
from agent_tasks.engine.steps.decision import WaitForSignals, decide
from agent_tasks.errors import LeaseLost
from agent_tasks.task.hook_token import HookToken, wait_id_of
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.signal import consumed
from agent_tasks.transitions.wait import wait
from tests.database import claimed, commit, lapse, operations_of, park, query, row_of, submitted
from tests.database.children import broken, end
from tests.database.driving import driving, result_of
from tests.eventually import eventually

APPROVAL = HookOptions("approval")


def made(client: AgentTasks, taken: Claim, asked: HookOptions = APPROVAL) -> str:
    """The URL of a hook that the claimed step makes."""
    return operations_of(client, taken).hook(asked)


def opened(client: AgentTasks, taken: Claim, *names: str, **options: Any) -> None:
    """The step commits its Wait."""
    with client.database.connection() as connection:
        park(connection, taken, *(names or ("approval",)), **options)


def asking(client: AgentTasks, asked: HookOptions = APPROVAL, **options: Any) -> tuple[UUID, str]:
    """A task that waits for what its hook sends."""
    taken = claimed(client, submitted(client, **options))
    url = made(client, taken, asked)
    opened(client, taken)
    return taken.id, url


def handed(client: AgentTasks, task_id: UUID) -> list[Any]:
    """What the step after the wait is given."""
    taken = claimed(client, task_id)
    with client.database.connection() as connection:
        return [row["payload"] for row in consumed(connection, task_id, taken.step_number)]


def refused(client: AgentTasks, url: str, payload: Any = 1, **options: Any) -> str:
    """Why the hook takes no answer, and shows nothing any more."""
    with pytest.raises(HookClosed) as caught:
        client.answer_hook(url, payload, **options)
    return caught.value.details["why"]


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


def test_a_url_that_is_none_of_ours_is_not_found(client: AgentTasks, settings: Settings) -> None:
    _, url = asking(client)
    other = AgentTasks(settings.model_copy(update={"secret_key": "another"}))
    for wrong in (url[:-1], url + "x", "", "https://acme.example/", "h1.e30.e30"):
        with pytest.raises(HookNotFound):
            client.answer_hook(wrong, 1)
    with pytest.raises(HookNotFound):
        other.hook(url)
    other.close()
    with pytest.raises(InvalidInput, match="url must be"):
        client.hook(None)  # type: ignore[arg-type]
    assert client.hook(url).waiting


def test_a_key_that_was_replaced_still_opens_what_it_signed(client: AgentTasks, settings: Settings) -> None:
    old = AgentTasks(settings.model_copy(update={"secret_key": "old"}))
    _, url = asking(old)
    new = AgentTasks(settings.model_copy(update={"secret_key": "new,old"}))
    assert new.answer_hook(url).delivered
    old.close()
    new.close()


def test_a_repeated_step_gets_the_same_url_whatever_has_changed_meanwhile(
    client: AgentTasks, settings: Settings
) -> None:
    taken = claimed(client)
    asked = HookOptions("approval", expires=3600)
    url = made(client, taken, asked)
    assert made(client, taken, asked) == url
    assert made(client, taken, HookOptions("approval", expires=3601)) != url
    changed = AgentTasks(settings.model_copy(update={"secret_key": "new", "public_url": "https://acme.example/p"}))
    lapse(client, taken.id)
    again = claimed(client, taken.id)
    assert made(changed, again, asked) == url
    assert made(changed, again).startswith("https://acme.example/p/hooks/")
    with pytest.raises(LeaseLost):
        made(client, taken, HookOptions("other"))
    changed.close()


def test_a_hook_costs_no_call_and_no_event(client: AgentTasks) -> None:
    taken = claimed(client)
    before = row_of(client, taken.id)
    made(client, taken)
    after = row_of(client, taken.id)
    assert after == before


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


def test_a_hook_that_no_step_could_wait_for_is_refused_where_it_is_made(client: AgentTasks, settings: Settings) -> None:
    taken = claimed(client, client.submit("approval").id)
    with pytest.raises(InvalidInput, match="takes no signal 'aproval'; it declares approval"):
        made(client, taken, HookOptions("aproval"))
    with pytest.raises(InvalidInput, match="AGENT_TASKS_HOOK_SECRETS"):
        made(client, taken, HookOptions("approval", verify="standard-webhooks:github"))


def plain_step(seen: list[str]) -> Callable[..., Any]:
    def step(ctx: SyncContext) -> Wait:
        seen.append(ctx.hook("approval", expires=timedelta(hours=1)))
        return Wait("approval", then="echo", value=1)

    return step


def async_step(seen: list[str]) -> Callable[..., Any]:
    async def step(ctx: Any) -> Wait:
        seen.append(await ctx.hook("approval", expires=timedelta(hours=1)))
        return Wait("approval", then="echo", value=1)

    return step


@pytest.mark.parametrize("kind", [plain_step, async_step])
def test_both_kinds_of_steps_make_hooks_and_a_repeat_makes_none(client: AgentTasks, kind: Any) -> None:
    seen: list[str] = []
    task_id = submitted(client, identity=Identity(subject="ana", tenant="acme"))
    with driving(client) as driver:
        driver.crash(driver.run(task_id, kind(seen)))
        run = driver.run(task_id, kind(seen))
        driver.commits.commit(run.claim, decide(run, result_of(run), limit=10_000, draining=False))
    assert seen[0] == seen[1]
    assert client.answer_hook(seen[1]).delivered


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
