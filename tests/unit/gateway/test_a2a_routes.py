"""A gateway without the extra `a2a` serves everything else, and says at its paths what to install."""

import sys

import pytest
from starlette.testclient import TestClient

from agent_tasks import AgentTasks, Settings
from agent_tasks.gateway.application import create_app


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/a2a"), ("GET", "/a2a/v1/tasks"), ("GET", "/.well-known/agent-card.json")],
)
def test_without_the_extra_its_paths_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(("agent_tasks.gateway.a2a.", "a2a."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "a2a", None)
    app = create_app(AgentTasks(Settings(database_url="postgresql://nowhere/none", redis_url="redis://nowhere")))
    with TestClient(app) as client:
        answer = client.request(method, path)
    assert answer.status_code == 501
    assert "pip install 'agent-tasks[a2a]'" in answer.json()["detail"]
