"""The agent of the desk: it drafts an answer, and a person approves it."""

from datetime import timedelta

from pydantic import BaseModel

from agent_tasks import Agent, Context, Done, Signal, Wait

desk = Agent("desk-answer", signals=["approval"])


class Approval(BaseModel):
    ok: bool


async def complete(question: str) -> str:
    """Stands for a model."""
    return f"Have you tried turning it off and on again? ({question})"


@desk.step
async def draft(ctx: Context, ticket: int, question: str) -> Wait:
    text = await ctx.call(complete, question)
    return Wait("approval", then=send, timeout=timedelta(days=1), ticket=ticket, text=text)


@desk.step
async def send(ctx: Context, ticket: int, text: str, signal: Signal[Approval] | None) -> Done:
    is_approved = signal is not None and signal.payload is not None and signal.payload.ok
    return Done({"ticket": ticket, "sent": text if is_approved else None})
