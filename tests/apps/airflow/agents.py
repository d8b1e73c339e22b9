from agent_tasks import Agent, Next, SyncContext

from .executor import execute_command

EXPECTED = "tasks run tides"
desk = Agent("airflow_desk")


@desk.step
def begin(ctx: SyncContext, word: str):
    return Next(end, command=["tasks", "run", word])


@desk.step
def end(ctx: SyncContext, command: list[str]):
    return ctx.call(execute_command, command)
