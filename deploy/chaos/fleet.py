"""One deployment of real processes, all of them our children: PostgreSQL, perhaps Kafka, and a process a service."""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import asyncpg
import httpx

from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.service import Service
from deploy.chaos.proxy import Proxy
from deploy.child import LOOPBACK, DeployError, end, free_port, spawn, tail
from deploy.development_issuer import DevelopmentIssuer
from deploy.kafka import EmbeddedKafka
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database, prepare_topics
from deploy.services import all_services

ROOT = Path(__file__).parents[2]
READY_SECONDS = 90.0
PARTITIONS = 4
ASK_SECONDS = 20.0
NOT_THERE = (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)


@dataclass(eq=False)
class Member:
    """One process of a service. `switches` are those of `deploy.chaos.switched`."""

    service: Service
    module: str
    environment: dict[str, str]
    log: Path
    port: int
    switches: tuple[str, ...] = ()
    process: "Popen[bytes] | None" = None
    frozen: bool = False

    def spawn(self) -> None:
        run = ["deploy.chaos.switched", *self.switches] if self.switches else ["chassis.run"]
        command = [sys.executable, "-m", *run, self.module]
        self.process = spawn(command, log=self.log, environment=self.environment, on_our_death=signal.SIGKILL)
        self.frozen = False

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ended_by_itself(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """As an orchestrator stops it."""
        if self.process is not None:
            self.wake()
            end(self.process, ((signal.SIGTERM, 10.0),))
            self.process = None

    def freeze(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)
            self.frozen = True

    def wake(self) -> None:
        if self.process is not None and self.frozen:
            self.process.send_signal(signal.SIGCONT)
            self.frozen = False

    def said(self, words: str) -> int:
        """How many lines of its log hold these words."""
        return sum(words in line for line in self.log.read_text(errors="replace").splitlines())

    async def until_ready(self, http: httpx.AsyncClient, seconds: float = READY_SECONDS) -> None:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if self.ended_by_itself:
                break
            try:
                if (await http.get(f"{self.url}/readyz", timeout=5)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
        raise DeployError(f"{self.module} is not ready after {seconds:.0f} s:\n{tail(self.log)}")


@dataclass(eq=False)
class Fleet:
    """`members` by the name of their service, the first of each at its known port; `spare` members come and go."""

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka | None
    proxy: Proxy
    bus: Bus
    database: str
    prefix: str
    folder: Path
    rng: random.Random
    services: list[Service]
    http: httpx.AsyncClient
    members: dict[str, Member] = field(default_factory=dict)
    spare: list[Member] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    deaths: list[str] = field(default_factory=list)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _asker: "asyncpg.Connection[Any] | None" = None

    @property
    def bus_name(self) -> str:
        return "kafka" if self.kafka else "embedded"

    def new_member(self, service: Service, switches: Sequence[str] = ()) -> Member:
        port = free_port()
        log = self.folder / f"{service.name}.{len(list(self.folder.glob('*.log')))}.log"
        log.touch()
        return Member(service, module_of(service), self._environment(port), log, port, tuple(switches))

    def _environment(self, port: int) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TRIBUTARY_BUS": self.bus_name,
            "TRIBUTARY_KAFKA_BOOTSTRAP": self.kafka.bootstrap if self.kafka else "",
            "TRIBUTARY_KAFKA_PREFIX": self.prefix,
            "TRIBUTARY_KAFKA_PARTITIONS": str(PARTITIONS),
            "TRIBUTARY_DATABASE_PORT": str(self.proxy.port),
            "TRIBUTARY_DATABASE_NAME": self.database,
            "TRIBUTARY_DATABASE_PASSWORD": service_passwords(self.postgres),
            "TRIBUTARY_LOG_LEVEL": "INFO",
            "TRIBUTARY_PORT": str(port),
            **DevelopmentIssuer.at(self.postgres.folder.home).environment(),
        }

    async def start(self, switches: dict[str, Sequence[str]] | None = None) -> None:
        """Every service, all at once; returns when all are ready."""
        for service in self.services:
            self.members[service.name] = self.new_member(service, (switches or {}).get(service.name, ()))
            self.members[service.name].spawn()
        await self.until_ready()

    async def until_ready(self) -> None:
        await asyncio.gather(*(m.until_ready(self.http) for m in [*self.members.values(), *self.spare] if m.process))

    async def restart(self, name: str, switches: Sequence[str] = ()) -> Member:
        """The first member of a service again, at its port, with these switches."""
        member = self.members[name]
        member.kill()
        member.switches = tuple(switches)
        member.spawn()
        await member.until_ready(self.http)
        return member

    async def add(self, name: str, switches: Sequence[str] = ()) -> Member:
        """One more member of a service."""
        member = self.new_member(self.members[name].service, switches)
        member.spawn()
        self.spare.append(member)
        await member.until_ready(self.http)
        return member

    def remove(self, member: Member, *, gently: bool) -> None:
        self.spare.remove(member)
        if gently:
            member.stop()
        else:
            member.kill()

    def revive(self) -> None:
        """As an orchestrator does: whoever is not there is started again. Who ended by itself is remembered."""
        for member in self.members.values():
            if member.ended_by_itself:
                self.deaths.append(f"{member.service.name} ended by itself: {tail(member.log, 3)}")
                member.process = None
            if member.process is None:
                member.spawn()

    def wake(self) -> None:
        for member in [*self.members.values(), *self.spare]:
            member.wake()

    def stop(self) -> None:
        for member in [*self.members.values(), *self.spare]:
            member.kill()
        self.spare.clear()

    async def ask(self, sql: str, *values: Any) -> list[Any]:
        """Rows of one statement, as the superuser, past the proxy; again while the server is not there."""
        limit = time.monotonic() + ASK_SECONDS
        while True:
            try:
                async with self._asking:
                    if self._asker is None or self._asker.is_closed():
                        self._asker = await self.connect()
                    return list(await self._asker.fetch(sql, *values, timeout=ASK_SECONDS))
            except (*NOT_THERE, asyncpg.InterfaceError):
                self._asker = None
                if time.monotonic() > limit:
                    raise
                await asyncio.sleep(0.1)

    async def connect(self) -> "asyncpg.Connection[Any]":
        server = self.postgres
        return await asyncpg.connect(server.url(server.superuser, server.password, self.database), timeout=10)


def module_of(service: Service) -> str:
    """The module that holds it, from where its code lies."""
    from deploy.services import modules

    return next(m for m, s in zip(modules(), all_services(), strict=True) if s.name == service.name)


@asynccontextmanager
async def open_fleet(
    folder: Path, rng: random.Random, *, kafka: bool, services: Sequence[Service] | None = None
) -> AsyncIterator[Fleet]:
    """Servers, database, topics, proxy; the services are still to start. All of it is gone at the end."""
    with ExitStack() as stack:
        postgres = stack.enter_context(await asyncio.to_thread(_postgres))
        broker = stack.enter_context(await asyncio.to_thread(EmbeddedKafka.start)) if kafka else None
        async with open_on(postgres, broker, folder, rng, "chaos", services) as fleet:
            yield fleet


def _postgres() -> EmbeddedPostgres:
    return EmbeddedPostgres.start(throwaway=True, fast=True)


@asynccontextmanager
async def open_on(
    postgres: EmbeddedPostgres,
    broker: EmbeddedKafka | None,
    folder: Path,
    rng: random.Random,
    database: str,
    services: Sequence[Service] | None = None,
    *,
    topics: bool = True,
) -> AsyncIterator[Fleet]:
    """The same on servers that are there, in a database of its own."""
    chosen = list(services or all_services())
    await create_database(postgres.url(postgres.superuser, postgres.password, "postgres"), database)
    owner = engine_for(postgres.url(postgres.superuser, postgres.password, database))
    password = service_passwords(postgres)
    await prepare_database(owner, all_services(), lambda _: password)
    prefix = f"{database}." if broker else ""
    bus: Bus = KafkaBus(broker.bootstrap, partitions=PARTITIONS, prefix=prefix) if broker else EmbeddedBus(owner)
    if topics:
        await prepare_topics(bus, all_services())
    proxy = Proxy(postgres.port, rng)
    await proxy.start(free_port())
    logs = Path(tempfile.mkdtemp(prefix=f"{database}-", dir=folder))
    operator = DevelopmentIssuer.at(postgres.folder.home).headers()
    async with httpx.AsyncClient(headers=operator) as http:
        fleet = Fleet(postgres, broker, proxy, bus, database, prefix, logs, rng, chosen, http)
        try:
            yield fleet
        finally:
            fleet.stop()
            await proxy.close()
            await bus.close()
            await owner.dispose()
