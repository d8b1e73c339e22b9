from fastapi import FastAPI

from .core.celery_app import celery_app

app = FastAPI()


@app.post("/utils/test-celery/", status_code=201)
def test_celery(word: str) -> dict[str, str]:
    sent = celery_app.send_task("tests.apps.fastapi_template.worker.test_celery", args=[word])
    return {"msg": "Word received", "id": sent.id}
