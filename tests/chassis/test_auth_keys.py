"""Keys of tokens: fetched in the background, once for all who wait, and kept while the issuer is away."""

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from chassis.auth_keys import STALE_SECONDS, PublishedKeys, published, read_keys
from contracts.refusal import Refusal
from deploy.child import free_port
from deploy.development_issuer import DevelopmentIssuer

Json = dict[str, Any]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Json:
    issuer = DevelopmentIssuer.at(tmp_path_factory.mktemp("issuer"))
    found: Json = json.loads(issuer.keys)["keys"][0]
    return found


class Published:
    """An issuer's key set behind a wire that can break; `time` is the reader's clock."""

    def __init__(self, *keys: Json) -> None:
        self.keys, self.fetched, self.time = list(keys), 0, 0.0
        self.fault: Exception | None = None
        self.reader = PublishedKeys(self.fetch, now=lambda: self.time)

    async def fetch(self) -> bytes:
        self.fetched += 1
        await asyncio.sleep(0.01)
        if self.fault:
            raise self.fault
        return json.dumps({"keys": self.keys}).encode()


async def test_one_fetch_for_all_who_wait_and_then_a_pause(key: Json) -> None:
    wire = Published(key)
    found = await asyncio.gather(*(wire.reader.key(key["kid"]) for _ in range(50)))
    assert (wire.fetched, all(found)) == (1, True)
    assert [await wire.reader.key(f"made-up-{n}") for n in range(50)] == [None] * 50
    assert wire.fetched == 1, "made-up ids cost the issuer nothing"
    wire.time = 31
    wire.keys.append(key | {"kid": "next"})
    assert await wire.reader.key("next") is not None
    assert wire.fetched == 2


async def test_one_who_gives_up_does_not_end_the_fetch_of_the_others(key: Json) -> None:
    wire = Published(key)
    first, second = (asyncio.create_task(wire.reader.key(key["kid"])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


@pytest.mark.parametrize("fault", [httpx.ConnectError(""), TimeoutError(), ValueError(), OSError()])
async def test_while_the_issuer_is_away_its_keys_are_kept_for_a_day(key: Json, fault: Exception) -> None:
    wire = Published(key)
    assert await wire.reader.key(key["kid"])
    wire.fault, wire.time = fault, STALE_SECONDS - 1
    with capture_logs() as logs:
        assert await wire.reader.key("another") is None
    assert [line["event"] for line in logs] == ["keys_not_renewed"]
    assert await wire.reader.key(key["kid"])
    wire.time = STALE_SECONDS + 1
    with pytest.raises(Refusal, match="cannot be checked") as refused:
        await wire.reader.key(key["kid"])
    assert refused.value.status == 503


async def test_a_withdrawn_key_goes_and_an_empty_set_replaces_nothing(key: Json) -> None:
    wire = Published(key, key | {"kid": "old"})
    running = asyncio.create_task(wire.reader.run())
    await asyncio.sleep(0.05)
    assert await wire.reader.key("old")
    running.cancel()
    wire.keys.pop()
    await wire.reader._renew()
    assert await wire.reader.key("old") is None
    wire.keys.clear()
    with capture_logs():
        await wire.reader._renew()
    assert await wire.reader.key(key["kid"])


async def test_nothing_known_yet_is_no_reason_to_refuse_the_token(key: Json) -> None:
    wire = Published()
    with capture_logs(), pytest.raises(Refusal) as refused:
        await wire.reader.key(key["kid"])
    assert refused.value.code == "unavailable"


def rsa(bits: int) -> Json:
    found: Json = RSAAlgorithm.to_jwk(generate_private_key(65537, bits).public_key(), as_dict=True)
    return found | {"kid": f"rsa-{bits}"}


def test_only_public_strong_signing_keys_are_taken(key: Json) -> None:
    unusable = [
        {"kty": "oct", "kid": "shared", "k": "AAAA"},
        OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True) | {"kid": "private"},
        key | {"kid": "for-encryption", "use": "enc"},
        {k: v for k, v in key.items() if k != "kid"},
        key | {"kid": 7},
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kid": "nothing"},
        rsa(1024),
    ]
    body = json.dumps({"keys": [*unusable, rsa(2048), key]}).encode()
    assert set(read_keys(body)) == {"rsa-2048", key["kid"]}
    for nothing in (json.dumps({"keys": unusable}), '{"keys": []}', "{}", "[]"):
        with pytest.raises((ValueError, msgspec.ValidationError), match=r"usable|Object|Expected"):
            read_keys(nothing.encode())


async def test_over_the_wire_redirects_and_giants_are_refused(key: Json) -> None:
    answers = {
        "/keys": b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"keys": [key]}).encode(),
        "/moved": b"HTTP/1.1 302 Found\r\nlocation: /keys\r\ncontent-length: 0\r\n\r\n",
        "/giant": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 300_000 + json.dumps({"keys": [key]}).encode(),
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        writer.write(answers[path])
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        with capture_logs():
            assert await published(f"http://127.0.0.1:{port}/keys").key(key["kid"])
            for path in ("moved", "giant"):
                with pytest.raises(Refusal):
                    await published(f"http://127.0.0.1:{port}/{path}").key(key["kid"])
