"""Four hundred requests no client library would send, over a real socket to the server as a deployment runs it: a
refusal or a closed connection, never a fault, and it still answers afterwards."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from structlog.testing import capture_logs

from chassis.run import EDGE
from deploy.child import free_port
from tests.bad_inputs.conftest import Target
from tests.bad_inputs.spoiler import MARK
from tests.journeys.house import eventually

REQUESTS = 400
LARGE = (b"8000\r\n" + b" " * 32768 + b"\r\n") * 9 + b"0\r\n\r\n"
START = b"POST /assessments HTTP/1.1\r\nhost: x\r\n"


@pytest_asyncio.fixture
async def port(target: Target) -> AsyncIterator[int]:
    """The whole API behind uvicorn with a deployment's own settings."""
    found = free_port()
    server = uvicorn.Server(uvicorn.Config(target.house.deployment.app(), "127.0.0.1", found, lifespan="off", **EDGE))
    serving = asyncio.create_task(server.serve())
    assert await eventually(lambda: asyncio.sleep(0, server.started), 30)
    yield found
    server.should_exit = True
    await serving


def malformed(rng: random.Random, mark: bytes, token: bytes) -> bytes:
    """One way in which HTTP itself, or what it carries, is wrong."""
    authorized = START + b"authorization: " + token + b"\r\n"
    return rng.choice([
        mark + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /" + mark + b"\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /assessments/%00%ff%c3%28" + mark + b" HTTP/1.1\r\nhost: x\r\nauthorization: " + token + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + mark + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"h%d: %s\r\n" % (n, mark * 30) for n in range(300)) + b"\r\n",
        b"GET / HTTP/1.1\r\nno colon " + mark + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nname with space: " + mark + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-correlation-id: " + mark + b"\r\n folded\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + mark,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + mark,
        b"CONNECT " + mark + b":443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nhost: x\r\n" + mark + b": x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nx: " + mark + b"\r\n\r\n",
        START + b"content-length: 5\r\ncontent-length: 6\r\n\r\n" + mark,
        START + b"content-length: -1\r\n\r\n" + mark,
        START + b"content-length: " + b"9" * 400 + b"\r\n\r\n" + mark,
        START + b"content-length: 20\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + mark,
        START + b"transfer-encoding: " + mark + b"\r\n\r\n",
        START + b"transfer-encoding: chunked\r\n\r\n" + mark + b"\r\n",
        authorized + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n" + mark,
        authorized + b"transfer-encoding: chunked\r\n\r\n4\r\n" + mark[:4],
        authorized + b"transfer-encoding: chunked\r\n\r\n" + LARGE,
        authorized + b"content-length: 900\r\n\r\n" + mark,
        authorized + b"content-length: 9000000\r\n\r\n" + mark,
        authorized + b"content-length: %d\r\n\r\n" % len(mark) + mark,
        authorized + b"authorization: " + token + b"\r\ncontent-length: 2\r\n\r\n{}",
        authorized + b"x-forwarded-for: " + mark + b"\r\nx-forwarded-proto: x\r\ncontent-length: 2\r\n\r\n{}",
        rng.randbytes(rng.randrange(1, 400)) + mark,
    ])  # fmt: skip


async def tried(port: int, sent: bytes) -> bytes:
    """What comes back until the other side closes; ours is closed for writing at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 20)
    except (ConnectionError, OSError):
        return b""
    finally:
        writer.close()


async def test_it_is_refused_or_cut_and_the_next_is_answered(
    target: Target, port: int, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng, before, started = random.Random(seed), await target.rows(), time.monotonic()
    token = target.house.deployment.issuer.headers()["authorization"].encode()
    kinds: Counter[bytes] = Counter()
    with capture_logs() as logs:
        for n in range(REQUESTS):
            mark = b"%s%05dsock" % (MARK.encode(), n)
            sent = malformed(rng, mark, token)
            told = await tried(port, sent)
            line = told.split(b"\r\n")[0]
            assert told == b"" or line.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), (sent[:300], told[:300])
            assert MARK.encode() not in told, (sent[:300], told[:300])
            assert b"server: " not in told.lower()
            kinds[line] += 1
    assert {kind[9:12] for kind in kinds if kind} >= {b"400", b"401", b"404", b"413", b"422"}
    assert [line for line in logs if line["event"] == "request_failed" or MARK in str(line)] == []
    alive = await tried(port, b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert alive.startswith(b"HTTP/1.1 200")
    assert await target.rows() == before
    assert MARK not in "".join(capfd.readouterr())
    with capfd.disabled():
        print(f"\n{REQUESTS} over the socket, seed {seed}, {time.monotonic() - started:.1f} s: {dict(kinds)}")
