from celery import shared_task
from django.db import transaction


@shared_task
@transaction.atomic
def fulfill(order_id: int) -> str:
    from .models import Order

    order = Order.objects.select_for_update().get(pk=order_id)
    order.status = "fulfilled"
    order.save()
    return order.token


@shared_task
def delete_expired_orders() -> int:
    from .models import Order

    return Order.objects.filter(status="expired").delete()[0]
