"""URLs that webhooks may be sent to."""

from typing import Any

import pytest

from agent_tasks import InvalidInput
from agent_tasks.task.target_url import check_target_url


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example", "http://a.example:8080/hook?x=1#y", "HTTPS://A.EXAMPLE/", "https://a.example:/",
        "https://8.8.8.8/", "https://[2606:4700::1111]:443/", "https://xn--bcher-kva.example/", "https://bücher.example/",
        "https://a_b.example./", "https://1.2.3.4.example/", "https://a.1x/?mail=ana@b", "https://bücher。example/",
        "http://localhost:1", "https://a.example/ü",
    ],
)  # fmt: skip
def test_a_url_of_a_host_that_may_be_public_is_taken_as_it_is(url: str) -> None:
    assert check_target_url(url, "callback_url") == url


BAD: dict[str, Any] = {
    "nothing": "",
    "no text": 7,
    "no URL": "a.example",
    "no scheme": "//a.example/",
    "no host": "https:///path",
    "no host either": "https://:80/",
    "a query for a host": "https://?x",
    "another scheme": "ftp://a.example/",
    "a file": "file:///etc/passwd",
    "javascript": "javascript:alert(1)",
    "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
    "a user": "https://ana@a.example/",
    "an empty user": "https://@a.example/",
    "a password": "https://ana:secret@a.example/",
    "a password and a bad port": "https://ana:secret@a.example:x/",
    "a password and another scheme": "ftp://ana:secret@a.example/",
    "a password and no scheme": "ana:secret@a.example/",
    "a password and an open bracket": "https://ana:secret@[::1/",
    "a password and a line break": "https:/\n/ana:secret@a.example/",
    "a password and a NUL": "https://ana:secret@a.example/\x00",
    "a password behind a backslash": "https:\\\\ana:secret@a.example/",
    "a backslash": "https://a.example\\@127.0.0.1/",
    "another backslash": "https://a.example\\.evil/",
    "a space": "https://a.example/a b",
    "a space before": " https://a.example/",
    "another space": "https://a.example/a\u3000b",
    "a newline": "https://a.example/\r\nX: y",
    "a tab": "https://a.ex\tample/",
    "a NUL": "https://a.example/\x00",
    "a lone surrogate": "https://a.example/\ud800",
    "port 0": "https://a.example:0/",
    "port 65536": "https://a.example:65536/",
    "a negative port": "https://a.example:-1/",
    "a port that is no number": "https://a.example:http/",
    "an empty label": "https://a..example/",
    "a long label": f"https://{'a' * 64}.example/",
    "strange characters": "https://a%2eexample/",
    "an open bracket": "https://[::1/",
    "no address in brackets": "https://[a.example]/",
    "too long": f"https://a.example/{'a' * 2048}",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "mapped": "http://[::ffff:127.0.0.1]/",
    "loopback": "http://127.0.0.1:8000/",
    "loopback in short": "http://127.1/",
    "loopback as a number": "http://2130706433/",
    "loopback in hexadecimal": "http://0x7f000001/",
    "loopback in octal": "http://0177.0.0.1/",
    "loopback with a dot": "http://127.0.0.1./",
    "loopback in wide digits": "http://１２７.０.０.１/",
    "loopback with wide dots": "http://127。0。0。1/",
    "loopback with narrow dots": "http://127｡0｡0｡1/",
    "loopback with a wide dot behind it": "http://127.0.0.1。/",
    "an address that cannot be": "http://256.1.1.1/",
    "an address of five parts": "http://1.2.3.4.5/",
    "a name that ends in a number": "http://a.example.1/",
    "a name that ends in a hexadecimal number": "http://a.0x7f/",
    "a name that ends in a number and a dot": "http://a.1./",
    "a future address": "http://[v1.x]/",
    "loopback in circles": "http://①②⑦.0.0.1/",
    "IPv6 loopback": "http://[::1]/",
    "a zone": "http://[fe80::1%25eth0]/",
    "NAT64": "http://[64:ff9b::7f00:1]/",
    "6to4": "http://[2002:7f00:1::]/",
    "everybody": "http://0.0.0.0/",
    "zero": "http://0/",
}


@pytest.mark.parametrize("name", BAD)
def test_a_url_that_nothing_may_be_sent_to_is_refused_with_the_field_named(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^callback_url must") as caught:
        check_target_url(BAD[name], "callback_url")
    assert caught.value.details["field"] == "callback_url"
    assert "secret" not in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://127.1/", "http://[::ffff:127.0.0.1]/"])
def test_an_address_that_is_not_public_is_taken_where_it_is_allowed(url: str) -> None:
    assert check_target_url(url, "url", ["127.0.0.1"]) == url
    with pytest.raises(InvalidInput, match="AGENT_TASKS_WEBHOOK_ALLOW"):
        check_target_url("http://127.0.0.2/", "url", ["127.0.0.1"])
