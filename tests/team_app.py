"""A Celery app as a team has it, with whatever broker and options a test gives it in its environment."""

import json
import os
from typing import Any

from celery import Celery

from agent_tasks.celery import install


def made(broker: str, **conf: Any) -> Celery:
    app: Any = Celery("shop", broker=broker, set_as_current=False)
    app.conf.update(broker_read_url=broker, broker_write_url=broker, **conf)
    if conf.get("security_key") and conf.get("task_serializer") == "auth":
        app.setup_security()
    return app


if "SHOP" in os.environ:
    app = made(**json.loads(os.environ["SHOP"]))
    if os.environ.get("SHOP_INSTALLS", "yes") == "yes":
        install(app)
