"""`ctx.task`: sending one of the Celery tasks of a team's app, and waiting within the step until it has ended."""

from typing import Any

from agent_tasks.authoring.calls.call_identity import CallIdentity, digest_of, wait_known_by
from agent_tasks.authoring.calls.doing import Doing
from agent_tasks.authoring.calls.operations import HERE, Call, CallOptions
from agent_tasks.authoring.calls.recorded_errors import rebuild
from agent_tasks.authoring.directives import Wait
from agent_tasks.errors import InvalidInput, LeaseLost, StepFailed, UpstreamUnavailable

_AGAIN = "again"


async def run_task(
    doing: Doing, options: CallOptions, celery_task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return what a task of a team's app returns, or raise what it raised; the step is parked meanwhile.

    Three things are recorded: that it was sent, how it ended, and that the step was given its failure. A failure that
    ended a try of the step is not given again: the task is sent anew. So is one that a task before this one had sent
    and not heard of, since that one alone was told; one that may be sent once ends the step there.
    """
    refused = [name for name in ("retry", "check", "reserve") if getattr(options, name) is not None]
    if refused:
        raise InvalidInput(
            "ctx.using(…).task(…) takes key, name, timeout and at_most_once: a retry is the step's own, or the "
            "Celery task's, and what that spends is not counted here",
            field=refused[0],
        )
    operations = doing.operations
    outgoing = operations.outgoing(celery_task, args, kwargs)
    name = options.name or outgoing.name
    before: list[str] = []  # why it was sent before, each time: by a task before this one, or in a try that failed

    def begun(what: str, *known_by: Any) -> Call:
        key = None if options.key is None else " ".join((options.key, *before, what)).strip()
        branch, identity = operations.branches.identify(f"{name} {what}".strip(), digest_of(known_by, {}), key)
        return Call(outgoing.function, identity, branch, options, is_message=True)

    while True:
        sent = begun("", args, kwargs, before)
        identity = sent.identity
        directive = Wait(outgoing.signal(identity), then=HERE, timeout=options.timeout)
        awaited = CallIdentity(sent.branch.path, *wait_known_by(directive.names, directive.all), 0)
        was_sent = await doing.find(sent)
        is_known = operations.is_over(awaited) or not operations.inherits(identity)
        if not is_known and not operations.has_come(directive.names[0]):
            if options.at_most_once:
                raise operations.break_off(_sent_before(name))
            before.append(str(operations.task_id))
            continue
        if was_sent is None:
            await doing.do(sent, lambda identity=identity: outgoing.send(identity))
        signal = await doing.wait(directive)
        payload: Any = None if signal is None else signal.payload
        error = _error(name, options, payload)
        if error is None:
            return outgoing.read(payload)
        failed = begun("failed", identity.fingerprint)
        await doing.find(failed)
        if not operations.ended_a_try(failed):
            await doing.fail(failed, error)
        before.append(_AGAIN)


def _error(name: str, options: CallOptions, payload: Any) -> Exception | None:
    """Return the error that the step is given; None where the task returned."""
    if payload is None:
        return UpstreamUnavailable(
            f"The Celery task {name} was not heard of for {options.seconds:g} seconds, so that its outcome is unknown: "
            "it may still wait in its queue, run, or be lost with its worker. A retry sends it again.",
            call=name,
        )
    if "error" not in payload:
        return None
    error = rebuild(payload["error"], "This was raised in a worker, by the Celery task that the step sent.")
    if not isinstance(error, Exception) or isinstance(error, StopIteration | LeaseLost):
        return StepFailed(f"The Celery task {name} ended by {type(error).__name__}: {error}", call=name)
    return error


def _sent_before(name: str) -> str:
    return (
        f"The Celery task {name} may be sent at most once; the task that this one goes on from had sent it, and was "
        "not told how it ended. Find out what happened outside, then submit the rest as a new task."
    )
