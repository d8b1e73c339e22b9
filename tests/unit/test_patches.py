"""Making our apps leaves the libraries that other apps of the process use as they were."""

import subprocess
import sys

CODE = """
import importlib, inspect, logging, sys

LIBRARIES = ("amqp", "billiard", "celery", "kombu", "redis", "vine")
for name in (
    "celery.apps.beat", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork",
    "celery.concurrency.thread", "celery.worker.consumer", "kombu.transport.redis", "redis.sentinel",
):
    importlib.import_module(name)


def found():
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in LIBRARIES}
    for name, module in modules.items():
        for attribute, value in vars(module).items():
            if callable(value):
                yield (name, attribute), value
            if inspect.isclass(value) and value.__module__ == name:
                for member, own in vars(value).items():
                    if callable(own) or inspect.isdatadescriptor(own) or member == "QoS":
                        yield (name, attribute, member), own


def loggers():
    return {
        name: (logger.level, logger.propagate, list(logger.filters), list(logger.handlers))
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in LIBRARIES
    }


before, log = dict(found()), loggers()
assert (("kombu.transport.redis", "Channel", "QoS")) in before

from agent_tasks.engine import app as worker
from agent_tasks.sweeps import app as clock

assert worker.tasks and clock.tasks
after, log_after = dict(found()), loggers()
print(sorted(name for name, value in before.items() if after.get(name) is not value))
print(sorted(name for name, state in log.items() if log_after[name] != state))
"""


def test_no_class_function_or_logger_of_celery_kombu_or_redis_is_another_after_our_apps_were_made() -> None:
    urls = {"AGENT_TASKS_DATABASE_URL": "postgresql://nowhere.invalid/x", "AGENT_TASKS_REDIS_URL": "redis://nowhere"}
    ended = subprocess.run([sys.executable, "-c", CODE], env=urls, capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines() == ["[]", "[]"], ended.stderr
