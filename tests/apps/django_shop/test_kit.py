"""The fixture `agent_tasks` in a Django project: tasks run in Django's test database, beside the project's models."""

from django.db import connection
from orders.models import Order
from orders.tasks import send_invoice

from agent_tasks.contrib.django import submit
from agent_tasks.testing import Kit


def test_a_step_sees_what_the_test_wrote_and_the_test_what_the_step_wrote(agent_tasks: Kit) -> None:
    order = Order.objects.create(item="tea")
    agent_tasks.calls.stub(send_invoice, returns="invoice 7")
    agent_tasks.calls.allow()
    task = submit("fulfil", {"order": order.pk})
    agent_tasks.run_until_idle()
    order.refresh_from_db()
    assert order.invoice == "invoice 7"
    task.signal("packed")
    assert task.result() == {"item": "tea", "invoice": "invoice 7"}
    assert connection.settings_dict["NAME"] in agent_tasks.settings.database_url


def test_each_test_begins_with_nothing(agent_tasks: Kit) -> None:
    assert agent_tasks.client.living() == []
    assert not Order.objects.exists()
