from celery import shared_task


@shared_task(bind=True)
def grade(self, answers: list[int]) -> list[object]:
    return [sum(answers), self.request.delivery_info["routing_key"]]


@shared_task(bind=True, max_retries=2, default_retry_delay=0)
def certify(self, learner: str) -> list[object]:
    if self.request.retries < 2:
        raise self.retry(exc=ConnectionError("not yet"))
    return [learner, self.request.retries, self.request.delivery_info["routing_key"]]
