"""What unit tests leave as it was."""

from collections.abc import Iterator

import pytest

from agent_tasks.authoring import agent as agents


@pytest.fixture
def no_agents_left_behind() -> Iterator[None]:
    before = set(agents.loaded_agents())
    yield
    for name in set(agents.loaded_agents()) - before:
        del agents._registry[name]
