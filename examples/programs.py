"""What programs do around an agent: schedule it, submit many, and follow from async code and within a transaction."""

import asyncio

import psycopg

from agent_tasks import Budget, Context, Identity, Settings, agent, aio, default, schedule, submit, submit_many

GREETER = "example-greeter"


@agent(GREETER, budget=Budget(seconds=60, calls=10))
async def greet(ctx: Context, name: str) -> str:
    by = ctx.identity.subject if ctx.identity else "a program"
    return f"hello {name}, says {by}"


async def follow() -> None:
    task = await aio.submit(GREETER, {"name": "async"}, identity=Identity(subject="ana"))
    async for event in task.events(follow=True, timeout=30):
        if event.type == "finished":
            print(await task.result())


async def in_a_transaction() -> None:
    async with await psycopg.AsyncConnection.connect(Settings.load().database_url) as connection:
        task = await aio.submit(GREETER, {"name": "row"}, connection=connection)
    print(await task.result(timeout=30))  # committed at the end of the block


if __name__ == "__main__":
    daily = schedule(GREETER, {"name": "morning"}, name="example", cron="0 6 * * *", timezone="Europe/Lisbon")
    print(daily.cron, default().unschedule("example"))
    print([task.result(timeout=30) for task in submit_many(GREETER, [{"name": "a"}, {"name": "b"}], priority=7)])
    once = submit(GREETER, {"name": "once"}, idempotency_key="example-once", metadata={"ticket": 7})
    assert once == submit(GREETER, {"name": "once"}, idempotency_key="example-once")
    asyncio.run(follow())
    asyncio.run(in_a_transaction())
