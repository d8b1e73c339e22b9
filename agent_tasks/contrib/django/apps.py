"""The app that INSTALLED_APPS names."""

from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created

from agent_tasks.authoring.surroundings import surround, surround_async
from agent_tasks.contrib.django import connections
from agent_tasks.contrib.django.checks import check_agents
from agent_tasks.contrib.django.configuration import given_settings
from agent_tasks.settings import read_also


class AgentTasksConfig(AppConfig):
    """Agent tasks, as an app of a Django project."""

    name = "agent_tasks.contrib.django"
    label = "agent_tasks"
    verbose_name = "Agent tasks"

    def ready(self) -> None:
        read_also(given_settings)
        connection_created.connect(connections.note_connection, dispatch_uid="agent_tasks")
        surround(connections.kept_fresh)
        surround_async(connections.kept_fresh_for_async)
        checks.register(check_agents)
