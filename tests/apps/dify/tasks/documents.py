from celery import shared_task
from flask import current_app


@shared_task(queue="dataset", ignore_result=False)
def index_document(document: str) -> str:
    return f"{document} of {current_app.config['TENANT']}"


@shared_task(queue="dataset")
def clean_unused_datasets() -> None: ...
