"""The proxy does what it is told to and nothing else, and counts it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from deploy.chaos.proxy import COMMITTED, Proxy, _reset


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that says back what it hears, and COMMIT when it hears `commit`."""
    with suppress(OSError):
        while heard := await reader.read(1000):
            if heard == b"die":
                _reset(writer)
                return
            writer.write(COMMITTED if heard == b"commit" else heard)
            await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    made = Proxy(server.sockets[0].getsockname()[1])
    await made.start()
    yield made
    await made.close()
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def says(self, words: bytes) -> bytes:
        """The answer; b'' where the connection ended politely. Raises ConnectionResetError, TimeoutError."""
        self.writer.write(words)
        async with asyncio.timeout(1):
            return await self.reader.read(1000)


async def client(proxy: Proxy) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def test_without_faults_it_only_passes_on(proxy: Proxy) -> None:
    one = await client(proxy)
    assert [await one.says(b"a"), await one.says(b"commit")] == [b"a", COMMITTED]
    assert not proxy.counted


async def test_an_end_is_passed_on(proxy: Proxy) -> None:
    one = await client(proxy)
    one.writer.write_eof()
    async with asyncio.timeout(1):
        assert await one.reader.read() == b""


async def test_a_server_that_is_gone_is_gone_for_the_client(proxy: Proxy) -> None:
    one = await client(proxy)
    assert await one.says(b"a") == b"a"
    with pytest.raises(ConnectionResetError):
        await one.says(b"die")


async def test_a_commit_is_done_and_its_answer_is_not_given(proxy: Proxy) -> None:
    one = await client(proxy)
    proxy.cut_commits = 1.0
    assert await one.says(b"select") == b"select"
    with pytest.raises(ConnectionResetError):
        await one.says(b"commit")
    assert proxy.counted == {"commit answers cut": 1}
    proxy.heal()
    assert await (await client(proxy)).says(b"commit") == COMMITTED


async def test_answers_are_cut_as_often_as_asked(proxy: Proxy) -> None:
    proxy.rng.seed(4)
    proxy.cut_replies = 0.3
    cut = 0
    for _ in range(40):
        try:
            await (await client(proxy)).says(b"x")
        except ConnectionResetError:
            cut += 1
    assert cut == proxy.counted["other answers cut"]
    assert 4 <= cut <= 22


async def test_every_connection_is_reset(proxy: Proxy) -> None:
    several = [await client(proxy) for _ in range(3)]
    for one in several:
        await one.says(b"hello")
    assert proxy.reset_all() == 3
    for one in several:
        with pytest.raises(ConnectionResetError):
            await one.says(b"anybody?")
    assert proxy.counted["connections reset"] == 3


async def test_a_black_hole_says_nothing_until_it_is_healed(proxy: Proxy) -> None:
    one = await client(proxy)
    await one.says(b"before")
    proxy.swallow()
    with pytest.raises(TimeoutError):
        await one.says(b"in the hole")
    proxy.heal()
    async with asyncio.timeout(1):
        assert await one.reader.read(1000) == b"in the hole"


async def test_slowness_is_there_both_ways(proxy: Proxy) -> None:
    one = await client(proxy)
    await one.says(b"before")
    proxy.latency = (0.1, 0.12)
    started = time.monotonic()
    assert await one.says(b"slow") == b"slow"
    assert time.monotonic() - started >= 0.2
    assert proxy.counted["pieces delayed"] == 2
