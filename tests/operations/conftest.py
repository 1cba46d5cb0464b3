"""A desk: payments with a bug, and the settings by which the command line finds its database."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chassis.bus_embedded import EmbeddedBus
from chassis.database import Database
from chassis.run import Running, role_of
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from services.payments import service
from tests.conftest import NewDatabase
from tests.operations.desk import Desk


@pytest_asyncio.fixture
async def desk(
    postgres: EmbeddedPostgres, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    name, password = await new_database(), service_passwords(postgres)
    settings = {"HOST": postgres.host, "PORT": str(postgres.port), "NAME": name, "PASSWORD": password}
    for key, value in settings.items():
        monkeypatch.setenv(f"TRIBUTARY_DATABASE_{key}", value)
    monkeypatch.setenv("TRIBUTARY_DATABASE_OWNER_PASSWORD", postgres.password)
    database = Database(postgres.url(role_of(service), password, name), service.schema, pool=8)
    yield Desk(Running(service, EmbeddedBus(database.engine), database), postgres, name, monkeypatch)
    await database.close()
