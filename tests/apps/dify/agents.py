from agent_tasks import Agent, Next, SyncContext

from .tasks.documents import index_document
from .tasks.mail import send_mail

EXPECTED = "tides of acme"
desk = Agent("dify_desk")


@desk.step
def begin(ctx: SyncContext, word: str):
    return Next(end, indexed=ctx.call(index_document, word))


@desk.step
def end(ctx: SyncContext, indexed: str):
    ctx.call(send_mail, "editor")
    return indexed
