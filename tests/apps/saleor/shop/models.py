from django.db import models


class Order(models.Model):
    token = models.CharField(max_length=40, unique=True)
    status = models.CharField(max_length=20, default="draft")

    class Meta:
        app_label = "shop"
        db_table = "tasks"  # as ours is called, in their schema
