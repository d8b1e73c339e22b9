import os
from pathlib import Path

from celery import shared_task
from flask import current_app


@shared_task(queue="mail")
def send_mail(to: str) -> str:
    with (Path(os.environ["TEAM_FOLDER"]) / "mail").open("a") as file:
        file.write(f"{to} of {current_app.config['TENANT']}\n")
    return to
