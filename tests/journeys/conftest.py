"""One long-lived deployment per module and bus: each journey is made by people of its own."""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres
from tests.conftest import NewDatabase
from tests.journeys.house import House, open_house


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> EmbeddedKafka | None:
    """The broker, or None where the log is in the database; both in turn."""
    found: EmbeddedKafka | None = request.getfixturevalue("kafka") if request.param == "kafka" else None
    return found


@pytest_asyncio.fixture(scope="module")
async def house(
    postgres: EmbeddedPostgres, new_database: NewDatabase, broker: EmbeddedKafka | None
) -> AsyncIterator[House]:
    async with open_house(postgres, await new_database(), broker, prefix=f"{uuid.uuid4().hex}.") as opened:
        yield opened
