"""Nobody gets in: every route of every service, found by looking, asks for a good token and its scope."""

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, FastAPI

from chassis.auth import (
    DEVELOPMENT_AUDIENCE,
    DEVELOPMENT_ISSUER,
    NOBODY,
    Caller,
    Verifier,
    allowed,
    verifier_of,
)
from chassis.auth_keys import FixedKeys, read_keys
from chassis.run import app_of
from chassis.service import Deps, Service
from chassis.settings import NotSetUp, Settings
from chassis.web import PROBLEM, build_app
from contracts.scopes import SCOPES
from deploy.development_issuer import KEY, DevelopmentIssuer
from deploy.generate.openapi import _NOTHING
from deploy.services import all_services

OPEN = {"/livez", "/readyz", "/metrics"}
"""Asked by machines that carry no token; what they answer is about the process, never about people or cases."""

Http = httpx.AsyncClient
Forge = Callable[[DevelopmentIssuer], str]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentIssuer:
    return DevelopmentIssuer.at(tmp_path_factory.mktemp("issuer"))


async def ready() -> dict[str, bool]:
    return {}


@dataclass
class Described:
    """A service that is only asked who may come in."""

    service: Service
    deps: Deps = _NOTHING
    alive: bool = True


def application(*services: Service, verifier: Verifier = NOBODY) -> FastAPI:
    """As a deployment makes it."""
    return app_of("Test", [Described(service) for service in services], verifier)  # type: ignore[misc]


@pytest.fixture(scope="module")
def http(issuer: DevelopmentIssuer) -> Http:
    return client_of(application(*all_services(), verifier=issuer.verifier()))


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


def routes() -> list[tuple[str, str, str]]:
    """(method, path, scope) of every operation of every service, from its own OpenAPI document."""
    found = []
    for service in all_services():
        for path, operations in application(service).openapi()["paths"].items():
            for method, operation in operations.items():
                if path not in OPEN:
                    ((scope,),) = [one["token"] for one in operation["security"]]
                    found.append((method.upper(), path, scope))
    return found


ROUTES = routes()


FILLED = {"stream": "dfg", "message_id": "1"}


async def asked(http: Http, method: str, path: str, **headers: str) -> httpx.Response:
    url = re.sub(r"{(\w+)}", lambda m: FILLED.get(m[1], str(uuid.uuid4())), path)
    return await http.request(method, url, headers=headers)


def b64(value: bytes | dict[str, Any]) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(body).rstrip(b"=")


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def unsigned(issuer: DevelopmentIssuer) -> str:
    head = {"alg": "none", "typ": "at+jwt", "kid": issuer.kid}
    return (b64(head) + b"." + b64(claims_of(issuer.token())) + b".").decode()


def signed_with_the_public_key(issuer: DevelopmentIssuer) -> str:
    """HS256 with what everybody knows as the secret."""
    head = {"alg": "HS256", "typ": "at+jwt", "kid": issuer.kid}
    signing = b64(head) + b"." + b64(claims_of(issuer.token()))
    x = base64.urlsafe_b64decode(json.loads(issuer.keys)["keys"][0]["x"] + "==")
    return (signing + b"." + b64(hmac.digest(x, signing, hashlib.sha256))).decode()


def by_another_key(issuer: DevelopmentIssuer) -> str:
    other, headers = Ed25519PrivateKey.generate(), {"typ": "at+jwt", "kid": issuer.kid}
    return jwt.encode(claims_of(issuer.token()), other, algorithm="EdDSA", headers=headers)


def touched(issuer: DevelopmentIssuer) -> str:
    head, _, signature = issuer.token(scopes=["budgets.read"]).split(".")
    return f"{head}.{issuer.token().split('.')[1]}.{signature}"


def headed(**headers: str | None) -> Forge:
    def forge(issuer: DevelopmentIssuer) -> str:
        full = {"typ": "at+jwt", "kid": issuer.kid, **headers}
        kept = {name: value for name, value in full.items() if value is not None}
        return jwt.encode(claims_of(issuer.token()), issuer._private, algorithm="EdDSA", headers=kept)

    return forge


def claiming(**changed: Any) -> Forge:
    """A claim of None is left out."""

    def forge(issuer: DevelopmentIssuer) -> str:
        kept = {n: v for n, v in (claims_of(issuer.token()) | changed).items() if v is not None}
        headers = {"typ": "at+jwt", "kid": issuer.kid}
        return jwt.encode(kept, issuer._private, algorithm="EdDSA", headers=headers)

    return forge


NOW = int(time.time())
FORGED: dict[str, Forge] = {
    "expired": claiming(exp=NOW - 60),
    "not yet valid": claiming(nbf=NOW + 600),
    "issued in the future": claiming(iat=NOW + 600),
    "wrong audience": claiming(aud="somebody-else"),
    "wrong issuer": claiming(iss="https://elsewhere.invalid"),
    **{f"no {claim}": claiming(**{claim: None}) for claim in ("exp", "iat", "iss", "aud", "sub")},
    "exp is text": claiming(exp="soon"),
    "scope is a list": claiming(scope=["budgets.read"]),
    "councils is text": claiming(councils="council-a"),
    "a subject of two lines": claiming(sub="a\nb"),
    "alg none": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "another key": by_another_key,
    "other claims under a good signature": touched,
    "an unknown key id": headed(kid="another"),
    "no key id": headed(kid=None),
    "an identity token": headed(typ="JWT"),
    "too long": claiming(padding="x" * 9000),
    "no token at all": lambda issuer: "not-a-token",
    "three dots": lambda issuer: "...",
}


def test_there_is_a_route_for_every_scope_of_the_services() -> None:
    """Guards the tests below: they would pass on an empty list."""
    assert {scope for _, _, scope in ROUTES} >= {s for s in SCOPES if not s.startswith("operations.")}
    assert len(ROUTES) >= 20


@pytest.mark.parametrize("forged", FORGED)
async def test_a_bad_token_opens_no_route(http: Http, issuer: DevelopmentIssuer, forged: str) -> None:
    token = FORGED[forged](issuer)
    for method, path, _ in ROUTES:
        answer = await asked(http, method, path, authorization=f"Bearer {token}")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), (method, path)
        assert answer.headers["content-type"] == PROBLEM
        assert answer.headers["www-authenticate"] == 'Bearer realm="tributary", error="invalid_token"'
        assert token not in answer.text


async def test_without_a_token_every_route_asks_for_one(http: Http) -> None:
    for method, path, _ in ROUTES:
        answer = await asked(http, method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing"), (method, path)
        assert answer.headers["www-authenticate"] == 'Bearer realm="tributary"'


async def test_every_scope_but_the_one_asked_for_is_not_enough(http: Http, issuer: DevelopmentIssuer) -> None:
    for method, path, scope in ROUTES:
        others = issuer.token(scopes=SCOPES.keys() - {scope})
        answer = await asked(http, method, path, authorization=f"Bearer {others}")
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), (method, path)
        assert f'error="insufficient_scope", scope="{scope}"' in answer.headers["www-authenticate"]


async def test_the_one_scope_is_enough(http: Http, issuer: DevelopmentIssuer) -> None:
    for method, path, scope in ROUTES:
        answer = await asked(http, method, path, authorization=f"Bearer {issuer.token(scopes=[scope])}")
        assert answer.status_code not in {401, 403}, (method, path)


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer {} ", "Token {}", "Bearer a b", "{}"])
async def test_a_token_comes_in_one_way_only(http: Http, issuer: DevelopmentIssuer, sent: str) -> None:
    answer = await asked(http, "GET", "/budgets/{budget_id}", authorization=sent.format(issuer.token()))
    assert answer.status_code == 401
    good = await asked(http, "GET", "/budgets/{budget_id}", authorization=f"bearer {issuer.token()}")
    assert good.status_code != 401


async def test_two_tokens_are_none_and_an_address_carries_none(http: Http, issuer: DevelopmentIssuer) -> None:
    good = f"Bearer {issuer.token()}"
    url = f"/budgets/{uuid.uuid4()}"
    assert (await http.get(url, headers=[("authorization", good), ("authorization", good)])).status_code == 401
    assert (await http.get(url, params={"access_token": issuer.token()})).status_code == 401


async def test_what_is_open_says_nothing_of_people_and_no_description_is_served(http: Http) -> None:
    assert (await http.get("/livez")).json() == {"status": "ok"}
    for path in ("/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"):
        assert (await http.get(path)).status_code == 404


def test_an_application_with_an_open_route_is_never_built() -> None:
    router = APIRouter()
    router.get("/open")(ready)
    with pytest.raises(ValueError, match="/open asks for no scope"):
        build_app("Hole", [router], ready)
    with pytest.raises(ValueError, match="no scope"):
        allowed("everything")


async def test_without_an_issuer_nobody_gets_in(issuer: DevelopmentIssuer) -> None:
    client = client_of(application(*all_services()))
    assert (await client.get(f"/budgets/{uuid.uuid4()}", headers=issuer.headers())).status_code == 401


@pytest.mark.parametrize(
    ("claims", "councils"),
    [
        ({"scopes": ["budgets.read"]}, frozenset()),
        ({"scopes": ["budgets.read"], "councils": ["council-b"]}, frozenset({"council-b"})),
        ({"scopes": ["budgets.read"], "councils": []}, frozenset()),
        ({"scopes": ["budgets.read", "operations.read"]}, None),
        ({"scopes": ["operations.read"], "councils": ["council-a"]}, frozenset({"council-a"})),
    ],
)
async def test_whose_cases_a_token_sees(
    issuer: DevelopmentIssuer, claims: Any, councils: frozenset[str] | None
) -> None:
    caller = await issuer.verifier().caller(issuer.token("officer-7", **claims))
    assert caller == Caller("officer-7", frozenset(claims["scopes"]), councils)
    assert caller.may_see("council-a") is (councils is None or "council-a" in councils)


async def test_a_key_is_good_for_its_own_algorithm_only(issuer: DevelopmentIssuer) -> None:
    """Even where the issuer may sign in others."""
    verifier = Verifier(
        DEVELOPMENT_ISSUER, DEVELOPMENT_AUDIENCE, FixedKeys(read_keys(issuer.keys)), ("RS256", "HS256", "none")
    )
    for token in (issuer.token(), unsigned(issuer), signed_with_the_public_key(issuer)):
        with pytest.raises(Exception, match="not valid"):
            await verifier.caller(token)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "say whose tokens"),
        ({"auth_issuer": "https://i", "auth_audience": "a"}, "say whose tokens"),
        ({"auth_issuer": "https://i", "auth_audience": "a", "auth_jwks_url": "http://i/keys"}, "https"),
        ({"auth": "development", "host": "0.0.0.0"}, "loopback"),
    ],
)
def test_a_deployment_must_say_whom_it_believes(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(NotSetUp, match=says):
        verifier_of(Settings(**settings))
    assert verifier_of(Settings(auth="development"))[0].issuer == DEVELOPMENT_ISSUER


def test_the_development_key_is_private_and_stays(issuer: DevelopmentIssuer) -> None:
    folder = issuer.keys_file.parent
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600
    assert DevelopmentIssuer.at(folder).keys == issuer.keys
    assert b'"d"' not in issuer.keys
