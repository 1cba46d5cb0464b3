"""Every service in one process, each with its own schema, role, inbox and outbox: the real path minus the network.

For the demo, for `tributary allocate`, and for tests. Production runs one service a container, on Kafka.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.audit_anchor import Signer
from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.database import Database
from chassis.parking import list_parked
from chassis.run import Running, app_of, role_of, settle
from chassis.service import Clock, Service
from chassis.settings import DEVELOPMENT_PEPPER
from deploy.access import OPERATOR, TOPIC_ADMIN, principal_of
from deploy.development_issuer import DevelopmentIssuer
from deploy.keys import kept_key
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database, prepare_topics
from deploy.services import all_services

AUDIT_KEY = "audit.key"
"""In the folder of an embedded database."""
Progress = Callable[[str], None]
Login = Callable[[str], Mapping[str, Any]]
"""Principal -> its `security` for KafkaBus."""


@dataclass
class OneProcess:
    """All services at work. `running` by service name; `bus` is the deployment's own, for who only listens; `issuer`
    makes the tokens its API asks for."""

    running: dict[str, Running]
    bus: Bus
    issuer: DevelopmentIssuer

    def app(self) -> FastAPI:
        return app_of("Tributary", list(self.running.values()), self.issuer.verifier(), described=True)

    def client(self, base_url: str = "http://tributary.local") -> httpx.AsyncClient:
        """Everything the API offers, without a network: an operator's token is sent along."""
        transport = httpx.ASGITransport(self.app())
        headers = self.issuer.headers()
        return httpx.AsyncClient(transport=transport, base_url=base_url, timeout=30, headers=headers)

    def raise_if_crashed(self) -> None:
        """Raise what ended a service's task, where one has ended."""
        for running in self.running.values():
            running.raise_if_crashed()

    async def parked_people(self) -> dict[UUID, str]:
        """Pseudonym -> the service where a message about that person is parked and holds back the next ones."""
        found: dict[UUID, str] = {}
        for name, running in self.running.items():
            async with running.transactions() as tx:
                found |= {parked.person_ref: name for parked in await list_parked(tx)}
        return found


class Buses:
    """A bus a principal, where the broker tells them apart; else one for all."""

    def __init__(self, owner: AsyncEngine, kafka: str | None, prefix: str, login: Login | None) -> None:
        self._owner, self._kafka, self._prefix, self._login = owner, kafka, prefix, login
        self._made: dict[str, Bus] = {}

    def of(self, principal: str) -> Bus:
        who = principal if self._login else ""
        if who not in self._made:
            self._made[who] = self._make(who)
        return self._made[who]

    def _make(self, principal: str) -> Bus:
        if self._kafka is None:
            return EmbeddedBus(self._owner)
        security = self._login(self._prefix + principal) if self._login else None
        return KafkaBus(self._kafka, prefix=self._prefix, security=security)

    async def close(self) -> None:
        await asyncio.gather(*(bus.close() for bus in self._made.values()))


@asynccontextmanager
async def one_process(
    postgres: EmbeddedPostgres,
    *,
    database: str = "tributary",
    kafka: str | None = None,
    kafka_prefix: str = "",
    kafka_login: Login | None = None,
    clock: Clock | None = None,
    services: list[Service] | None = None,
    progress: Progress = lambda _: None,
    pepper: bytes = DEVELOPMENT_PEPPER,
) -> AsyncIterator[OneProcess]:
    """Prepare and start. `kafka` is a bootstrap address; without it the log is in the database.

    `kafka_login`: a principal's login on a broker that asks for one; every service then has a bus of its own.
    """
    services = services if services is not None else all_services()
    passwords = service_passwords(postgres)
    await create_database(postgres.url(postgres.superuser, postgres.password, "postgres"), database)
    owner = engine_for(postgres.url(postgres.superuser, postgres.password, database))
    await prepare_database(owner, services, lambda s: passwords, progress)
    progress("topics")
    buses = Buses(owner, kafka, kafka_prefix, kafka_login)
    await prepare_topics(buses.of(TOPIC_ADMIN), services)
    databases = {s.name: Database(postgres.url(role_of(s), passwords, database), s.schema) for s in services}
    signer = audit_signer(postgres.folder.home)
    running = {
        s.name: Running(s, buses.of(principal_of(s)), databases[s.name], clock, pepper, signer) for s in services
    }
    deployment = OneProcess(running, buses.of(OPERATOR), DevelopmentIssuer.at(postgres.folder.home))
    settle()
    try:
        for one in running.values():
            one.start()
        yield deployment
    finally:
        # whatever runs now, a service that was started again since included
        await asyncio.gather(*(one.stop() for one in deployment.running.values()))
        await buses.close()
        await owner.dispose()


def audit_signer(folder: Path) -> Signer:
    """Signs the audit log's heads with a key kept beside the data, and writes them there."""
    return Signer(kept_key(folder / AUDIT_KEY), folder / "audit-anchors.jsonl")


def service_passwords(postgres: EmbeddedPostgres) -> str:
    """The services' password on an embedded server: kept beside its data, so that a restart finds it."""
    path = Path(postgres.folder.home) / "services.password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()
