from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404

from agent_tasks import get
from agent_tasks.contrib.django import submit
from orders.models import Order


def place(request: HttpRequest) -> JsonResponse:
    with transaction.atomic():
        order = Order.objects.create(item=request.GET["item"])
        task = submit("fulfil", {"order": order.pk})
        order.task_id = task.id
        order.save()
        if request.GET["item"] == "unicorn":
            transaction.set_rollback(True)
    return JsonResponse({"order": order.pk, "task": str(task.id)})


def look(request: HttpRequest, order: int) -> JsonResponse:
    found = get_object_or_404(Order, pk=order)
    return JsonResponse({"status": found.status, "task": str(get(found.task_id).snapshot().status)})
