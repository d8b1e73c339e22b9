"""The tests of the shop have our tables in their database."""

from agent_tasks.contrib.django.fixtures import django_db_setup  # noqa: F401
