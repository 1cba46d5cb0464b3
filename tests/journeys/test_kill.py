"""kill -9 of services in their worst moments: nothing is lost, nothing is doubled, every budget is right.

The windows are made real from outside: while a test holds the relay's lease, a service commits and cannot send; while
it locks the inbox, a service has polled and cannot commit.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from contracts.budget import BudgetProposed
from contracts.streams import StreamDecided
from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import prepare_topics
from deploy.services import all_services
from tests.conftest import NewDatabase
from tests.journeys.child import Child
from tests.journeys.house import House, eventually, open_house

pytestmark = pytest.mark.timeout(180)
PEOPLE = 12
RIGHT = ("PROPOSED", 1, 71775)
"""G04: £335.50 of the council, £322.25 of the ILF and £60.00 of Access to Work, told once."""

HELD = "UPDATE {0}.outbox_cursor SET owner = 'a test', lease_until = now() + interval '1 hour' RETURNING shard"
FREE = "UPDATE {0}.outbox_cursor SET owner = NULL, lease_until = NULL RETURNING shard"
UNSENT = "SELECT sum(h.next - c.pos) AS n FROM {0}.outbox_head h JOIN {0}.outbox_cursor c USING (shard)"


@dataclass
class Victim:
    """A service of the house that lives in a process of its own."""

    module: str
    schema: str
    house: House
    broker: EmbeddedKafka | None
    prefix: str
    log: Path
    child: Child | None = None

    async def start(self) -> None:
        house = self.house
        self.child = await Child.start(
            self.module, house.postgres, house.database, self.log, kafka=self.broker, prefix=self.prefix
        )

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None

    async def unsent(self) -> int:
        """Events committed that no relay has sent."""
        (row,) = await self.house.ask(UNSENT.format(self.schema))
        return int(row["n"])

    async def hold_back(self) -> None:
        """Take the lease away: what is committed from now on stays unsent."""
        assert len(await self.house.ask(HELD.format(self.schema))) == 16
        await asyncio.sleep(0.3)  # a send that was under way when the lease went

    async def let_go(self) -> None:
        assert len(await self.house.ask(FREE.format(self.schema))) == 16

    @asynccontextmanager
    async def cannot_commit(self) -> AsyncIterator[None]:
        """Its inbox is locked: it may poll, and then waits inside its transaction."""
        server, database = self.house.postgres, self.house.database
        connection = await asyncpg.connect(server.url(server.superuser, server.password, database))
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {self.schema}.inbox IN ACCESS EXCLUSIVE MODE")
            yield
        await connection.close()

    async def is_in_the_middle_of_a_batch(self) -> None:
        waits = f"wait_event_type = 'Lock' AND usename = 'tributary_{self.schema}'"

        async def seen() -> bool:
            return bool(await self.house.ask(f"SELECT 1 FROM pg_stat_activity WHERE {waits}"))

        assert await eventually(seen), f"{self.module} never began a batch"
        await asyncio.sleep(0.5)  # time enough to do something it should not, such as to commit its offsets

    async def has_committed_and_not_sent(self) -> None:
        async def committed() -> bool:
            return await self.unsent() >= PEOPLE // 2

        assert await eventually(committed), f"{self.module} never committed anything to be sent"


@pytest_asyncio.fixture
async def victims(
    postgres: EmbeddedPostgres, new_database: NewDatabase, broker: EmbeddedKafka | None, tmp_path: Path
) -> AsyncIterator[tuple[Victim, Victim]]:
    """`ras` and the stream that waits for its facts; everybody else lives in this process."""
    prefix = f"{uuid.uuid4().hex}."
    mine = [s for s in all_services() if s.name not in ("ras", "ilf")]
    async with open_house(postgres, await new_database(), broker, prefix=prefix, services=mine) as house:
        await prepare_topics(house.deployment.bus, all_services())
        ras = Victim("services.ras", "ras", house, broker, prefix, tmp_path / "ras.log")
        ilf = Victim("services.funding_streams.ilf", "stream_ilf", house, broker, prefix, tmp_path / "ilf.log")
        yield ras, ilf
        ras.kill()
        ilf.kill()


async def budgets(house: House) -> dict[str, tuple[str, int, int]]:
    """Assessment -> state, revision and weekly pence of every budget `ras` has proposed."""
    rows = await house.ask("SELECT proposed FROM ras.budget_case WHERE proposed IS NOT NULL")
    made = [BudgetProposed.decode(bytes(row["proposed"])) for row in rows]
    return {str(b.assessment_ref): (b.state, b.revision, b.totals.weekly_pence) for b in made}


async def test_killed_in_the_two_worst_moments(victims: tuple[Victim, Victim]) -> None:
    """One dies with records polled and nothing committed, the other with events committed and not sent."""
    ras, ilf = victims
    house = ras.house
    await asyncio.gather(ras.start(), ilf.start())
    await ras.hold_back()
    async with ilf.cannot_commit():
        refs = [await house.finalised(house.somebody("G04")) for _ in range(PEOPLE)]
        await ilf.is_in_the_middle_of_a_batch()
        ilf.kill()
        await ras.has_committed_and_not_sent()
        ras.kill()
    unsent = await ras.unsent()
    refs += [await house.finalised(house.somebody("G04")) for _ in range(PEOPLE)]
    await asyncio.sleep(0.3)
    assert await ras.unsent() == unsent, "somebody is still writing or sending"
    assert await ilf.unsent() == 0, "nothing was meant to be committed"
    assert await budgets(house) == {}, "a budget without the answers that were never given"

    await ras.let_go()
    await asyncio.gather(ilf.start(), ras.start())

    async def all_done() -> bool:
        return await budgets(house) == dict.fromkeys(refs, RIGHT) and await ras.unsent() == await ilf.unsent() == 0

    assert await eventually(all_done, 60, pause=0.2), (await budgets(house), await house.parked())
    await asyncio.sleep(1.0)  # a doubled effect would come now
    assert await budgets(house) == dict.fromkeys(refs, RIGHT)
    assert await house.parked() == []
    proposed = [str(b.assessment_ref) for b in await house.told_of_all(BudgetProposed)]
    assert sorted(proposed) == sorted(refs), "one budget told for each, and no more"
    decided = [(d.assessment_ref, d.stream, d.revision) for d in await house.told_of_all(StreamDecided)]
    assert len(decided) == len(set(decided)) == 7 * 2 * PEOPLE
    for schema in await house.schemas():
        (ids,) = await house.ask(f"SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM {schema}.outbox")
        assert ids["n"] == ids["ids"], f"{schema} told the same fact twice"
