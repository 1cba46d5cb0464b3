"""kill -9 of a service between its commit and its send: nothing is lost, nothing is doubled, every budget is right."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

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
VICTIMS = {"ras": "services.ras", "ilf": "services.funding_streams.ilf"}
PEOPLE = 24
HELD = "UPDATE {0}.outbox_cursor SET owner = 'a test', lease_until = now() + interval '1 hour' RETURNING shard"
FREE = "UPDATE {0}.outbox_cursor SET owner = NULL, lease_until = NULL RETURNING shard"
UNSENT = "SELECT sum(h.next - c.pos) AS n FROM {0}.outbox_head h JOIN {0}.outbox_cursor c USING (shard)"


class Street:
    """A house whose `victim` lives in a process of its own."""

    def __init__(self, house: House, victim: str, broker: EmbeddedKafka | None, prefix: str, log: Path) -> None:
        self.house, self.victim, self.broker, self.prefix, self.log = house, victim, broker, prefix, log
        self.schema = next(s.schema for s in all_services() if s.name == victim)
        self.child: Child | None = None

    async def start(self) -> None:
        self.child = await Child.start(
            VICTIMS[self.victim],
            self.house.postgres,
            self.house.database,
            self.log,
            kafka=self.broker,
            prefix=self.prefix,
        )

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None

    async def rows(self, sql: str) -> int:
        (row,) = await self.house.ask(sql.format(self.schema))
        return int(row[0] or 0)

    async def hold_back(self) -> None:
        """Take the relay's lease away: what the victim commits from now on stays unsent."""
        assert len(await self.house.ask(HELD.format(self.schema))) == 16
        await asyncio.sleep(0.3)  # a send that was under way when the lease went

    async def let_go(self) -> None:
        assert len(await self.house.ask(FREE.format(self.schema))) == 16


@pytest_asyncio.fixture(params=VICTIMS)
async def street(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    new_database: NewDatabase,
    broker: EmbeddedKafka | None,
    tmp_path: Path,
) -> AsyncIterator[Street]:
    prefix, victim = f"{uuid.uuid4().hex}.", str(request.param)
    others = [s for s in all_services() if s.name != victim]
    async with open_house(postgres, await new_database(), broker, prefix=prefix, services=others) as house:
        await prepare_topics(house.deployment.bus, all_services())
        street = Street(house, victim, broker, prefix, tmp_path / "victim.log")
        yield street
        street.kill()


async def budgets(house: House) -> dict[str, tuple[str, int, int]]:
    """Assessment -> state, revision and weekly pence of every budget `ras` has stored."""
    rows = await house.ask("SELECT proposed FROM ras.budget_case WHERE proposed IS NOT NULL")
    made = [BudgetProposed.decode(bytes(row["proposed"])) for row in rows]
    return {str(b.assessment_ref): (b.state, b.revision, b.totals.weekly_pence) for b in made}


async def test_killed_between_commit_and_send(street: Street) -> None:
    """G04 for many people: £717.75 a week each, once. The window is real: rows are committed, and the process dies."""
    house = street.house
    await street.start()
    await street.hold_back()
    refs = [await house.finalised(house.somebody("G04")) for _ in range(PEOPLE)]

    async def committed() -> bool:
        return await street.rows(UNSENT) >= PEOPLE // 3

    assert await eventually(committed), "the victim never committed anything to be sent"
    street.kill()
    unsent = await street.rows(UNSENT)
    assert unsent >= PEOPLE // 3
    await asyncio.sleep(0.5)
    assert await street.rows(UNSENT) == unsent, "somebody is still writing or sending"
    done = await budgets(house)
    if street.victim == "ilf":
        assert done == {}, "a budget without the answer that was never sent"

    await street.let_go()
    await street.start()
    for _ in range(2):  # and twice more in the middle of what is left
        await asyncio.sleep(0.2)
        street.kill()
        await street.start()
    right = ("PROPOSED", 1, 71775)

    async def all_done() -> bool:
        return await budgets(house) == dict.fromkeys(refs, right)

    assert await eventually(all_done, 90), (await budgets(house), await house.parked())
    assert await eventually(lambda: nothing_unsent(street))
    await asyncio.sleep(1.0)  # a doubled effect would come now

    assert await budgets(house) == dict.fromkeys(refs, right)
    assert await house.parked() == []
    proposed, decided = [], []
    for ref in refs:
        proposed += await house.told(BudgetProposed, ref)
        decided += [(str(d.assessment_ref), d.stream, d.revision) for d in await house.told(StreamDecided, ref)]
    assert sorted(str(b.assessment_ref) for b in proposed) == sorted(refs), "one budget told for each, and no more"
    assert len(decided) == len(set(decided)) == 7 * PEOPLE
    for schema in await house.schemas():
        (ids,) = await house.ask(f"SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM {schema}.outbox")
        assert ids["n"] == ids["ids"], f"{schema} told the same fact twice"


async def nothing_unsent(street: Street) -> bool:
    return await street.rows(UNSENT) == 0
