"""A real gateway against its OpenAPI document: all checks of Schemathesis, over all operations."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import Gateway

QUICK = ("--phases", "examples,fuzzing", "--max-examples", "3", "--generation-deterministic")
LONG = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "60", "--seed", "12")


def checked(gateway: Gateway, folder: Path, *options: str) -> str:
    """What Schemathesis says of the gateway, which must be nothing bad."""
    key = gateway.client.create_key(tenant="acme", subject="schemathesis", scopes=["admin"]).key
    command: list[str | Path] = [Path(sys.executable).with_name("st"), "--no-color", "run"]
    command += [f"{gateway.url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--checks", "all"]
    command += ["--no-shrink", "--continue-on-failure", "--generation-allow-x00", "false", *options]
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.gateway.schema_hooks", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def assert_all_were_tested(said: str) -> None:
    found = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", said)
    assert found is not None, said
    assert len({*found.groups()}) == 1
    assert int(found[1]) > 40


def test_requests_of_the_documented_form_and_of_no_such_form_are_answered_as_the_document_says(
    gateway: Gateway, tmp_path: Path
) -> None:
    said = checked(gateway, tmp_path, *QUICK)
    assert_all_were_tested(said)


@pytest.mark.slow
def test_requests_at_all_bounds_and_one_after_the_other_are_answered_as_the_document_says(
    gateway: Gateway, tmp_path: Path
) -> None:
    said = checked(gateway, tmp_path, *LONG)
    assert_all_were_tested(said)
