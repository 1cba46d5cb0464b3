"""Buses on real servers, each test on a log of its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres
from tests.contracts.bus_help import LEASE, PARTITIONS


@pytest_asyncio.fixture
async def engine(postgres: EmbeddedPostgres) -> AsyncIterator[AsyncEngine]:
    url = make_url(postgres.url(postgres.superuser, postgres.password, "postgres"))
    # The test server commits without waiting for the kernel: a killed one would forget the last commits.
    durable = {"server_settings": {"synchronous_commit": "on"}}
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), connect_args=durable)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture
async def schema(engine: AsyncEngine) -> AsyncIterator[str]:
    name = f"bus_{uuid.uuid4().hex}"
    for _ in range(2):  # installing twice must do no harm
        async with engine.begin() as connection:
            await EmbeddedBus(engine, name).install(connection)
    yield name
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


@pytest_asyncio.fixture
async def new_embedded(engine: AsyncEngine, schema: str) -> AsyncIterator[Callable[[], EmbeddedBus]]:
    buses: list[EmbeddedBus] = []

    def make() -> EmbeddedBus:
        buses.append(EmbeddedBus(engine, schema, PARTITIONS, lease=LEASE))
        return buses[-1]

    yield make
    await asyncio.gather(*(bus.close() for bus in buses))


@pytest_asyncio.fixture
async def new_kafka(kafka: EmbeddedKafka) -> AsyncIterator[Callable[..., KafkaBus]]:
    buses: list[KafkaBus] = []
    prefix = f"{uuid.uuid4().hex}."

    def make(send_timeout: float = 30.0) -> KafkaBus:
        bus = KafkaBus(kafka.bootstrap, partitions=PARTITIONS, prefix=prefix, send_timeout=send_timeout)
        buses.append(bus)
        return bus

    yield make
    await asyncio.gather(*(bus.close() for bus in buses))
