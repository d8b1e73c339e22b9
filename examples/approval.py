"""A task that waits for a person: meanwhile it is a row in Postgres, and holds no worker."""

from datetime import timedelta

from pydantic import BaseModel

from agent_tasks import Agent, Context, Done, Identity, Partial, Signal, Wait, submit

publisher = Agent("example-publisher", signals=["approval"])


class Approval(BaseModel):
    ok: bool
    remark: str = ""


@publisher.step
async def draft(ctx: Context, topic: str) -> Wait:
    text = f"All about {topic}."
    await ctx.partial({"text": text})  # what the task ends with if nobody answers
    return Wait("approval", then=publish, timeout=timedelta(days=2), text=text)


@publisher.step
async def publish(ctx: Context, text: str, signal: Signal[Approval] | None) -> Done | Partial:
    if signal is None or signal.payload is None or not signal.payload.ok:
        return Partial({"text": text}, "nobody approved it")
    by = signal.sender.subject if signal.sender else "a program"
    return Done(f"{text} Approved by {by}: {signal.payload.remark}")


if __name__ == "__main__":
    task = submit(publisher, {"topic": "tides"})
    # from any program, now or in two days; an approval that comes before the wait is kept for it
    receipt = task.signal(
        "approval", {"ok": True, "remark": "fine"}, signal_id="mail-1", identity=Identity(subject="ana")
    )
    assert receipt.kept
    print(task.result(timeout=30))
