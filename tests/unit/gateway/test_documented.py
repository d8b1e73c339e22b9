"""The OpenAPI document: an example for each operation and each error, and each of them is of its schema."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent_tasks import AgentTasks, Settings
from agent_tasks.gateway.application import create_app
from agent_tasks.gateway.examples import tasks as examples
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.problems import MEDIA_TYPE
from agent_tasks.task.snapshot import TaskSnapshot

Named = tuple[str, dict[str, Any]]


@cache
def document() -> dict[str, Any]:
    client = AgentTasks(Settings(database_url="postgresql://nowhere/x", redis_url="redis://nowhere"))
    return create_app(client).openapi()


def operations() -> Iterator[Named]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """All bodies of requests and answers: what it is, its media type, and what the document says of it."""
    for name, operation in operations():
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request", kind, content
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                yield f"{name} {status}", kind, content


def problems_of(value: Any, schema: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator({**schema, "components": document()["components"]})
    return [error.message for error in validator.iter_errors(value)]


def test_each_operation_of_the_gateway_is_in_the_document() -> None:
    assert {operation["operationId"] for _, operation in operations()} == {
        *OPERATIONS,
        "show_hook",
        "answer_hook",
        "healthz",
        "readyz",
    }


def test_each_body_has_an_example_that_is_of_its_schema() -> None:
    wrong: dict[str, Any] = {}
    for name, kind, content in contents():
        if "schema" not in content or "example" not in content:
            wrong[f"{name} {kind}"] = sorted(content)
        elif found := problems_of(content["example"], content["schema"]):
            wrong[f"{name} {kind}"] = found
    assert wrong == {}


def test_each_error_that_an_operation_can_meet_has_an_example_with_its_status() -> None:
    for name, operation in operations():
        statuses = {int(status) for status in operation["responses"]}
        if "security" in operation:
            assert {401, 403, 422, 429, 500, 503} <= statuses, name
        if "requestBody" in operation:
            assert {400, 408, 413, 415} <= statuses, name
        if "{id}" in name or name in ("GET /schedules/{name}", "DELETE /schedules/{name}"):
            assert 404 in statuses, name
        for status in statuses - {503}:
            if status >= 400:
                example = operation["responses"][str(status)]["content"][MEDIA_TYPE]["example"]
                assert example["status"] == status, name
                assert example["detail"] == example["error"]["message"]


@pytest.mark.parametrize("name", ["PENDING", "COMPLETED", "CANCELLED", "WAITING", "SUBMITTED", "WAITED_FOR"])
def test_the_snapshots_are_whole_ones_with_their_nulls(name: str) -> None:
    example = getattr(examples, name)
    assert set(TaskSnapshot.model_fields) <= set(example)
    snapshot = TaskSnapshot.model_validate_json(json.dumps(example))
    assert set(snapshot.model_dump()) == set(example) - {"mode", "mode_reason"}
    assert any(json.dumps(example) in json.dumps(content.get("example")) for _, _, content in contents())


def test_each_parameter_says_what_it_is_and_has_an_example_that_is_of_its_schema() -> None:
    wrong: dict[str, Any] = {}
    for name, operation in operations():
        for parameter in operation.get("parameters", []):
            schema, what = parameter["schema"], f"{name} {parameter['name']}"
            if not parameter.get("description") or "anyOf" in schema:
                wrong[what] = parameter
            elif "example" in parameter and (found := problems_of(parameter["example"], schema)):
                wrong[what] = found
            elif "example" not in parameter and "examples" not in schema:
                wrong[what] = "no example"
    assert wrong == {}


def test_each_header_of_an_answer_has_an_example_that_is_of_its_schema() -> None:
    for name, operation in operations():
        for status, response in operation["responses"].items():
            for header, said in response.get("headers", {}).items():
                assert problems_of(said["example"], said["schema"]) == [], f"{name} {status} {header}"


def test_each_operation_has_a_tag_a_summary_and_the_token_that_it_takes() -> None:
    tags = {tag["name"] for tag in document()["tags"]}
    for name, operation in operations():
        assert set(operation["tags"]) <= tags, name
        assert operation["summary"], name
        assert operation["description"], name
        known = OPERATIONS.get(operation["operationId"])
        assert operation.get("security") == ([{"bearer": []}] if known else None), name
        assert operation.get("x-scope") == (known.scope if known else None), name


def test_what_can_be_done_with_a_task_is_linked_to_its_submit() -> None:
    named = {operation["operationId"]: operation for _, operation in operations()}
    for linked, link in named["submit"]["responses"]["202"]["links"].items():
        assert [each["name"] for each in named[linked]["parameters"] if each["name"] in link["parameters"]] == ["id"]
