"""Celery set-ups of public projects, rebuilt small from their settings, and one with everything unusual.

Each is a package with tasks, an agent, and `own_tests.py`, which pass with and without the one line that puts our part
into its app: it is there where WITH_AGENT_TASKS is set. TEAM_REDIS_URL, TEAM_RESULT_URL, TEAM_DATABASE_URL and
TEAM_FOLDER say where their servers are, and where their tasks note what they did.
"""

from dataclasses import dataclass

OURS = ("agents", "agent-tasks-sweeps")


@dataclass(frozen=True)
class Setup:
    """How a project starts its worker: `-A app`, its own options, and what it names with -Q, if anything."""

    name: str
    app: str
    agents: str
    options: tuple[str, ...] = ("-P", "threads", "-c", "4")
    queues: tuple[str, ...] = ()
    agent_queues: tuple[str, ...] = OURS

    def worker(self, *, installed: bool) -> list[str]:
        arguments = ["worker", "-n", f"{self.name}@test", "--without-mingle", "--loglevel", "INFO", *self.options]
        if self.queues:
            arguments += ["-Q", ",".join([*self.queues, *(self.agent_queues if installed else ())])]
        return arguments


def _setup(name: str, app: str, agents: str = "agents", **fields: tuple[str, ...]) -> Setup:
    package = f"tests.apps.{name}"
    return Setup(name, f"{package}.{app}", f"{package}.{agents}", **fields)


PREFORK = ("-P", "prefork", "-c", "2")
SETUPS = (
    _setup("airflow", "executor.app", options=PREFORK),
    _setup("dify", "app.celery", queues=("dataset", "mail")),
    _setup("django_guide", "proj", "demoapp.agents"),
    _setup("edx", "lms", options=PREFORK, queues=("edx.lms.core.high", "edx.lms.core.default")),
    _setup("fastapi_template", "worker", queues=("main-queue",)),
    _setup("paperless", "celery", "documents.agents", options=("-P", "prefork")),
    _setup("posthog", "celery"),
    _setup("saleor", "celeryconf", "shop.agents"),
    _setup("sentry", "celery", options=PREFORK),
    _setup("superset", "tasks.celery_app:app"),
)
UNUSUAL = _setup(
    "unusual",
    "app",
    options=PREFORK,
    queues=("unusual.slow", "unusual.fast"),
    agent_queues=("unusual.agents", "agent-tasks-sweeps"),
)
