"""A TCP proxy that stands between a client and a server and does to the connection what a bad network does."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field

from deploy.child import LOOPBACK

CHUNK = 65_536
COMMITTED = b"COMMIT\x00"
"""PostgreSQL's own word that a transaction is done: cut this and the client cannot know."""


@dataclass(eq=False)
class _Link:
    """One client's connection and ours to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter


@dataclass(eq=False)
class Proxy:
    """Forwards to 127.0.0.1:`target`. Set the faults while it runs; `counted` proves which of them happened.

    `latency`: least and most seconds each piece waits, both ways. `cut_replies`, `cut_commits`: how likely (0 to 1) a
    piece, or a commit's answer, from the server is swallowed and the client's connection reset.
    """

    target: int
    rng: random.Random = field(default_factory=random.Random)
    latency: tuple[float, float] = (0.0, 0.0)
    cut_replies: float = 0.0
    cut_commits: float = 0.0
    counted: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _links: set[_Link] = field(default_factory=set)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._accept, LOOPBACK, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.heal()
        self.reset_all()
        if self._server is not None:
            self._server.close()

    def heal(self) -> None:
        """No more faults; connections that are open stay open."""
        self.latency, self.cut_replies, self.cut_commits = (0.0, 0.0), 0.0, 0.0
        self._open.set()

    def swallow(self) -> None:
        """A black hole: nothing passes and nobody is told, until `heal`."""
        self.counted["black holes"] += 1
        self._open.clear()

    def reset_all(self) -> int:
        """RST every connection. Returns how many."""
        links = list(self._links)
        for link in links:
            self._cut(link)
        self.counted["connections reset"] += len(links)
        return len(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            from_server, to_server = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, to_server)
        self._links.add(link)
        pumps = (self._pump(reader, link.server, link), self._pump(from_server, link.client, link, replies=True))
        try:
            await asyncio.gather(*pumps)
        finally:
            self._links.discard(link)
            link.client.close()
            link.server.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link, *, replies: bool = False
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                await self._open.wait()
                await self._delay()
                if replies and self._to_be_cut(data):
                    self._cut(link)
                    return
                sink.write(data)
                await sink.drain()
            sink.write_eof()
        except OSError:  # one side is gone: the other is told at once, or it would wait for its own time-out
            self._cut(link)

    async def _delay(self) -> None:
        if self.latency[1]:
            self.counted["pieces delayed"] += 1
            await asyncio.sleep(self.rng.uniform(*self.latency))

    def _to_be_cut(self, data: bytes) -> bool:
        commit = COMMITTED in data
        cut = self.rng.random() < (max(self.cut_commits, self.cut_replies) if commit else self.cut_replies)
        if cut:
            self.counted["commit answers cut" if commit else "other answers cut"] += 1
        return cut

    def _cut(self, link: _Link) -> None:
        """The client is reset at once; the server sees the connection close, whatever it did by then stays done."""
        _reset(link.client)
        link.server.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
