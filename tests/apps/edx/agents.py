from agent_tasks import Agent, Next, SyncContext

EXPECTED = "SEDIT"
QUEUE = "edx.lms.core.high"
desk = Agent("edx_desk")


@desk.step
def begin(ctx: SyncContext, word: str):
    return Next(end, word=word.upper())


@desk.step
def end(ctx: SyncContext, word: str):
    return word[::-1]
