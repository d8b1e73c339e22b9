# Everything runs from .venv, which `make install` makes out of requirements.lock and nothing else; but for
# `make test-oldest`, which runs from .venv-oldest, made out of requirements-oldest.lock.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
MEASURING := .venv/.measuring
OLDEST := .venv-oldest/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Where it is set, as in many images, each of the thousands of processes that the tests start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Of the tests on the lowest versions, those that show most in a few minutes: a team's apps and workers, brokers and
# their options, callers' transactions, payloads, words by NOTIFY.
OLDEST_PART := tests/apps tests/testing/test_kit.py \
  $(patsubst %,tests/integration/test_%.py,installed_app installed_faults celery_tasks team_broker pools payloads django \
    flower chain retries) \
  $(patsubst %,tests/database/test_%.py,brokers callers_transaction async_callers_transaction without_redis celery_tasks \
    schema) \
  $(patsubst %,tests/unit/test_%.py,shapes install installed_beat guests redis_url)

.PHONY: help install demo dev lint types types-of-tests types-of-examples test coverage check test-oldest \
  test-oldest-part test-slow test-servers test-browser test-containers bench docs lock clean

help: ## list these targets (ARGS="..." is passed on to the command)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## make .venv with everything in it

# uv, itself from the lock, installs six times as fast as pip. Where it cannot reach the index that pip is
# configured for, pip does all of it. Either way hashes are enforced and nothing is built but this project,
# with the setuptools of the lock.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is not a Python 3.11 or later: name one, as in 'make install PYTHON=python3.13'." >&2; exit 1; }
	@echo "Installing requirements.lock into .venv"
	@$(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {on = /^uv==/} on' requirements.lock > .venv/uv.lock
	@$(BIN)/pip install --quiet --only-binary :all: --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip install --quiet --system-certs --no-build --require-hashes --python $(BIN)/python \
	  -r requirements.lock 2>/dev/null || { echo "uv cannot here; pip does it, which takes about a minute"; \
	  $(BIN)/pip install --quiet --only-binary :all: --require-hashes -r requirements.lock; }
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## answer a question from documents, killing a worker on the way
	@$(BIN)/agent-tasks demo $(ARGS)

dev: $(INSTALLED) ## start everything on this machine: servers, worker, sweeper, beat, gateway, deliverer, Flower
	@$(BIN)/agent-tasks dev $(ARGS)

lint: $(INSTALLED) ## ruff, pyright (the tests in its basic mode), import-linter, and type checks of the examples
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory --jobs 2 types types-of-tests types-of-examples

# Each is a minute on one core.
types: $(INSTALLED) ## of lint: pyright on the packages
	$(BIN)/pyright

types-of-tests: $(INSTALLED) ## of lint: pyright on the tests
	$(BIN)/pyright --project tests

types-of-examples: $(INSTALLED) ## of lint: mypy and pyright on the examples
	$(BIN)/python -m tests.typed

test: $(INSTALLED) ## run the tests
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15 $(ARGS)

coverage: $(INSTALLED) ## run the tests an eighth slower, and tell what of the code they ran in their own processes
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-report= --cov-fail-under=0 $(ARGS)"
	$(BIN)/coverage report --skip-covered

check: ## what CI runs: lint, test, test-oldest-part
	@.ci/run

test-oldest: $(OLDEST) ## run the tests on the lowest versions that the project allows
	.venv-oldest/bin/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-oldest-part: ## those of them that show most in a few minutes
	@$(MAKE) --no-print-directory test-oldest ARGS="$(OLDEST_PART)"

# All with the lowest versions of pyproject.toml's dependencies, their own dependencies and the tests' tools the newest.
$(OLDEST): $(INSTALLED) requirements-oldest.lock
	@echo "Installing requirements-oldest.lock into .venv-oldest"
	@$(PYTHON) -m venv --without-pip .venv-oldest
	@$(BIN)/uv pip sync --quiet --system-certs --no-build --require-hashes --python .venv-oldest/bin/python \
	  requirements-oldest.lock 2>/dev/null || $(BIN)/pip --python .venv-oldest/bin/python install --quiet \
	  --only-binary :all: --require-hashes -r requirements-oldest.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python .venv-oldest/bin/python --editable .
	@touch $@

test-slow: $(INSTALLED) ## run the tests that take long
	$(BIN)/pytest -m slow --timeout 600 $(ARGS)

test-servers: $(INSTALLED) ## run the tests that break servers, or need others: Redis, Postgres, a standby, PgBouncer, Sentinel
	$(BIN)/pytest -m "servers and not slow" --timeout 600 $(ARGS) tests/servers

test-browser: $(INSTALLED) ## run the tests that drive a real Chromium (the distribution's: apt-get install chromium)
	$(BIN)/pytest -m "not slow" tests/browser tests/gateway/test_hook_page.py $(ARGS)

test-containers: $(INSTALLED) ## run the tests on Postgres and Valkey in containers (needs Docker)
	AGENT_TASKS_TEST_CONTAINERS=1 $(BIN)/pytest tests/database tests/integration $(ARGS)

bench: $(MEASURING) ## measure, and write benchmarks/results.md (ARGS="bulk": that one; ARGS="--quick bulk": in short, not written)
	@$(BIN)/python -m benchmarks $(ARGS)

# What the benchmarks compare with is in no other target's way: it is added to .venv when they are first run.
$(MEASURING): $(INSTALLED) benchmarks/requirements.txt
	@echo "Installing benchmarks/requirements.txt into .venv"
	@$(BIN)/uv pip install --quiet --system-certs --no-build --require-hashes --python $(BIN)/python \
	  -r benchmarks/requirements.txt 2>/dev/null || $(BIN)/pip install --quiet --only-binary :all: --require-hashes \
	  -r benchmarks/requirements.txt
	@touch $@

docs: $(INSTALLED) ## build docs/ as a site, in site/ (a broken link fails it)
	@$(BIN)/zensical build --clean --strict $(ARGS)

COMPILE := $(BIN)/uv pip compile --system-certs --universal --generate-hashes --no-emit-index-url --no-header --quiet

lock: $(INSTALLED) ## write the lock files anew (ARGS=--upgrade: with newer versions)
	$(COMPILE) pyproject.toml --all-extras --group tests --output-file requirements.lock $(ARGS)
	awk '/^[^ ]/ {sub(/ \\$$/, ""); pinned = $$0} /\(pyproject.toml:tests\)/ {print pinned}' requirements.lock \
	  > .venv/tools.in
	$(COMPILE) pyproject.toml .venv/tools.in --extra dev --group tests --no-build --python-version 3.11 \
	  --resolution lowest-direct --output-file requirements-oldest.lock $(ARGS)
	$(COMPILE) benchmarks/requirements.in --constraints requirements.lock --output-file benchmarks/requirements.txt $(ARGS)

clean: ## remove what these targets made
	rm -rf .venv .venv-oldest build dist site .cache *.egg-info .pytest_cache .ruff_cache .mypy_cache .coverage .hypothesis .import_linter_cache celerybeat-schedule*
	find agent_tasks beat workers tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
