"""Hooks: their URLs, which are the same when a step is repeated, and no other's."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks import AgentTasks, HookNotFound, Identity, InvalidInput, Settings, SyncContext, Wait
from agent_tasks.authoring.hook import HookOptions
from agent_tasks.engine.steps.decision import decide
from agent_tasks.errors import LeaseLost
from tests.database import claimed, lapse, row_of, submitted
from tests.database.driving import driving, result_of
from tests.database.hooking import asking, made


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
