"""The dashboard, the alerting rules and the autoscaler: each metric that they name is there, with its labels."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client import REGISTRY

from agent_tasks import metrics
from agent_tasks.backlog import NAMES, families
from tests.documents import ROOT

FOLDER = ROOT / "docs" / "monitoring"
_NAMED = re.compile(r"\b(agent_tasks_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"by \(([^)]*)\)")


def exported() -> dict[str, set[str]]:
    """The names of the samples that there are, and their labels."""
    found: dict[str, set[str]] = {f"agent_tasks_{name}": set(family._labelnames) for name, family in families().items()}
    for collector in set(REGISTRY._collector_to_names):
        for name in REGISTRY._collector_to_names[collector]:
            if name.startswith("agent_tasks_"):
                found[name] = {*getattr(collector, "_labelnames", ()), *({"le"} if name.endswith("_bucket") else ())}
    return found


def expressions(file: str) -> Iterator[str]:
    if file == "grafana.json":
        for panel in json.loads((FOLDER / file).read_text())["panels"]:
            yield from (target["expr"] for target in panel["targets"])
    elif file == "alerts.yml":
        for group in yaml.safe_load((FOLDER / file).read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    else:
        for trigger in yaml.safe_load((FOLDER / file).read_text())["spec"]["triggers"]:
            yield trigger["metadata"]["query"]


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml", "keda.yml"])
def test_what_is_asked_of_prometheus_is_there(file: str) -> None:
    assert metrics.STEPS  # imported
    there, asked = exported(), list(expressions(file))
    assert asked
    for expression in asked:
        named = _NAMED.findall(expression)
        assert named, expression
        for name, selector in named:
            assert name in there, (file, name)
            labels = set(re.findall(r"(\w+)\s*[=!]", selector))
            assert labels <= there[name], (file, expression)
        grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
        assert grouped <= set().union(*(there[name] for name, _ in named)), (file, expression)


def test_a_metric_that_is_gone_would_be_found_out() -> None:
    assert "agent_tasks_of_yesterday" not in exported()
    assert {"agent_tasks_ended_total", "agent_tasks_task_seconds_bucket", *NAMES} <= exported().keys()
