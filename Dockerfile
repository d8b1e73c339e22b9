# One image for every process: worker, sweeper, beat, gateway, deliverer, flower, migrate.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
WORKDIR /build
COPY requirements.lock pyproject.toml ./
# The lock is given as constraints, which brings its versions and hashes but only the packages that
# production needs, without the servers and tools of the extra `dev`.
RUN awk '/^[^ ]/ {on = /^(setuptools|uv)==/} on' requirements.lock > tools.lock \
    && pip install --only-binary :all: --require-hashes -r tools.lock \
    && python -m venv --without-pip /venv \
    && uv pip install --python /venv/bin/python --no-build --require-hashes --constraints requirements.lock \
        -r pyproject.toml --extra flower --extra http --extra llm
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && uv pip install --python /venv/bin/python --no-deps dist/*.whl

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 10001 agent
COPY --from=build /venv /venv
USER agent
WORKDIR /home/agent
CMD ["agent-tasks", "--help"]
