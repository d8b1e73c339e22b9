import json
import os

from celery import Celery

from agent_tasks.celery import install

app = Celery("brokers", broker=os.environ["TEAM_REDIS_URL"])
app.conf.update(
    broker_transport_options=json.loads(os.environ.get("TEAM_OPTIONS", "{}")),
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
)
install(app)


@app.task
def note(line: str) -> str:
    with open(os.path.join(os.environ["TEAM_FOLDER"], "notes"), "a") as file:
        file.write(f"{line} {os.getpid()}\n")
    return line
