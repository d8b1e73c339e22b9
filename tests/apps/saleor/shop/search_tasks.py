from celery import shared_task


@shared_task
def update_search(token: str) -> str:
    return f"indexed {token}"
