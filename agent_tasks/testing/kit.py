"""Kit: what the fixture `agent_tasks` gives a test."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_tasks.authoring.agent import Agent, find_agent
from agent_tasks.client.submission import TaskInput
from agent_tasks.settings import Settings
from agent_tasks.testing.crash.everywhere import CrashReport, crash_everywhere
from agent_tasks.testing.runner import Runner


class Kit(Runner):
    """A deployment of the test's own: its database, its clock, and worker and sweeper in the process of the test."""

    def __init__(self, settings: Settings, another_database: Callable[[], str]) -> None:
        """Create a kit on a database that is ready; loads the agents that the settings name.

        `another_database` makes the one on which `crash_everywhere` runs, and returns its URL. Raises InvalidInput for
        a module that does not load.
        """
        super().__init__(settings)
        self._another_database = another_database

    def crash_everywhere(
        self,
        agent: str | Agent,
        input: TaskInput = None,
        *,
        signals: Mapping[str, Any] | None = None,
        effects: Sequence[Callable[..., Any]] = (),
        harmless: Sequence[Callable[..., Any]] = (),
    ) -> CrashReport:
        """Run a task of the agent to its end, and then once for each boundary: killed there, and gone on from.

        Boundaries lie before and after each write of a step: between its calls, before and after a call's function
        runs, before and after each commit. Each life is lived by a process of its own, in which the calls are answered
        with what came of them in the first life; there they are stubbed, or run for real, as `calls` says. `signals`
        says what each signal that is waited for is answered with. A call has an effect if it is seen to write a file,
        connect, start a process or change what lives as long as the process, or is one of the functions in `effects`;
        none of those in `harmless` does harm when it runs twice.

        Raises DurabilityBugs that tells of: a call whose effect a crash would repeat, an effect outside of a call, a
        value that varies and is read outside of a call, and a task that ends otherwise, or makes other calls, after a
        crash or in another process.
        """
        return crash_everywhere(
            find_agent(agent) if isinstance(agent, str) else agent,
            input,
            database_url=self._another_database(),
            calls=self.calls,
            signals=dict(signals or {}),
            effects=effects,
            harmless=harmless,
        )
