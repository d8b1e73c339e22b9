"""Tokens of an issuer: those that are taken, those that are refused, and the keys that tell them apart."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry, serialize_compact

from agent_tasks import Identity, InvalidInput, Settings
from agent_tasks.gateway.credentials import IssuerUnavailable, Unauthenticated
from agent_tasks.gateway.issuer import AGAIN_SECONDS, FIRST_SECONDS, LONGEST_TOKEN, STALE_SECONDS, Issuer
from tests import issuer as small
from tests.eventually import eventually
from tests.issuer import elliptic, rsa, running_issuer

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def server() -> Iterator[small.Issuer]:
    with running_issuer() as server:
        yield server


@pytest.fixture
def theirs(server: small.Issuer) -> small.Issuer:
    """The issuer, as at its start."""
    server.keys, server.hits, server.answers, server.is_away = [rsa("k1")], [], {}, False
    return server


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def b64(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_public_key_as_secret(theirs: small.Issuer) -> str:
    """HS256, signed with what everybody can read."""
    head = f"{b64({'alg': 'HS256', 'kid': 'k1'})}.{b64(theirs.claims())}"
    return f"{head}.{b64(hmac.digest(rsa('k1').as_pem(private=False), head.encode(), hashlib.sha256))}"


def tampered(theirs: small.Issuer) -> str:
    head, _, signature = theirs.token().split(".")
    return f"{head}.{b64(theirs.claims(sub='eve'))}.{signature}"


def foreign(kid: str) -> Any:
    key = RSAKey.generate_key(2048, {"kid": kid, "alg": "RS256"})
    return key


def crit(theirs: small.Issuer) -> str:
    return f"{b64({'alg': 'RS256', 'kid': 'k1', 'crit': ['x'], 'x': 1})}.{b64(theirs.claims())}.AA"


def chain(length: int) -> Any:
    """Actors a1 to so many, the first of them the outermost."""
    act: Any = None
    for number in range(length, 0, -1):
        act = {"sub": f"a{number}", **({"act": act} if act else {})}
    return act


REFUSED: dict[str, tuple[Callable[[small.Issuer], str], str]] = {
    "expired": (lambda i: i.token(exp=int(time.time()) - 60), "expired"),
    "no exp": (lambda i: i.token(exp=None), "'exp'"),
    "exp as text": (lambda i: i.token(exp="tomorrow"), "'exp'"),
    "exp as text of a number": (lambda i: i.token(exp=str(int(time.time()) + 60)), "'exp'"),
    "exp true": (lambda i: i.token(exp=True), "'exp'"),
    "exp infinite": (lambda i: i.token(exp=float("inf")), "'exp'"),
    "exp not a number": (lambda i: i.token(exp=float("nan")), "'exp'"),
    "exp beyond all time": (lambda i: i.token(exp=10**30), "'exp'"),
    "nbf in the future": (lambda i: i.token(nbf=int(time.time()) + 600), "'nbf'"),
    "iat in the future": (lambda i: i.token(iat=int(time.time()) + 600), "'iat'"),
    "other iss": (lambda i: i.token(iss="https://evil"), "another issuer"),
    "iss with a slash more": (lambda i: i.token(iss=f"{i.url}/"), "another issuer"),
    "no iss": (lambda i: i.token(iss=None), "'iss'"),
    "other aud": (lambda i: i.token(aud="x"), "not for 'agent-tasks'"),
    "other auds": (lambda i: i.token(aud=["x", "y"]), "not for 'agent-tasks'"),
    "aud in another's name": (lambda i: i.token(aud="agent-tasks-evil"), "not for 'agent-tasks'"),
    "no aud": (lambda i: i.token(aud=None), "'aud'"),
    "aud a number": (lambda i: i.token(aud=5), "not for 'agent-tasks'"),
    "no sub": (lambda i: i.token(sub=None), "'sub'"),
    "sub empty": (lambda i: i.token(sub=""), "'sub'"),
    "sub a number": (lambda i: i.token(sub=5), "'sub'"),
    "sub too long": (lambda i: i.token(sub="x" * 257), "'sub' must have 1 to 256 characters"),
    "sub with NUL": (lambda i: i.token(sub="a\x00b"), "'sub' must have no NUL"),
    "scope a number": (lambda i: i.token(scope=5), "'scope'"),
    "scope an object": (lambda i: i.token(scope={"a": 1}), "'scope'"),
    "scope of numbers": (lambda i: i.token(scope=[5]), "'scope'"),
    "scope too long": (lambda i: i.token(scope="x" * 257), "'scope'"),
    "scope with NUL": (lambda i: i.token(scope=["a\x00"]), "'scope'"),
    "too many scopes": (lambda i: i.token(scope=[str(n) for n in range(101)]), "'scope'"),
    "act a text": (lambda i: i.token(act="eve"), "'act'"),
    "act of nobody": (lambda i: i.token(act={"iss": "x"}), "'act.sub'"),
    "act without end": (lambda i: i.token(act=chain(17)), "'act'"),
    "foreign key same kid": (lambda i: i.token(foreign("k1")), "signature"),
    "tampered": (tampered, "signature"),
    "unknown kid": (lambda i: i.token(foreign("k9")), "does not publish: 'k9'"),
    "kid a number": (lambda i: f"{b64({'alg': 'RS256', 'kid': 5})}.{b64(i.claims())}.AA", "header"),
    "no kid, foreign key": (lambda i: i.token(foreign("k1"), {"kid": None}), "signature"),
    "jku": (lambda i: i.token(foreign("k1"), {"jku": "https://evil/jwks"}), "signature"),
    "jwk": (lambda i: i.token(k := foreign("k1"), {"jwk": k.as_dict(private=False)}), "signature"),
    "crit that nobody knows": (crit, "Unsupported"),
    "alg none": (lambda i: f"{b64({'alg': 'none', 'kid': 'k1'})}.{b64(i.claims())}.", "none"),
    "alg None": (lambda i: f"{b64({'alg': 'None', 'kid': 'k1'})}.{b64(i.claims())}.", "None"),
    "alg missing": (lambda i: f"{b64({'kid': 'k1'})}.{b64(i.claims())}.AA", "alg"),
    "alg a number": (lambda i: f"{b64({'alg': 5, 'kid': 'k1'})}.{b64(i.claims())}.AA", "alg|cannot be"),
    "alg of another key": (lambda i: f"{b64({'alg': 'ES256', 'kid': 'k1'})}.{b64(i.claims())}.AA", "verified"),
    "HS256 with the public key": (with_public_key_as_secret, "HS256"),
    "PS256, which is not set": (lambda i: f"{b64({'alg': 'PS256', 'kid': 'k1'})}.{b64(i.claims())}.AA", "PS256"),
    "header a list": (lambda i: f"{b64([])}.{b64(i.claims())}.AA", "header"),
    "header deep": (lambda i: f"{b64(b'[' * 9000)}.{b64(i.claims())}.AA", "cannot be read"),
    "header of certificates": (lambda i: i.token(foreign("k1"), {"x5c": ["A" * 4000]}), "signature"),
    "claims a list": (lambda i: serialize_compact({"alg": "RS256", "kid": "k1"}, b"[]", rsa("k1")), "cannot be"),
    "encrypted": (lambda i: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..a.b.c", "cannot be"),
    "garbage": (lambda i: "a.b.c", "header"),
    "dots": (lambda i: "..", "header"),
    "empty": (lambda i: "", "header"),
    "no ASCII": (lambda i: "ä.ö.ü", "header"),
    "a lone surrogate": (lambda i: "\ud800.a.b", "header"),
    "huge": (lambda i: i.token(more="x" * LONGEST_TOKEN), "more than 16,384 characters"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_not_right_is_refused_with_what_is_wrong(theirs: small.Issuer, name: str) -> None:
    make, said = REFUSED[name]
    with pytest.raises(Unauthenticated, match=said) as caught:
        Issuer(theirs.settings()).verify(make(theirs))
    assert caught.value.challenge.startswith('Bearer error="invalid_token", error_description="')
    assert caught.value.challenge.isascii()


TAKEN: dict[str, Callable[[small.Issuer], str]] = {
    "plain": lambda i: i.token(),
    "aud in a list": lambda i: i.token(aud=["x", "agent-tasks"]),
    "within the leeway": lambda i: i.token(exp=int(time.time()) - 20, nbf=int(time.time()) + 20),
    "no kid, one key": lambda i: i.token(header={"kid": None}),
    "a header of the issuer's own": lambda i: signed_with_own_header(i),
}


def signed_with_own_header(theirs: small.Issuer) -> str:
    registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    return jwt.encode({"alg": "RS256", "kid": "k1", "pi.atm": "x"}, theirs.claims(), rsa("k1"), registry=registry)


@pytest.mark.parametrize("name", TAKEN)
def test_a_token_that_is_right_is_taken(theirs: small.Issuer, name: str) -> None:
    credential = Issuer(theirs.settings()).verify(TAKEN[name](theirs))
    assert credential.identity == Identity(subject="ana")
    assert credential.key_id is None


def test_claims_become_an_identity_that_ends_with_the_token(theirs: small.Issuer) -> None:
    names = {"oidc_subject_claim": "email", "oidc_tenant_claim": "https://acme/org", "oidc_scopes_claim": "scp"}
    claims = {"email": "ana@acme", "https://acme/org": "acme", "scp": ["tasks:read", "tasks:write", "tasks:read"]}
    exp = int(time.time()) + 600
    credential = Issuer(theirs.settings(**names)).verify(theirs.token(**claims, act=chain(3), exp=exp))
    assert credential.identity == Identity(
        subject="ana@acme", tenant="acme", scopes=("tasks:read", "tasks:write"), actors=("a1", "a2", "a3")
    )
    assert credential.expires_at is not None
    assert credential.expires_at.timestamp() == exp


def test_scopes_may_be_text_with_spaces(theirs: small.Issuer) -> None:
    identity = Issuer(theirs.settings()).verify(theirs.token(scope=" tasks:read  openid ")).identity
    assert identity is not None
    assert identity.scopes == ("tasks:read", "openid")


@pytest.mark.parametrize("tenant", [None, "", 5, ["acme"], "a\x00", "x" * 257])
def test_where_a_claim_names_the_tenant_a_token_without_one_is_refused(theirs: small.Issuer, tenant: Any) -> None:
    with pytest.raises(Unauthenticated, match="'tenant'"):
        Issuer(theirs.settings(oidc_tenant_claim="tenant")).verify(theirs.token(tenant=tenant))


def test_a_token_without_kid_is_refused_where_the_issuer_has_several_keys(theirs: small.Issuer) -> None:
    theirs.keys = [rsa("k1"), elliptic("k2")]
    verify = Issuer(theirs.settings()).verify
    assert verify(theirs.token(elliptic("k2"))).identity == Identity(subject="ana")
    with pytest.raises(Unauthenticated, match="kid"):
        verify(theirs.token(header={"kid": None}))


@settings(max_examples=150, deadline=None)
@given(
    header=st.one_of(
        st.binary(max_size=60),
        st.dictionaries(
            st.sampled_from(["alg", "kid", "crit", "b64", "jwk", "x5c", "typ", "x"]),
            st.recursive(
                st.one_of(st.none(), st.integers(), st.sampled_from(["RS256", "ES256", "k1", "b64", ""]), st.text()),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
                max_leaves=4,
            ),
        ),
    ),
    payload=st.binary(max_size=40),
    signature=st.binary(max_size=300),
)
def test_whatever_is_sent_is_refused_and_nothing_else_happens(
    server: small.Issuer, header: Any, payload: bytes, signature: bytes
) -> None:
    with pytest.raises(Unauthenticated):
        _patient(server).verify(f"{b64(header)}.{b64(payload)}.{b64(signature)}")


_kept: dict[str, Issuer] = {}


def _patient(server: small.Issuer) -> Issuer:
    """One for all examples."""
    server.answers, server.is_away = {}, False
    return _kept.setdefault(server.url, Issuer(server.settings(), Clock()))


def test_keys_are_fetched_once_and_again_for_an_unknown_one_but_not_more_often_than_each_minute(
    theirs: small.Issuer,
) -> None:
    clock = Clock()
    ours = Issuer(theirs.settings(), clock)
    for _ in range(3):
        ours.verify(theirs.token())
    assert theirs.hits == [DISCOVERY, "/jwks"]
    theirs.keys = [rsa("k2"), rsa("k1")]
    clock.now += AGAIN_SECONDS - 1
    with pytest.raises(Unauthenticated, match="does not publish: 'k2'"):
        ours.verify(theirs.token(rsa("k2")))
    assert len(theirs.hits) == 2
    clock.now += 1
    ours.verify(theirs.token(rsa("k2")))
    assert len(theirs.hits) == 4
    ours.verify(theirs.token())
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            ours.verify(theirs.token(foreign("k9")))
    assert len(theirs.hits) == 4


def test_while_the_issuer_is_away_its_old_keys_go_on(theirs: small.Issuer, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    ours = Issuer(theirs.settings(), clock)
    ours.verify(theirs.token())
    theirs.is_away = True
    clock.now += AGAIN_SECONDS
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="does not publish"):
            ours.verify(theirs.token(rsa("k2")))
        ours.verify(theirs.token())
    assert theirs.hits == [DISCOVERY, "/jwks", DISCOVERY]
    assert "answers with 503" in caplog.text
    theirs.is_away, theirs.keys = False, [rsa("k2")]
    clock.now += AGAIN_SECONDS
    ours.verify(theirs.token(rsa("k2")))


def test_a_key_that_the_issuer_has_withdrawn_is_believed_for_an_hour_at_most(theirs: small.Issuer) -> None:
    clock = Clock()
    ours = Issuer(theirs.settings(), clock)
    ours.verify(theirs.token())
    theirs.keys = [rsa("k2")]
    clock.now += STALE_SECONDS - 1
    ours.verify(theirs.token())
    clock.now += 1
    with pytest.raises(Unauthenticated, match="does not publish"):
        ours.verify(theirs.token())


def test_without_any_keys_the_issuer_is_unavailable_and_asked_again_soon(theirs: small.Issuer) -> None:
    clock = Clock()
    ours = Issuer(theirs.settings(), clock)
    theirs.is_away = True
    for _ in range(3):
        with pytest.raises(IssuerUnavailable, match="answers with 503") as caught:
            ours.verify(theirs.token())
        assert caught.value.info.retryable
        assert caught.value.retry_after == FIRST_SECONDS
    assert theirs.hits == [DISCOVERY]
    theirs.is_away = False
    clock.now += FIRST_SECONDS
    ours.verify(theirs.token())


def test_nobody_at_the_address_is_an_issuer_that_is_unavailable() -> None:
    settings = Settings(oidc_issuer="http://127.0.0.1:1", oidc_audience="x")
    with pytest.raises(IssuerUnavailable, match="cannot be fetched"):
        Issuer(settings).verify(f"{b64({'alg': 'RS256'})}.a.b")


def test_many_threads_at_once_cause_one_fetch(theirs: small.Issuer) -> None:
    clock = Clock()
    ours = Issuer(theirs.settings(), clock)
    with ThreadPoolExecutor(16) as threads:
        for key in (rsa("k1"), rsa("k2")):
            theirs.keys, theirs.hits = [key], []
            clock.now += AGAIN_SECONDS
            token = theirs.token(key)
            assert len(list(threads.map(ours.verify, [token] * 32))) == 32
            assert theirs.hits == [DISCOVERY, "/jwks"]


def test_who_has_a_known_key_waits_for_no_fetch(theirs: small.Issuer) -> None:
    clock = Clock()
    ours = Issuer(theirs.settings(), clock)
    ours.verify(theirs.token())
    theirs.keys = [rsa("k2"), rsa("k1")]
    clock.now += STALE_SECONDS
    theirs.held.clear()
    try:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(ours.verify, theirs.token(rsa("k2")))
            eventually(lambda: len(theirs.hits) == 3)
            ours.verify(theirs.token())
            assert not waiting.done()
            theirs.held.set()
            assert waiting.result(20).identity == Identity(subject="ana")
    finally:
        theirs.held.set()


def test_keys_may_be_at_an_address_of_the_settings(theirs: small.Issuer) -> None:
    Issuer(theirs.settings(oidc_jwks_url=f"{theirs.url}/jwks")).verify(theirs.token())
    assert theirs.hits == ["/jwks"]


def json_answer(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(value).encode()


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        (DISCOVERY, json_answer({"issuer": "https://evil", "jwks_uri": "https://evil/jwks"}), "of the issuer"),
        (DISCOVERY, json_answer({"jwks_uri": "https://evil/jwks"}), "of the issuer"),
        (DISCOVERY, (302, {"Location": "/jwks"}, b""), "redirects"),
        (DISCOVERY, json_answer([]), "no JSON object"),
        ("/jwks", (301, {"Location": "http://127.0.0.1:1/"}, b""), "redirects"),
        ("/jwks", (404, {}, b""), "404"),
        ("/jwks", (200, {}, b"{"), "not JSON"),
        ("/jwks", (200, {}, b"[" * 100_000), "not JSON"),
        ("/jwks", (200, {}, b" " * (2 * 1024 * 1024)), "sends more than"),
        ("/jwks", (200, {"Content-Length": "9"}, b""), "cannot be fetched"),
        ("/jwks", json_answer({}), "no key"),
        ("/jwks", json_answer({"keys": 5}), "no key"),
        ("/jwks", json_answer({"keys": [5, {"kty": "RSA"}, {"kty": "new"}, {"kty": "oct", "k": "AAAA"}]}), "no key"),
    ],
)
def test_an_answer_that_has_no_keys_is_an_issuer_that_is_unavailable(
    theirs: small.Issuer, path: str, answer: Any, said: str
) -> None:
    theirs.answers = {path: answer}
    with pytest.raises(IssuerUnavailable, match=said):
        Issuer(theirs.settings()).verify(theirs.token())


@pytest.mark.parametrize("address", [5, "file:///etc/passwd", "jwks", ""])
def test_a_discovery_document_must_say_where_the_keys_are(theirs: small.Issuer, address: Any) -> None:
    theirs.answers = {DISCOVERY: json_answer({"issuer": theirs.url, "jwks_uri": address})}
    with pytest.raises(IssuerUnavailable, match="jwks_uri"):
        Issuer(theirs.settings()).verify(theirs.token())


def test_one_key_that_cannot_be_read_takes_none_of_the_others_along(theirs: small.Issuer) -> None:
    good = rsa("k1").as_dict(private=False)
    others = [
        {"kty": "AKP", "kid": "k0"},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "!"},
        5,
        {"kty": "RSA", "n": ""},
    ]
    theirs.answers = {"/jwks": json_answer({"keys": [*others, good]})}
    assert Issuer(theirs.settings()).verify(theirs.token()).identity == Identity(subject="ana")


def test_a_secret_that_an_issuer_publishes_verifies_nothing(theirs: small.Issuer) -> None:
    shared = {"kty": "oct", "kid": "k1", "k": b64(b"x" * 32)}
    theirs.answers = {"/jwks": json_answer({"keys": [shared, rsa("k2").as_dict(private=False)]})}
    head = f"{b64({'alg': 'HS256', 'kid': 'k1'})}.{b64(theirs.claims())}"
    with pytest.raises(Unauthenticated):
        Issuer(theirs.settings()).verify(f"{head}.{b64(hmac.digest(b'x' * 32, head.encode(), hashlib.sha256))}")


@pytest.mark.parametrize("missing", ["oidc_issuer", "oidc_audience"])
def test_an_issuer_without_an_audience_is_refused_at_the_start(missing: str) -> None:
    values = {"oidc_issuer": "https://issuer", "oidc_audience": "x", missing: ""}
    with pytest.raises(InvalidInput, match=f"AGENT_TASKS_{missing.upper()} is not set"):
        Issuer(Settings(**values))
