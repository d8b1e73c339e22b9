"""Tasks of a Celery app in tests of agents: stubbed, they are not sent, and end as the test says."""

import asyncio
from typing import Any

import pytest
from celery import Celery

from agent_tasks import Context, UpstreamUnavailable, agent
from agent_tasks.testing import FakeContext, Kit

app: Any = Celery("tested_shop", set_as_current=False)


@app.task(name="tested_shop.invoice")
def invoice(order: int) -> str:
    raise AssertionError("nothing is sent, so nothing runs")


@agent("tested-invoicing")
async def bill(ctx: Context, order: int) -> str:
    return f"billed: {await ctx.task(invoice, order)}"


def test_a_stubbed_task_is_waited_for_and_returns_what_the_test_says(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(invoice, returns=lambda order: f"invoice {order}")
    assert agent_tasks.submit("tested-invoicing", {"order": 7}).result() == "billed: invoice 7"
    assert [call.args for call in agent_tasks.calls.made(invoice)] == [(7,)]


def test_a_stubbed_task_raises_what_the_test_says(agent_tasks: Kit) -> None:
    agent_tasks.calls.stub(invoice, raises=UpstreamUnavailable("the printer is out"))
    with pytest.raises(UpstreamUnavailable, match="the printer is out"):
        agent_tasks.submit("tested-invoicing", {"order": 7}).result()


def test_a_fake_context_has_stubbed_tasks_too() -> None:
    ctx = FakeContext()
    ctx.calls.stub(invoice, returns="invoice 7")
    assert asyncio.run(bill(ctx, order=7)) == "billed: invoice 7"
