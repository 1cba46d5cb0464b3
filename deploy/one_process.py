"""Every service in one process, each with its own schema, role, inbox and outbox: the real path minus the network.

For the demo, for `tributary allocate`, and for tests. Production runs one service a container, on Kafka.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
from fastapi import FastAPI

from chassis.audit_anchor import Signer
from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.database import Database
from chassis.parking import list_parked
from chassis.run import Running, app_of, role_of
from chassis.service import Clock, Service
from chassis.settings import DEVELOPMENT_PEPPER
from deploy.development_issuer import DevelopmentIssuer
from deploy.keys import kept_key
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database, prepare_topics
from deploy.services import all_services

Progress = Callable[[str], None]


@dataclass
class OneProcess:
    """All services at work. `running` by service name; `issuer` makes the tokens its API asks for."""

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


@asynccontextmanager
async def one_process(
    postgres: EmbeddedPostgres,
    *,
    database: str = "tributary",
    kafka: str | None = None,
    kafka_prefix: str = "",
    clock: Clock | None = None,
    services: list[Service] | None = None,
    progress: Progress = lambda _: None,
    pepper: bytes = DEVELOPMENT_PEPPER,
) -> AsyncIterator[OneProcess]:
    """Prepare and start. `kafka` is a bootstrap address; without it the log is in the database."""
    services = services if services is not None else all_services()
    passwords = service_passwords(postgres)
    await create_database(postgres.url(postgres.superuser, postgres.password, "postgres"), database)
    owner = engine_for(postgres.url(postgres.superuser, postgres.password, database))
    await prepare_database(owner, services, lambda s: passwords, progress)
    progress("topics")
    bus: Bus = KafkaBus(kafka, prefix=kafka_prefix) if kafka else EmbeddedBus(owner)
    await prepare_topics(bus, services)
    signer = audit_signer(postgres.folder.home)
    running = {
        s.name: Running(
            s, bus, Database(postgres.url(role_of(s), passwords, database), s.schema), clock, pepper, signer
        )
        for s in services
    }
    deployment = OneProcess(running, bus, DevelopmentIssuer.at(postgres.folder.home))
    try:
        for one in running.values():
            one.start()
        yield deployment
    finally:
        # whatever runs now, a service that was started again since included
        await asyncio.gather(*(one.stop() for one in deployment.running.values()))
        await bus.close()
        await owner.dispose()


def audit_signer(folder: Path) -> Signer:
    """Signs the audit log's heads with a key kept beside the data, and writes them there."""
    return Signer(kept_key(folder / "audit.key"), folder / "audit-anchors.jsonl")


def service_passwords(postgres: EmbeddedPostgres) -> str:
    """The services' password on an embedded server: kept beside its data, so that a restart finds it."""
    path = Path(postgres.folder.home) / "services.password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()
