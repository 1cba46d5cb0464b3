"""The public keys tokens are checked with: fetched from one pinned address, renewed in the background, kept while the
issuer is away. Nobody waits for a fetch but a token with a key not seen before."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

import httpx
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK

from chassis import telemetry
from contracts.refusal import Refusal

REFRESH_SECONDS = 300.0
COOLDOWN_SECONDS = 30.0
STALE_SECONDS = 86_400.0
"""After a day without the issuer its keys are no longer believed: one of them may have been withdrawn."""
FETCH_SECONDS = 5.0
MAX_KEYS_BYTES = 256 * 1024
LEAST_RSA_BITS = 2048
FILE = "file:"


class Keys(Protocol):
    async def key(self, kid: str) -> PyJWK | None:
        """None: the issuer has no such key. Raises Refusal unavailable while nothing is known of its keys."""


class FixedKeys:
    """Keys that never change: those of an issuer in this process."""

    def __init__(self, keys: dict[str, PyJWK]) -> None:
        self._keys = keys

    async def key(self, kid: str) -> PyJWK | None:
        return self._keys.get(kid)


class PublishedKeys:
    """A JSON Web Key Set behind `fetch`. `run` keeps it fresh; a key not known is looked for at once, by one fetch for
    all who wait, and then not again within the cool-down, so that made-up key ids cost the issuer nothing."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        cooldown: float = COOLDOWN_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._cooldown, self._now = fetch, cooldown, now
        self._keys: dict[str, PyJWK] = {}
        self._tried = self._renewed = float("-inf")
        self._flight: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while True:
            await self._renew()
            fresh = self._now() - self._renewed < REFRESH_SECONDS
            await asyncio.sleep(REFRESH_SECONDS if fresh else self._cooldown)

    async def key(self, kid: str) -> PyJWK | None:
        if kid not in self._keys and (self._flight or self._now() - self._tried >= self._cooldown):
            await self._renew()
        if self._now() - self._renewed > STALE_SECONDS:
            raise Refusal("unavailable", "Tokens cannot be checked now: try the same request again shortly.")
        return self._keys.get(kid)

    async def _renew(self) -> None:
        if self._flight is None:
            self._tried = self._now()
            self._flight = asyncio.create_task(self._fly(), name="keys:fetch")
        await asyncio.shield(self._flight)

    async def _fly(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = read_keys(await self._fetch())
            self._renewed = self._now()
        except (httpx.HTTPError, OSError, ValueError) as fault:
            telemetry.logger("auth").warning("keys_not_renewed", fault=type(fault).__name__, held=len(self._keys))
        finally:
            self._flight = None


def published(url: str) -> PublishedKeys:
    """Keys at `https://…`, or in a file, `file:…`, where the issuer is out of reach. Raises ValueError."""
    if url.startswith(FILE):
        path = Path(url.removeprefix(FILE).removeprefix("//"))
        return PublishedKeys(lambda: asyncio.to_thread(path.read_bytes), cooldown=1.0)
    address = httpx.URL(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.host in {"127.0.0.1", "localhost"}):
        raise ValueError("keys come by https or from a file")
    return PublishedKeys(lambda: _get(address))


async def _get(address: httpx.URL) -> bytes:
    """Redirects are not followed: the address is pinned."""
    body = b""
    async with httpx.AsyncClient(timeout=FETCH_SECONDS) as http, http.stream("GET", address) as answer:
        answer.raise_for_status()
        async for some in answer.aiter_bytes():
            body += some
            if len(body) > MAX_KEYS_BYTES:
                raise ValueError("too large for a set of keys")
    return body


class _KeySet(msgspec.Struct):
    keys: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=100)]


def read_keys(body: bytes) -> dict[str, PyJWK]:
    """The usable public keys by id. Raises ValueError where there is none: an empty answer replaces nothing."""
    found: dict[str, PyJWK] = {}
    for given in msgspec.json.decode(body, type=_KeySet).keys:
        key = _usable(given)
        if key is not None:
            found.setdefault(str(given["kid"]), key)
    if not found:
        raise ValueError("no usable key")
    return found


def _usable(given: dict[str, Any]) -> PyJWK | None:
    """Public, for signatures, strong enough. A shared secret in a published set is no secret."""
    if not isinstance(given.get("kid"), str) or given.get("use", "sig") != "sig" or "d" in given:
        return None
    if given.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    try:
        key = PyJWK(given)
    except jwt.PyJWTError:
        return None
    weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < LEAST_RSA_BITS
    return None if weak else key
