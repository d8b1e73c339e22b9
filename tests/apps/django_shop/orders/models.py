"""Orders, and tables of the shop's that are named as two of ours are."""

from typing import Any

from django.db import models


class Order(models.Model):
    objects: models.Manager[Any] = models.Manager()
    item = models.TextField()
    status = models.TextField(default="placed")
    invoice = models.TextField(default="")
    task_id = models.UUIDField(null=True)


class Task(models.Model):
    """What somebody in the shop is to do."""

    objects: models.Manager[Any] = models.Manager()
    title = models.TextField()

    class Meta:
        db_table = "tasks"


class Event(models.Model):
    """What happened to an order."""

    objects: models.Manager[Any] = models.Manager()
    order = models.ForeignKey(Order, models.CASCADE, related_name="events")
    text = models.TextField()

    class Meta:
        db_table = "events"
