"""Payments holds what was accepted: once a revision, never changed, the newest first to be found."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from chassis import inbox
from chassis.bus import Record
from chassis.bus_embedded import EmbeddedBus
from chassis.database import Database
from chassis.run import Running, role_of
from contracts.budget import BudgetAccepted, Totals
from contracts.event import Envelope, new_id
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from services.payments import service, store
from tests.conftest import NewDatabase


@pytest_asyncio.fixture(scope="module")
async def payments(postgres: EmbeddedPostgres, new_database: NewDatabase) -> AsyncIterator[Running]:
    url = postgres.url(role_of(service), service_passwords(postgres), await new_database())
    database = Database(url, service.schema)
    yield Running(service, EmbeddedBus(database.engine), database)
    await database.close()


def accepted(budget: UUID, revision: int, weekly: int = 18675) -> BudgetAccepted:
    totals = Totals(
        weekly_pence=weekly + 6000, one_off_pence=26800, yearly_pence=52 * (weekly + 6000),
        spendable_weekly_pence=weekly, spendable_one_off_pence=26800, provisional_weekly_pence=6000,
        provisional_one_off_pence=0, outside_weekly_pence=0, outside_one_off_pence=0, contribution_weekly_pence=4984,
        net_weekly_pence=weekly + 6000 - 4984,
    )  # fmt: skip
    return BudgetAccepted(
        person_ref=UUID(int=7), budget_id=budget, assessment_ref=UUID(int=8), revision=revision, council="council-a",
        lines=(), totals=totals,
    )  # fmt: skip


async def take(payments: Running, *events: BudgetAccepted) -> None:
    """Each as a message of its own id: the same fact told under two ids, as two publishers' bugs would."""
    messages = []
    for event in events:
        now = datetime.now(UTC)
        envelope = Envelope(
            id=new_id(now), type=event.type, source="/t", subject=event.person_ref, time=now, correlation_id=UUID(int=9)
        )
        body = msgspec.json.encode(event)
        messages.append(inbox.read(Record(event.topic(), 0, 0, b"k", body, envelope.headers())))
    await payments.consuming.process(messages)


async def held(payments: Running, budget: UUID) -> list[tuple[int, int, int, int]]:
    """(revision, spendable weekly, spendable one-off, contribution) of every acceptance, oldest first."""
    sql = "SELECT * FROM accepted_budget WHERE budget_id = :budget ORDER BY revision"
    async with payments.transactions() as tx:
        rows = (await tx.execute(sql, {"budget": budget})).all()
    return [(r.revision, r.weekly_pence, r.one_off_pence, r.contribution_pence) for r in rows]


async def recorded(payments: Running, budget: UUID) -> list[int]:
    async with payments.transactions() as tx:
        rows = (await tx.execute("SELECT payload FROM outbox ORDER BY off")).all()
    told = [msgspec.json.decode(bytes(r.payload)) for r in rows]
    return [t["revision"] for t in told if t["budget_id"] == str(budget)]


async def test_only_what_may_be_spent_is_held_and_only_once(payments: Running) -> None:
    budget = uuid.uuid4()
    await take(payments, accepted(budget, 1), accepted(budget, 1))
    await take(payments, accepted(budget, 1))
    assert await held(payments, budget) == [(1, 18675, 26800, 4984)]


async def test_it_says_so_once_a_revision(payments: Running) -> None:
    budget = uuid.uuid4()
    await take(payments, accepted(budget, 1))
    await take(payments, accepted(budget, 1), accepted(budget, 2, 20000))
    assert await recorded(payments, budget) == [1, 2]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_the_newest_revision_is_the_one_to_pay_whatever_the_order(
    payments: Running, order: tuple[int, int]
) -> None:
    budget = uuid.uuid4()
    for revision in order:
        await take(payments, accepted(budget, revision, 10000 * revision))
    assert [row[:2] for row in await held(payments, budget)] == [(1, 10000), (2, 20000)]
    async with payments.transactions() as tx:
        newest = await store.latest(tx, budget)
    assert (newest.revision, newest.weekly_pence) == (2, 20000)


async def test_what_was_accepted_is_never_changed(payments: Running) -> None:
    budget = uuid.uuid4()
    await take(payments, accepted(budget, 1))
    await take(payments, accepted(budget, 1, 99999))
    assert await held(payments, budget) == [(1, 18675, 26800, 4984)]
    for statement in ("UPDATE accepted_budget SET weekly_pence = 1", "DELETE FROM accepted_budget"):
        with pytest.raises(Exception, match="permission denied"):
            await do(payments, statement)


async def do(payments: Running, statement: str) -> None:
    async with payments.transactions() as tx:
        await tx.execute(statement)
