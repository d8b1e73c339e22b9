from agent_tasks import Agent, Next, SyncContext

from .tasks import Event, save_event

EXPECTED = 5
desk = Agent("sentry_desk")


@desk.step
def begin(ctx: SyncContext, word: str):
    return Next(end, length=len(word))


@desk.step
def end(ctx: SyncContext, length: int):
    return ctx.call(save, length)


def save(length: int) -> int:
    return save_event(Event(length))
