import django
import pytest
from celery.signals import before_task_publish

from tests.eventually import eventually

from .celeryconf import app

django.setup()
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from .shop.models import Order  # noqa: E402
from .shop.search_tasks import update_search  # noqa: E402
from .shop.tasks import delete_expired_orders, fulfill  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def tables():
    call_command("migrate", run_syncdb=True, verbosity=0)


def test_a_task_is_sent_when_the_order_is_committed():
    with transaction.atomic():
        order = Order.objects.create(token="committed")
        fulfill.delay_on_commit(order.pk)
    eventually(lambda: Order.objects.filter(token="committed", status="fulfilled").exists())


def refuse(token: str) -> None:
    with transaction.atomic():
        fulfill.delay_on_commit(Order.objects.create(token=token).pk)
        raise RuntimeError(token)


def test_no_task_is_sent_for_an_order_that_was_rolled_back():
    published = []
    before_task_publish.connect(lambda **_: published.append(1), weak=False)
    with pytest.raises(RuntimeError):
        refuse("rolled back")
    assert not published
    assert not Order.objects.filter(token="rolled back").exists()


def test_tasks_of_both_names_are_found():
    assert update_search.delay("moon").get(timeout=20) == "indexed moon"
    Order.objects.create(token="old", status="expired")
    assert delete_expired_orders.delay().get(timeout=20) == 1
    assert app.conf.beat_schedule["delete-expired-orders"]["task"] == delete_expired_orders.name
