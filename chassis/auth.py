"""Who is calling and what they may do: OAuth 2 bearer tokens, JWT access tokens after RFC 9068.

Every route names its scope, `caller: Annotated[Caller, Depends(allowed("budgets.read"))]`; an application with a route
that does not is never built. What belongs to a council the caller has nothing to do with answers as if it were absent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import jwt
import msgspec
from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from jwt import PyJWK

from chassis.auth_keys import FixedKeys, Keys, PublishedKeys, published
from chassis.settings import NotSetUp, Settings
from contracts.refusal import Refusal
from contracts.scopes import OPERATIONS, SCOPES

if TYPE_CHECKING:
    from chassis.transaction import Transaction

LEEWAY_SECONDS = 30
MAX_TOKEN = 8192
REQUIRED = ["iss", "aud", "exp", "iat", "sub"]
_BEARER = re.compile(r"[Bb]earer +(?P<token>[A-Za-z0-9._~+/=-]+)\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is the token's subject, an opaque id. `councils` None: every council (an operator of the deployment)."""

    name: str
    scopes: frozenset[str]
    councils: frozenset[str] | None = None

    def may_see(self, council: str) -> bool:
        return self.councils is None or council in self.councils

    def record(self, tx: "Transaction", action: str, subject: object, **detail: str | int | bool) -> None:
        """Keep, in this commit, that this caller did or saw it, and with which scopes."""
        tx.record(self.name, action, str(subject), "", scopes=" ".join(sorted(self.scopes)), **detail)


REPLAYING = Caller("replay", frozenset(), None)
"""What was allowed once is done again from what was kept of it."""


@dataclass
class Challenge(Refusal):
    """A refusal that says what is missing: `challenge` is the WWW-Authenticate header of RFC 6750."""

    challenge: str = 'Bearer realm="tributary"'


class Claims(msgspec.Struct, frozen=True):
    """What is read of a token besides what makes it valid. `scope` as in RFC 8693: names with spaces between."""

    sub: Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,200}\Z")]
    scope: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    councils: Annotated[list[Annotated[str, msgspec.Meta(max_length=40)]], msgspec.Meta(max_length=500)] | None = None

    def caller(self) -> Caller:
        scopes = frozenset(self.scope.split())
        if self.councils is None and any(scope.startswith(OPERATIONS) for scope in scopes):
            return Caller(self.sub, scopes, None)
        return Caller(self.sub, scopes, frozenset(self.councils or ()))


class Verifier:
    """Believes one issuer's tokens for one audience, signed by one of its published keys in one of `algorithms`."""

    def __init__(
        self, issuer: str, audience: str, keys: Keys, algorithms: Sequence[str] = ("EdDSA",), kind: str = "at+jwt"
    ) -> None:
        self.issuer, self.audience, self.keys = issuer, audience, keys
        self.algorithms, self.kind = list(algorithms), kind.lower()

    async def caller(self, token: str) -> Caller:
        """Raises Challenge token_invalid, never saying what is wrong; Refusal unavailable while no key is known."""
        try:
            key = await self._key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=self.algorithms,
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED},
            )
            return msgspec.convert(claims, Claims).caller()
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise _invalid() from None

    async def _key(self, token: str) -> PyJWK:
        if len(token) > MAX_TOKEN:
            raise ValueError("longer than any token here")
        header = jwt.get_unverified_header(token)
        if str(header.get("typ", "")).lower().removeprefix("application/") != self.kind:
            raise ValueError("another kind of token")
        if header.get("alg") not in self.algorithms or not isinstance(header.get("kid"), str):
            raise ValueError("another way to sign")
        key = await self.keys.key(header["kid"])
        if key is None:
            raise ValueError("no key of this issuer")
        return key


NOBODY = Verifier("", "", FixedKeys({}))
"""Believes no token."""


def _invalid() -> Challenge:
    detail = "This token is not valid here: expired, for somebody else, or not from the issuer. Ask for a new one."
    return Challenge("token_invalid", detail, challenge='Bearer realm="tributary", error="invalid_token"')


def _token(request: Request) -> str:
    given = request.headers.getlist("authorization")
    if not given:
        raise Challenge("token_missing", "Send an access token: Authorization: Bearer …")
    found = _BEARER.match(given[0])
    if len(given) > 1 or found is None:
        raise _invalid()
    return found["token"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """The dependency of a route. See `allowed`."""

    scope: str

    async def __call__(self, request: Request) -> Caller:
        verifier: Verifier = request.app.state.verifier
        caller = await verifier.caller(_token(request))
        if self.scope not in caller.scopes:
            told = f'Bearer realm="tributary", error="insufficient_scope", scope="{self.scope}"'
            raise Challenge("insufficient_scope", f"This needs a token with the scope {self.scope}.", challenge=told)
        return caller


def allowed(scope: str) -> Allowed:
    """A route's dependency: `caller: Annotated[Caller, Depends(allowed("budgets.read"))]`."""
    if scope not in SCOPES:
        raise ValueError(f"{scope} is no scope: see contracts/scopes.py")
    return Allowed(scope)


def scope_of(route: Any) -> str | None:
    """The scope a route asks for, or None: it asks for none."""
    return next(_scopes(route.dependant), None) if isinstance(route, APIRoute) else None


def _scopes(dependant: Dependant) -> Iterator[str]:
    for one in dependant.dependencies:
        if isinstance(one.call, Allowed):
            yield one.call.scope
        yield from _scopes(one)


DEVELOPMENT_ISSUER = "https://development.tributary.invalid"
DEVELOPMENT_AUDIENCE = "tributary"
DEVELOPMENT_KEYS = "file:deploy/secrets/issuer-keys.json"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def verifier_of(settings: Settings) -> tuple[Verifier, PublishedKeys]:
    """Whom this deployment believes; run the keys to keep them fresh. Raises NotSetUp, saying what to set."""
    issuer, audience, url = settings.auth_issuer, settings.auth_audience, settings.auth_jwks_url
    algorithms: Sequence[str] = settings.auth_algorithms
    if settings.auth == "development":
        if settings.host not in _LOOPBACK:
            raise NotSetUp("TRIBUTARY_AUTH=development is for a loopback TRIBUTARY_HOST only: anybody may sign there")
        issuer, audience, algorithms = DEVELOPMENT_ISSUER, DEVELOPMENT_AUDIENCE, ("EdDSA",)
        url = url or DEVELOPMENT_KEYS
    if not (issuer and audience and url):
        raise NotSetUp(
            "say whose tokens are believed: TRIBUTARY_AUTH_ISSUER, TRIBUTARY_AUTH_AUDIENCE and TRIBUTARY_AUTH_JWKS_URL;"
            " or, on a loopback address, TRIBUTARY_AUTH=development"
        )
    try:
        keys = published(url)
    except ValueError as fault:
        raise NotSetUp(f"TRIBUTARY_AUTH_JWKS_URL: {fault}") from None
    return Verifier(issuer, audience, keys, algorithms, settings.auth_token_type), keys
