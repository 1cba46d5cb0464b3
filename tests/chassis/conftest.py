"""A probe service on a database of its own, and both buses."""

import uuid
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.database import Database
from chassis.run import role_of
from chassis.service import Handlers
from deploy.kafka import EmbeddedKafka
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from tests.chassis.probe import TOPIC, Probe, service_with
from tests.conftest import copy_of, make_template

NewProbe = Callable[[], Probe]


@pytest_asyncio.fixture(scope="session")
async def probe_template(postgres: EmbeddedPostgres) -> str:
    return await make_template(postgres, "probe_service", [service_with(Handlers())])


@pytest_asyncio.fixture
async def database_name(postgres: EmbeddedPostgres, probe_template: str) -> str:
    return await copy_of(postgres, probe_template)


@pytest_asyncio.fixture
async def new_database_of_probe(
    postgres: EmbeddedPostgres, database_name: str
) -> AsyncIterator[Callable[[], Database]]:
    """Pools on the test's one database, in the probe's own role, as separate processes would have them."""
    made: list[Database] = []
    role = role_of(service_with(Handlers()))

    def make() -> Database:
        url = postgres.url(role, service_passwords(postgres), database_name)
        made.append(Database(url, "probe", pool=8))
        return made[-1]

    yield make
    for database in made:
        await database.close()


@pytest_asyncio.fixture
async def embedded_bus(new_database_of_probe: Callable[[], Database]) -> AsyncIterator[Bus]:
    bus = EmbeddedBus(new_database_of_probe().engine)
    yield bus
    await bus.close()


@pytest_asyncio.fixture
async def kafka_bus(kafka: EmbeddedKafka) -> AsyncIterator[Bus]:
    bus = KafkaBus(kafka.bootstrap, partitions=4, prefix=f"{uuid.uuid4().hex}.")
    yield bus
    await bus.close()


@pytest.fixture
def probe(new_database_of_probe: Callable[[], Database], embedded_bus: Bus) -> Probe:
    """For tests in which no bus matters."""
    return Probe(new_database_of_probe(), embedded_bus)


@pytest.fixture(params=["embedded_bus", "kafka_bus"])
def bus(request: pytest.FixtureRequest) -> Bus:
    """Both buses in turn."""
    found: Bus = request.getfixturevalue(request.param)
    return found


@pytest_asyncio.fixture
async def new_probe(bus: Bus, new_database_of_probe: Callable[[], Database]) -> NewProbe:
    """Makes probes on one database and one bus, each as another process; on both buses in turn."""
    await bus.create_topics([TOPIC])
    return lambda: Probe(new_database_of_probe(), bus)
