"""Bodies over HTTP: of the right kind, within the limit and in time, else a refusal that says what to do."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from agent_tasks import Settings
from agent_tasks.gateway.receiving import read_body
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.strict_route import StrictRoute

LIMIT = 200_000
JSON = {"Content-Type": "application/json"}


class Order(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    count: int = 1
    price: float = 1.0
    more: Any = None


router = APIRouter(route_class=StrictRoute)


@router.post("/orders")
async def order(order: Order) -> dict[str, Any]:
    return order.model_dump()


@router.post("/maybe")
async def maybe(order: Order | None = None) -> dict[str, Any]:
    return {"name": order.name if order else None}


@router.get("/orders")
async def orders() -> dict[str, Any]:
    return {}


def app() -> FastAPI:
    app = FastAPI()
    app.state.settings = Settings(gateway_body_limit=LIMIT)
    app.include_router(router, prefix="/v1")

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"type": error.type, "detail": error.detail}, error.status, error.headers)

    return app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(app()) as client:  # it raises what the application raises: nothing here ends as a 500
        yield client


def test_a_good_body_is_read_into_its_model(client: TestClient) -> None:
    answer = client.post("/v1/orders", content=b'{"name": "tea", "count": 2, "price": 3}', headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {"name": "tea", "count": 2, "price": 3.0, "more": None})
    assert client.get("/v1/orders").status_code == 200


def test_the_openapi_document_knows_the_model(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v1/orders"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["$ref"].endswith("/Order")
    assert document["components"]["schemas"]["Order"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "tea", "count": true}',
        b'{"name": "tea", "count": 1.0}',
        b'{"name": "tea", "count": "1"}',
        b'{"name": "tea", "price": "1"}',
        b'{"name": 7}',
        b'{"name": "tea", "colour": "green"}',
        b"{}",
        b"null",
        b"[]",
        b'"tea"',
        b"7",
    ],
)
def test_what_does_not_fit_the_model_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/orders", content=body, headers=JSON).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "tea", "price": NaN}',
        b'{"name": "tea", "price": 1e999}',
        b'{"name": "te\\u0000a"}',
        b'{"name": "\\ud800"}',
        b'{"name": "tea", "name": "coffee"}',
        b'{"name": "tea", "more": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"name": "tea", "more": ' + b"[1," * 20_000,
        b'\xef\xbb\xbf{"name": "tea"}',
        b'{"name": "\xff"}',
    ],
)
@pytest.mark.parametrize("length", ["announced", "in chunks"])
def test_what_is_no_strict_json_is_refused(client: TestClient, body: bytes, length: str) -> None:
    content = body if length == "announced" else iter([body[:3], body[3:]])
    answer = client.post("/v1/orders", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid_json")


def test_a_body_that_may_be_left_out_is_strict_where_it_is_sent(client: TestClient) -> None:
    assert client.post("/v1/maybe").json() == {"name": None}
    assert client.post("/v1/maybe", headers=JSON).json() == {"name": None}
    assert client.post("/v1/maybe", content=b'{"name": "tea"}', headers=JSON).json() == {"name": "tea"}
    assert client.post("/v1/maybe", content=b"{", headers=JSON).status_code == 400
    assert client.post("/v1/maybe", content=b"{}").status_code == 415


def test_a_body_above_the_limit_is_refused_by_its_announced_length(client: TestClient) -> None:
    answer = client.post("/v1/orders", content=b" " * (LIMIT + 1), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "body_too_large")
    assert f"{LIMIT + 1:,} bytes; the limit is {LIMIT:,}" in answer.json()["detail"]


def test_a_body_of_just_the_limit_is_read(client: TestClient) -> None:
    body = b'{"name": "tea"}'
    assert client.post("/v1/orders", content=body + b" " * (LIMIT - len(body)), headers=JSON).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/xjson",
        "application/json, text/plain",
        "application/json; charset=latin-1",
        'application/json; charset="utf-16"',
        "json",
    ],
)
def test_another_content_type_is_refused(client: TestClient, kind: str | None) -> None:
    answer = client.post(
        "/v1/orders", content=b'{"name": "tea"}', headers={} if kind is None else {"Content-Type": kind}
    )
    assert (answer.status_code, answer.json()["type"]) == (415, "unsupported_media_type")
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/vnd.acme.order+json",
    ],
)
def test_json_by_any_of_its_names_is_read(client: TestClient, kind: str) -> None:
    answer = client.post("/v1/orders", content=b'{"name": "tea"}', headers={"Content-Type": kind})
    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(client: TestClient, encoding: str) -> None:
    answer = client.post("/v1/orders", content=b"{}", headers=JSON | {"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "identity"
    plain = client.post("/v1/orders", content=b'{"name": "x"}', headers=JSON | {"Content-Encoding": "identity"})
    assert plain.status_code == 200


def read(messages: list[dict[str, Any]], length: str | None = None, seconds: float = 30.0) -> bytes:
    """`read_body` of what a server hands over; after the last message nothing comes any more."""
    left = list(messages)

    async def receive() -> Any:
        return left.pop(0) if left else await asyncio.Event().wait()

    headers = [] if length is None else [(b"content-length", length.encode())]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    try:
        return asyncio.run(read_body(request, 1000, seconds))
    finally:
        messages[:] = left


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_up_to_its_end() -> None:
    assert read([part(b"ab"), part(b"c", more=False)]) == b"abc"
    assert read([part(b"abc", more=False)], "3") == b"abc"


@pytest.mark.parametrize(
    ("messages", "length", "status", "said"),
    [
        ([part(b"x" * 2000)], "2000", 413, "2,000 bytes"),
        ([part(b"x" * 600)] * 3, None, 413, "larger"),
        ([part(b"abc", more=False)], "4", 400, "has 3 bytes, and Content-Length says 4"),
        ([part(b"abcd", more=False)], "3", 400, "has 4 bytes"),
        ([part(b"abc", more=False)], "-3", 400, "must be a number of bytes"),
        ([part(b"abc", more=False)], "9" * 5000, 400, "must be a number of bytes"),
        ([part(b"abc"), {"type": "http.disconnect"}], "9", 400, "closed after 3 bytes"),
    ],
)
def test_a_body_that_is_not_as_announced_is_refused(
    messages: list[dict[str, Any]], length: str | None, status: int, said: str
) -> None:
    with pytest.raises(Refused, match=said) as caught:
        read(messages, length)
    assert caught.value.status == status
    assert caught.value.headers["Connection"] == "close"


def test_what_comes_after_the_limit_is_not_read() -> None:
    announced, chunked = [part(b"x")], [part(b"x" * 600)] * 3
    with pytest.raises(Refused):
        read(announced, "1001")
    with pytest.raises(Refused):
        read(chunked)
    assert (len(announced), len(chunked)) == (1, 1)


def test_a_body_that_does_not_come_in_time_is_refused() -> None:
    with pytest.raises(Refused, match=r"2 bytes of the body came in 0.01 s") as caught:
        read([part(b"ab")], "3", seconds=0.01)
    assert (caught.value.status, caught.value.headers) == (408, {"Connection": "close"})
