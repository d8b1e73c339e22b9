"""Run after the own tests of an app that has our part: an agent beside its tasks."""

import importlib
import os

import psycopg

import agent_tasks
from tests.apps import SETUPS, UNUSUAL


def test_an_agent_runs_in_their_worker_beside_their_tasks():
    setup = next(each for each in (*SETUPS, UNUSUAL) if each.name == os.environ["TEAM"])
    agents = importlib.import_module(setup.agents)
    task = agent_tasks.submit(f"{setup.name}_desk", {"word": "tides"})
    assert task.result(timeout=30) == agents.EXPECTED
    assert task.snapshot().step_number == 2
    with psycopg.connect(os.environ["AGENT_TASKS_DATABASE_URL"]) as connection:
        found = connection.execute("SELECT queue FROM agent_tasks.tasks WHERE id = %s", [task.id]).fetchone()
    assert found == (getattr(agents, "QUEUE", "agents"),)
