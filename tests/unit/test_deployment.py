"""The files that install and deploy the system agree with each other and with their specifications."""

import ast
import json
import re
import shlex
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent_tasks.settings import Settings

ROOT = Path(__file__).parents[2]
OURS = ["beat", "deliverer", "flower", "gateway", "sweeper", "worker"]
PACKAGES = ["agent_tasks", "beat", "workers"]
ONE_SHOTS = ["migrate"]
REQUIRED_TARGETS = {"help", "install", "demo", "dev", "test", "check", "test-containers", "bench"}
BROUGHT = {"anyio", "asgiref", "mcp-types", "psycopg-pool", "pydantic-core", "pytest", "starlette", "tornado"}
"""Brought by starlette and mcp, which run on it, Django, mcp (an exact version), psycopg[pool], pydantic (an exact
version), whoever uses fixtures of ours, fastapi, which hands out its classes, and flower, which is an app of it."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(read("docker-compose.yml"))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


@pytest.fixture(scope="module")
def procfile() -> dict[str, str]:
    return dict(re.findall(r"^([a-z]+): (.+)$", read("Procfile"), re.MULTILINE))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))


@pytest.fixture(scope="module")
def direct(project: dict[str, Any]) -> list[Requirement]:
    """What the project and its extras ask for, and what builds it."""
    about = project["project"]
    groups = [
        project["build-system"]["requires"],
        about["dependencies"],
        *about["optional-dependencies"].values(),
    ]
    return [r for r in map(Requirement, chain.from_iterable(groups)) if r.name != about["name"]]


@pytest.fixture(scope="module")
def locked() -> list[tuple[Requirement, list[str]]]:
    """Each requirement of the lock file with its hashes; any line that is neither is an error."""
    entries: list[tuple[Requirement, list[str]]] = []
    for line in read("requirements.lock").splitlines():
        text = line.removesuffix(" \\").strip()
        if text.startswith("--hash="):
            entries[-1][1].append(text.removeprefix("--hash="))
        elif text and not text.startswith("#"):
            entries.append((Requirement(text), []))
    return entries


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", read("Makefile"), re.MULTILINE))


def imported_modules(path: Path) -> set[str]:
    """The top-level names of what a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


# Compose and Procfile


def test_the_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
    errors = Draft7Validator(schema).iter_errors(compose)
    assert [f"{'/'.join(map(str, error.path))}: {error.message}" for error in errors] == []


def test_the_procfile_and_compose_run_the_same_processes_by_the_same_commands(
    services: dict[str, dict[str, Any]], procfile: dict[str, str]
) -> None:
    assert procfile == {name: services[name]["command"] for name in OURS}


def test_our_processes_run_from_one_image(services: dict[str, dict[str, Any]]) -> None:
    built = {name: service["image"] for name, service in services.items() if "build" in service}
    assert built == dict.fromkeys(OURS + ONE_SHOTS, "agent-tasks")


def test_every_service_but_the_one_shots_has_a_health_check_and_starts_again(
    services: dict[str, dict[str, Any]],
) -> None:
    assert sorted(name for name, service in services.items() if "healthcheck" not in service) == ONE_SHOTS
    assert sorted(name for name, service in services.items() if service["restart"] == "no") == ONE_SHOTS


@pytest.mark.parametrize(("name", "app"), [("worker", "agent_tasks.engine"), ("sweeper", "agent_tasks.sweeps")])
def test_a_workers_health_check_pings_the_name_and_the_app_its_command_gives(
    services: dict[str, dict[str, Any]], name: str, app: str
) -> None:
    command = shlex.split(services[name]["command"])
    check = shlex.split(services[name]["healthcheck"]["test"][1])
    assert command[:2] == ["agent-tasks", name]
    assert check[:3] == ["celery", "-A", app]
    node = command[command.index("-n") + 1].replace("%h", "$$HOSTNAME")
    assert check[check.index("--destination") + 1] == node


def test_nothing_starts_before_what_it_needs_is_ready(services: dict[str, dict[str, Any]]) -> None:
    healthy = {"condition": "service_healthy"}
    ready = {
        "postgres": healthy,
        "valkey": healthy,
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert services["migrate"]["depends_on"] == {"postgres": healthy}
    assert services["flower"]["depends_on"] == {"valkey": healthy}
    assert all(services[name]["depends_on"] == ready for name in ("worker", "sweeper", "beat", "gateway", "deliverer"))


def test_compose_starts_with_no_default_for_a_secret(services: dict[str, dict[str, Any]]) -> None:
    secrets = {
        "postgres": ["POSTGRES_PASSWORD"],
        "flower": ["FLOWER_BASIC_AUTH", "AGENT_TASKS_SECRET_KEY", "PGPASSWORD"],
        "worker": ["AGENT_TASKS_SECRET_KEY", "PGPASSWORD"],
    }
    for service, names in secrets.items():
        for name in names:
            assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", services[service]["environment"][name]), name


def test_flower_and_the_gateway_are_published_on_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    assert services["flower"]["ports"] == ["127.0.0.1:5555:5555"]
    assert services["gateway"]["ports"] == ["127.0.0.1:8000:8000"]
    assert [name for name in services if "ports" in services[name]] == ["gateway", "flower"]


def test_the_gateway_listens_beyond_its_container_with_authentication_on(services: dict[str, dict[str, Any]]) -> None:
    assert services["gateway"]["command"] == "agent-tasks gateway --host 0.0.0.0"
    assert "/readyz" in services["gateway"]["healthcheck"]["test"][-1]
    assert "AGENT_TASKS_GATEWAY_AUTH" not in services["gateway"]["environment"]
    assert Settings.model_fields["gateway_auth"].default == "on"


def test_the_image_brings_what_each_process_needs() -> None:
    assert set(re.findall(r"--extra (\w+)", read("Dockerfile"))) >= {"flower", "http"}


def test_workers_can_be_scaled(services: dict[str, dict[str, Any]]) -> None:
    assert not {"container_name", "hostname", "ports", "network_mode"} & services["worker"].keys()


def test_a_stopped_worker_is_given_longer_than_it_takes_to_drain(services: dict[str, dict[str, Any]]) -> None:
    grace = float(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["drain_seconds"].default + 10


def test_redis_never_evicts(services: dict[str, dict[str, Any]]) -> None:
    command = services["valkey"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_image_installs_from_the_lock_and_does_not_run_as_root() -> None:
    dockerfile = read("Dockerfile")
    installs = re.findall(r"\bpip (?:install|wheel)[^&]*?(?=&&|\n[A-Z\n])", dockerfile.replace("\\\n", " "))
    assert len(installs) == 4
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["agent"]


# Makefile and README


def test_every_make_target_the_readme_names_exists() -> None:
    code = re.findall(r"^```.*?^```|`[^`\n]+`", read("README.md"), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(code)))
    assert "demo" in named
    assert named <= makefile_targets()


def test_make_has_a_line_of_help_for_every_target() -> None:
    helped = set(re.findall(r"^([a-z-]+):.*## \S", read("Makefile"), re.MULTILINE))
    assert helped == makefile_targets()
    assert helped >= REQUIRED_TARGETS


def test_make_check_is_what_ci_runs() -> None:
    assert "\ncheck: ## what CI runs: lint, test, test-oldest-part\n\t@.ci/run\n" in read("Makefile")
    assert re.findall(r"^make ([a-z-]+)", read(".ci/run"), re.MULTILINE) == [
        "lint",
        "test",
        "test-oldest-part",
    ]


# Lock file and project


def test_every_package_of_the_lock_has_hashes(locked: list[tuple[Requirement, list[str]]]) -> None:
    assert len(locked) > 50
    for requirement, hashes in locked:
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), requirement


def test_the_lock_names_no_address_and_no_path(locked: list[tuple[Requirement, list[str]]]) -> None:
    assert re.findall(r".*(?://|file:|index-url|find-links).*", read("requirements.lock")) == []
    assert [requirement.name for requirement, _ in locked if requirement.url] == []


def test_the_lock_has_every_direct_dependency_at_a_version_that_suits(
    direct: list[Requirement], locked: list[tuple[Requirement, list[str]]]
) -> None:
    versions: dict[str, list[str]] = {}
    for requirement, _ in locked:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        versions.setdefault(canonicalize_name(requirement.name), []).append(str(requirement.specifier)[2:])
    for wanted in direct:
        found = versions.get(canonicalize_name(wanted.name), [])
        assert found, f"{wanted} is not in requirements.lock: make lock"
        assert all(wanted.specifier.contains(version) for version in found), f"{wanted}, but {found}: make lock"


def test_every_library_our_code_imports_is_a_direct_dependency(direct: list[Requirement]) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in direct} | BROUGHT
    owners = packages_distributions()
    for path in chain.from_iterable((ROOT / package).rglob("*.py") for package in PACKAGES):
        for module in imported_modules(path) - {*PACKAGES, *sys.stdlib_module_names}:
            names = {canonicalize_name(owner) for owner in owners.get(module, [module])}
            assert names & declared, f"{module} in {path}"


@pytest.mark.parametrize("python", ["3.11.0", "3.11.9", "3.12.0", "3.13.0", "3.14.0"])
def test_the_lock_pins_each_package_once_for_any_one_python(
    locked: list[tuple[Requirement, list[str]]], python: str
) -> None:
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    names = [r.name for r, _ in locked if r.marker is None or r.marker.evaluate(environment)]
    assert len(names) == len(set(names))


def test_the_newest_version_of_the_changelog_is_the_projects(project: dict[str, Any]) -> None:
    released = re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d{2}-\d{2}$", read("CHANGELOG.md"), re.MULTILINE)
    assert released[:1] == [project["project"]["version"]]
