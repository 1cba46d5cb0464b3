"""A PostgreSQL that dies, a network to it that fails, no room on its disk, no slots for connections."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from chassis.run import role_of
from deploy.chaos.fleet import Fleet
from deploy.chaos.running import Run, progress
from deploy.one_process import service_passwords

DISK = "24m"
NO_ROOM = "No space left on device"
NO_SLOTS = ("remaining connection slots are reserved", "too many clients already", "too many connections for role")


async def kill_postgres(run: Run) -> None:
    """kill -9 of the postmaster, started again at once or only after three seconds."""
    server = run.fleet.postgres
    delays = (0.0, 0.0, 0.0, 3.0) if not run.on_kafka else (0.0, 3.0)
    async with run.under_load(seconds=2.0 * len(delays) + 2.0):
        for delay in delays:
            await asyncio.sleep(1.5)
            await asyncio.to_thread(server.kill)
            run.saw("database servers killed")
            await asyncio.sleep(delay)
            await asyncio.to_thread(server.restart)


async def network(run: Run) -> None:
    """Answers cut, so that a commit's outcome is unknown; resets; black holes; slowness."""
    proxy = run.fleet.proxy
    before = proxy.counted.copy()
    async with run.under_load(seconds=12.0):
        proxy.cut_replies, proxy.cut_commits = 0.01, 0.2
        for _ in range(5):
            await asyncio.sleep(1.0)
            proxy.reset_all()
        proxy.cut_replies, proxy.cut_commits = 0.0, 0.1
        for _ in range(2):
            proxy.swallow()
            await asyncio.sleep(3.0)
            proxy.heal()
            await asyncio.sleep(0.5)
        proxy.latency = (0.05, 0.2)
        await asyncio.sleep(3.0)
    run.proofs += proxy.counted - before


async def no_slots(run: Run) -> None:
    """Somebody holds every connection slot, and ours are reset: whoever comes back finds no place."""
    greedy, over, before = Greedy(run.fleet), asyncio.Event(), _said(run.fleet, *NO_SLOTS)
    async with run.under_load(seconds=5.0):
        takers = [asyncio.create_task(greedy.take_all(over)) for _ in range(8)]
        await asyncio.sleep(1.0)
        for _ in range(2):
            # nobody of ours comes back before the last slot is taken
            run.fleet.proxy.reset_all()
            run.fleet.proxy.swallow()
            await greedy.has_them_all()
            run.fleet.proxy.heal()
            await asyncio.sleep(2.0)
        over.set()
        await asyncio.gather(*takers)
        await greedy.let_go()
    refused = _said(run.fleet, *NO_SLOTS) - before - greedy.refused
    run.saw("connections refused for want of a slot", max(0, refused))


@dataclass
class Greedy:
    """Takes each slot that comes free, as any of the services might. `refused`: how often there was none."""

    fleet: Fleet
    held: list[Any] = field(default_factory=list)
    refused: int = 0

    async def take_all(self, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                self.held.append(await _as_a_service(self.fleet))
            except asyncpg.TooManyConnectionsError:
                self.refused += 1
                await asyncio.sleep(0.02)

    async def has_them_all(self) -> None:
        """Until it is refused ten times more."""
        enough = self.refused + 10
        for _ in range(200):
            if self.refused >= enough:
                return
            await asyncio.sleep(0.05)

    async def let_go(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self.held))


async def _as_a_service(fleet: Fleet) -> Any:
    server, service = fleet.postgres, fleet.services[0]
    url = server.url(role_of(service), service_passwords(server), fleet.database)
    return await asyncpg.connect(url, timeout=10)


def _said(fleet: Fleet, *words: str) -> int:
    text = fleet.postgres.folder.log.read_text(errors="replace")
    return sum(text.count(word) for word in words)


async def disk_full(run: Run) -> None:
    """The tables of two services lie on a disk of their own, which is filled to the last byte."""
    schemas = ["assessment", run.rng.choice([s.schema for s in run.fleet.services if s.schema.startswith("stream_")])]
    if os.geteuid() != 0:
        progress("NOT SHOWN: a full disk needs a file system of its own, and only root may mount one")
        run.saw("writes refused for want of room", -1)
        return
    before = _said(run.fleet, NO_ROOM)
    with small_disk(run.fleet) as disk:
        await run.fleet.ask(f"CREATE TABLESPACE tight LOCATION '{disk / 'space'}'")
        await _move(run.fleet, schemas, "tight")
        async with run.under_load(seconds=5.0):
            await asyncio.sleep(1.0)
            with fill(disk):
                await asyncio.sleep(4.0)
        await run.until_quiet()
        await _move(run.fleet, schemas, "pg_default")
        await run.fleet.ask("DROP TABLESPACE tight")
    run.saw("writes refused for want of room", _said(run.fleet, NO_ROOM) - before)


async def _move(fleet: Fleet, schemas: list[str], tablespace: str) -> None:
    for schema in schemas:
        for (table,) in await fleet.ask(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'", schema
        ):
            await fleet.ask(f"ALTER TABLE {schema}.{table} SET TABLESPACE {tablespace}")


@contextmanager
def small_disk(fleet: Fleet) -> Iterator[Path]:
    """A file system of DISK bytes beside the server's data, for the server's user. Raises CalledProcessError."""
    folder, account = fleet.postgres.folder.home / "disk", fleet.postgres.folder.account
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    try:
        (folder / "space").mkdir()
        os.chown(folder / "space", account.uid, account.gid)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextmanager
def fill(disk: Path) -> Iterator[None]:
    """Not one byte is left while the block runs."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 512)
    try:
        yield
    finally:
        filler.unlink()
