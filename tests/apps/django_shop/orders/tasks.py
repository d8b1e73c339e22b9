from celery import shared_task

from orders.models import Event, Order, Task


@shared_task
def send_invoice(order: int) -> str:
    Event.objects.create(order_id=order, text="invoiced")
    return f"invoice {order}"


@shared_task
def count_orders() -> None:
    Task.objects.get_or_create(title=f"look at {Order.objects.count()} orders")
