"""`ctx.task`, run by run: what is sent and recorded, what a repeat and a resumed task find, and what is refused."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from celery import Celery, group
from celery.canvas import Signature
from celery.exceptions import Reject

from agent_tasks import AgentTasks, Context, ContextLost, InvalidInput, PayloadTooLarge, SyncContext
from agent_tasks.authoring.calls import recorded_errors
from agent_tasks.client.outcome import tell
from agent_tasks.doorbell.installed import Installed, installed, set_installed
from agent_tasks.doorbell.outcome import ENDED, FAILED, linked
from agent_tasks.engine.process.outcomes import register
from agent_tasks.engine.steps.outgoing import OutgoingTask
from agent_tasks.errors import LeaseLost
from agent_tasks.transitions import signal
from tests.database.courses import Course
from tests.database.driving import driving

theirs: Any = Celery("theirs", broker="memory://", set_as_current=False)
theirs.conf.update(task_default_queue="theirs")


@theirs.task
def bill(order: int) -> int:
    """Stand for work of theirs; nobody takes it here."""
    return order


@pytest.fixture
def app() -> Iterator[Any]:
    before = installed()
    set_installed(Installed(theirs, None, __name__))
    sent()
    yield theirs
    set_installed(before)


@pytest.fixture
def course(client: AgentTasks, app: Any) -> Iterator[Callable[..., Course]]:
    with driving(client) as driver:
        yield lambda function: Course(driver, function)


def sent() -> list[str]:
    """The ids of the tasks that were sent to their queue since this was asked last."""
    ids: list[str] = []
    with theirs.connection_for_read() as connection:
        queue = connection.SimpleQueue("theirs")
        while queue.qsize():
            message = queue.get(block=False)
            message.ack()
            ids.append(str(message.headers["id"]))
    return ids


def end(course: Course, outcome: Any = None, error: Exception | None = None) -> None:
    """Tell the task that the one which it waits for has ended."""
    waiting = course.task.snapshot().waiting_for
    assert waiting is not None
    recorded = None if error is None else recorded_errors.record(error)
    tell(course.driver.client, course.task_id, waiting.names[0], outcome, recorded)


async def _bills(ctx: Context) -> Any:
    return await ctx.task(bill, 7)


def _bills_plainly(ctx: SyncContext) -> Any:
    return ctx.task(bill, 7)


both = pytest.mark.parametrize("step", [_bills, _bills_plainly])


@both
def test_a_task_is_sent_once_and_its_end_is_told_once(
    course: Callable[..., Course], step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    c = course(step)
    c.parks()
    assert len(sent()) == 1
    waiting = c.task.snapshot().waiting_for
    end(c, 8)
    assert waiting is not None
    tell(c.driver.client, c.task_id, waiting.names[0], 9, None)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert c.ends() == 8
    assert sent() == []


@both
def test_a_worker_lost_while_it_sends_has_it_sent_again_under_the_same_id(
    course: Callable[..., Course], step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = course(step)
    send = OutgoingTask.send

    def send_and_be_lost(self: OutgoingTask, identity: Any) -> str:
        send(self, identity)
        raise LeaseLost("the worker is killed here")

    monkeypatch.setattr(OutgoingTask, "send", send_and_be_lost)
    monkeypatch.setattr("agent_tasks.engine.steps.calls.StepCalls.fail_call", lambda *_, **__: None)
    c.driver.crash(c.driver.run(c.task_id, step))
    monkeypatch.undo()
    c.parks()
    first, second = sent()
    assert first == second


@both
def test_a_worker_lost_between_sending_and_parking_sends_nothing_again(
    course: Callable[..., Course], step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = course(step)
    monkeypatch.setattr("agent_tasks.engine.steps.waits.StepWaits.begin_wait", _is_lost)
    c.driver.crash(c.driver.run(c.task_id, step))
    monkeypatch.undo()
    c.parks()
    assert len(sent()) == 1
    end(c, 8)
    assert c.ends() == 8


def _is_lost(*_: Any) -> None:
    raise LeaseLost("the worker is killed here")


@both
def test_a_failure_that_ends_a_try_has_the_task_sent_anew(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    for _ in range(3):
        c.parks()
        end(c, error=OSError(5, "their disk"))
        c.run()
        c.time_passes()
    c.parks()
    end(c, 8)
    assert c.ends() == 8
    assert len(set(sent())) == 4


def test_a_failure_that_the_step_went_on_from_is_seen_again(course: Callable[..., Course]) -> None:
    async def goes_on(ctx: Context) -> Any:
        try:
            return await ctx.task(bill, 7)
        except OSError as error:
            signal = await ctx.wait("comfort")
            return [error.errno, signal.payload if signal else None]

    c = course(goes_on)
    c.parks()
    end(c, error=OSError(5, "their disk"))
    c.parks()
    c.task.signal("comfort", "there, there")
    assert c.ends() == [5, "there, there"]
    assert len(sent()) == 1


@both
def test_a_resumed_task_sends_what_the_one_before_had_not_heard_of(course: Callable[..., Course], step: Any) -> None:
    c = course(step)
    c.parks()
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    c.task.cancel()
    resumed = c.task.resume()
    tell(c.driver.client, c.task_id, waiting.names[0], 1, None)  # it has ended, and takes nothing any more
    c.task_id, c.task = UUID(str(resumed.id)), resumed
    c.parks()
    end(c, 8)
    assert c.ends() == 8
    assert len(set(sent())) == 2


@pytest.mark.parametrize("is_in", ["inbox", "ledger"])
def test_a_resumed_task_takes_an_end_that_the_one_before_was_told_of(course: Callable[..., Course], is_in: str) -> None:
    c = course(_bills)
    c.parks()
    end(c, 8)
    if is_in == "ledger":
        c.driver.run(c.task_id, _bills)
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    for _ in range(2):
        run = c.driver.run(c.task_id, _bills)
        c.driver.crash(run)
    assert c.ends() == 8
    assert len(sent()) == 1


def test_what_may_be_sent_once_is_not_sent_again_by_a_resumed_task(
    course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sends(ctx: Context) -> Any:
        return await ctx.using(at_most_once=True).task(bill, 7)

    c = course(sends)
    monkeypatch.setattr("agent_tasks.engine.steps.waits.StepWaits.begin_wait", _is_lost)
    c.driver.crash(c.driver.run(c.task_id, sends))
    monkeypatch.undo()
    c.task.cancel()
    c.task = c.task.resume()
    c.task_id = c.task.id
    error = c.fails()
    assert isinstance(error, ContextLost)
    assert "may be sent at most once" in str(error)
    assert len(sent()) == 1


def test_a_failure_is_no_second_call_of_the_budget(course: Callable[..., Course]) -> None:
    c = course(_bills)
    c.parks()
    end(c, error=OSError(5, "their disk"))
    assert isinstance(c.fails(), OSError)
    assert c.task.snapshot().budget.spent.calls == 1


def test_a_result_over_the_limit_is_the_steps_error(course: Callable[..., Course]) -> None:
    c = course(_bills)
    c.parks()
    end(c, "x" * (c.driver.client.settings.payload_limit + 1))
    assert isinstance(c.fails(), PayloadTooLarge)


def test_an_end_whose_id_another_signal_has_is_an_error_of_the_log(
    course: Callable[..., Course], caplog: pytest.LogCaptureFixture
) -> None:
    c = course(_bills)
    name = c.parks()["waiting_for"]["names"][0]
    with c.driver.client.database.transaction() as connection:
        signal.keep(connection, c.task_id, "other", "1", signal_id=name, sender=None)
    end(c, 8)
    (said,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert f"another signal's: task={c.task_id} signal={name}" in said.getMessage()
    assert c.task.stored().status == "waiting"


def test_nobody_else_may_tell_of_an_end(course: Callable[..., Course]) -> None:
    c = course(_bills)
    c.parks()
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    with pytest.raises(InvalidInput, match="from their workers alone"):
        c.task.signal(waiting.names[0], {"result": 1})
    with pytest.raises(InvalidInput, match="signal_id must not begin with"):
        c.task.signal("other", {"result": 1}, signal_id=waiting.names[0])


def test_a_message_that_we_have_not_signed_tells_of_nothing(
    client: AgentTasks, course: Callable[..., Course], caplog: pytest.LogCaptureFixture
) -> None:
    c = course(_bills)
    c.parks()
    waiting = c.task.snapshot().waiting_for
    assert waiting is not None
    to, name = str(c.task.id), waiting.names[0]
    forger: Any = Celery("forger", set_as_current=False)
    runtime: Any = SimpleNamespace(gate=SimpleNamespace(is_open=True), client=client)
    register(forger, lambda: runtime)
    forger.tasks[ENDED](0, to=to, signal=name, seal="x")
    forger.tasks[ENDED](0, to=to, signal=name)
    assert c.task.stored().status == "waiting"
    assert caplog.text.count("not signed by us") == 2
    sealed = linked(bill.s(1), theirs, "q", task_id=c.task.id, signal=name, key=client.outcome_keys[0])
    forger.tasks[ENDED](0, **sealed.options["link"][0].kwargs)
    assert c.task.stored().status == "pending"


@pytest.mark.parametrize(("name", "positional"), [(ENDED, [0]), (FAILED, ["an id"])])
def test_where_the_broker_takes_no_message_the_one_that_tells_of_an_end_stays(
    monkeypatch: pytest.MonkeyPatch, name: str, positional: list[Any]
) -> None:
    away: Any = Celery("away", broker="memory://", set_as_current=False)
    register(away, lambda: None)  # our part has not begun
    told = {"to": "a task", "signal": "s", "seal": "x"} | ({"queue": "q"} if name == FAILED else {})
    task = away.tasks[name]

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the broker is away")

    monkeypatch.setattr(Signature, "apply_async", refuse)
    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)
    task.push_request(called_directly=False, id="1", retries=0, delivery_info={}, args=positional, kwargs=told)
    with pytest.raises(Reject) as rejected:
        task.run(*positional, **told)
    assert rejected.value.requeue
    task.pop_request()


class TestRefused:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (len, "takes a task of your Celery app, or its signature, not"),
            (group(bill.s(1), bill.s(2)), "send the tasks of a chain, group or chord one by one"),
            (Celery("another", set_as_current=False).signature("f"), "is a task of another app"),
            (theirs.signature("no.such.task"), "has no task 'no.such.task' here"),
        ],
    )
    def test_what_is_no_task_of_the_app(self, course: Callable[..., Course], given: Any, said: str) -> None:
        async def sends(ctx: Context) -> Any:
            return await ctx.task(given)

        error = course(sends).fails()
        assert isinstance(error, InvalidInput)
        assert said in error.message

    def test_a_process_without_an_app(self, course: Callable[..., Course]) -> None:
        set_installed(None)
        assert "there is none in this process" in str(course(_bills).fails())

    def test_tasks_that_are_run_at_once(self, course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(theirs.conf.changes, "task_always_eager", True)
        assert "task_always_eager is on" in str(course(_bills).fails())

    @pytest.mark.parametrize("option", [{"check": bool}, {"timeout": 0}])
    def test_options_that_mean_nothing(self, course: Callable[..., Course], option: dict[str, Any]) -> None:
        async def sends(ctx: Context) -> Any:
            return await ctx.using(**option).task(bill, 1)

        assert isinstance(course(sends).fails(), InvalidInput)

    def test_a_time_out_of_a_call(self, course: Callable[..., Course]) -> None:
        async def calls(ctx: Context) -> Any:
            return await ctx.using(timeout=3).call(len, "x")

        assert "a call ends by itself" in str(course(calls).fails())
