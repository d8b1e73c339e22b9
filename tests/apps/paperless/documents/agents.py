from pathlib import Path

from agent_tasks import Agent, Next, SyncContext

from .tasks import ConsumableDocument, consume_file

EXPECTED = "tides"
desk = Agent("paperless_desk")


@desk.step
def begin(ctx: SyncContext, word: str):
    return Next(end, path=f"/in/{word}")


@desk.step
def end(ctx: SyncContext, path: str):
    return ctx.call(consume, path)


def consume(path: str) -> str:
    return consume_file(ConsumableDocument(Path(path)))
