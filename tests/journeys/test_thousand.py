"""A thousand people at once: one person's bad message stops nobody else, and everything sent twice counts once."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

from chassis.bus import Outgoing
from chassis.service import all_topics
from contracts.assessment import AssessmentFinalised
from contracts.budget import BudgetProposed
from contracts.event import Envelope
from contracts.facts import AlignedAssessment
from deploy.services import all_services
from services.assessment.commands import take_in
from services.assessment.domain import assessment as domain
from tests.journeys.house import House, eventually, status_of

pytestmark = pytest.mark.timeout(400)
PEOPLE = 1000
AT_ONCE = 250
PATIENCE = 200.0
AMOUNTS = {
    "G01": (18675, 26800),
    "G04": (71775, 248000),
    "G05": (26400, 0),
    "G08": (60712, 0),
    "G09": (18700, 0),
    "G11": (38580, 0),
}
"""Weekly and one-off pence of each case before any notice, worked by hand in tests/golden/README.md."""
STREAM = "ices"
"""It waits for nobody's facts, so that a bad message of its own is all that can hold somebody up."""

Amounts = dict[UUID, tuple[int, int]]


@dataclass
class Crowd:
    """Who was assessed. `right` is what each of the thousand must get; the two others meet a bad message each."""

    house: House
    right: Amounts
    undecodable: AlignedAssessment
    handler_breaking: AlignedAssessment

    async def budgets(self) -> Amounts:
        """Weekly and one-off pence of every budget there is, at its first revision and proposed."""
        rows = await self.house.ask("SELECT proposed FROM ras.budget_case WHERE proposed IS NOT NULL")
        made = [BudgetProposed.decode(bytes(row["proposed"])) for row in rows]
        assert {(b.state, b.revision) for b in made} <= {("PROPOSED", 1)}
        return {b.assessment_ref: (b.totals.weekly_pence, b.totals.one_off_pence) for b in made}

    async def parked(self) -> list[tuple[UUID, str]]:
        """Person and reason, in every service."""
        found = []
        for schema in await self.house.schemas():
            rows = await self.house.ask(f"SELECT person_ref, reason FROM {schema}.parked ORDER BY id")
            found += [(row["person_ref"], row["reason"]) for row in rows]
        return found


def person(assessment: AlignedAssessment) -> UUID:
    return domain.person_ref(assessment, b"pepper")


def somebody(house: House, case: str) -> AlignedAssessment:
    return msgspec.convert(house.somebody(case), AlignedAssessment)


async def hand_in(house: House, people: Sequence[AlignedAssessment]) -> None:
    running = house.deployment.running["assessment"]
    for n in range(0, len(people), AT_ONCE):
        async with running.transactions() as tx:
            refused = await take_in(tx, people[n : n + AT_ONCE], running.deps.pepper)
        assert set(refused.values()) == {None}


def bad(who: UUID, change: Callable[[bytes], bytes]) -> Outgoing:
    """A message for the stream about this person, right in all but its body."""
    event = AssessmentFinalised(
        person_ref=who,
        assessment_ref=uuid4(),
        audience=STREAM,
        council="council-a",
        rule_pack="pilot-2007",
        effective_date=date(2007, 6, 4),
        facts=msgspec.Raw(b'{"equipment": "not a list"}'),
    )
    envelope = Envelope(
        id=uuid4(), type=event.type, source="/test", subject=who, time=datetime.now(UTC), correlation_id=uuid4()
    )
    return Outgoing(event.topic(STREAM), str(who).encode(), change(msgspec.json.encode(event)), envelope.headers())


@pytest_asyncio.fixture(scope="module")
async def crowd(house: House) -> AsyncIterator[Crowd]:
    """Half the thousand, then the two bad messages, then the two people they are about among the other half; the
    stream finds all of it waiting, so that the bad are in the midst of its batches."""
    await house.stop(STREAM)
    people = [(case, somebody(house, case)) for n in range(PEOPLE) for case in [list(AMOUNTS)[n % len(AMOUNTS)]]]
    forms = [form for _, form in people]
    right = {domain.assessment_ref(form): AMOUNTS[case] for case, form in people}
    crowd = Crowd(house, right, somebody(house, "G01"), somebody(house, "G01"))
    await hand_in(house, forms[: PEOPLE // 2])
    producer = await house.deployment.bus.producer("a test")
    undecodable = bad(person(crowd.undecodable), lambda body: b"\xff" + body)
    await producer.send([undecodable, bad(person(crowd.handler_breaking), lambda body: body)])
    await producer.close()
    await hand_in(house, [crowd.undecodable, crowd.handler_breaking, *forms[PEOPLE // 2 :]])
    assert await eventually(lambda: nothing_unsent(house), PATIENCE)
    house.start(STREAM)
    yield crowd
    await house.stop(STREAM)


async def nothing_unsent(house: House) -> bool:
    unsent = "SELECT sum(h.next - c.pos) AS n FROM {0}.outbox_head h JOIN {0}.outbox_cursor c USING (shard)"
    return not any([(await house.ask(unsent.format(schema)))[0]["n"] for schema in await house.schemas()])


async def all_is_done(crowd: Crowd) -> None:
    async def so_many() -> bool:
        return len(await crowd.budgets()) >= PEOPLE

    assert await eventually(so_many, PATIENCE), (len(await crowd.budgets()), await crowd.parked())
    await all_is_quiet(crowd.house)


async def all_is_quiet(house: House) -> None:
    """Nothing left to send and nothing left to read, in any service."""

    async def unread() -> int:
        consumers = [r.consuming.consumer for r in house.deployment.running.values()]
        return sum([sum((await c.lag()).values()) for c in consumers if c is not None])

    async def quiet() -> bool:
        return await nothing_unsent(house) and not await unread() and await nothing_unsent(house)

    assert await eventually(quiet, PATIENCE)


async def test_a_bad_message_parks_its_person_and_a_thousand_others_get_their_budgets(crowd: Crowd) -> None:
    await all_is_done(crowd)
    assert await crowd.budgets() == crowd.right
    unread, broke = person(crowd.undecodable), person(crowd.handler_breaking)
    assert sorted(await crowd.parked()) == sorted(
        [
            (unread, "payload_invalid"),
            (unread, "behind_parked"),
            (broke, "handler_ValidationError"),
            (broke, "behind_parked"),
        ]
    )
    for form in (crowd.undecodable, crowd.handler_breaking):
        budget = await crowd.house.budget(str(domain.assessment_ref(form)))
        assert budget is not None
        assert (budget["state"], budget["waiting"]) == ("WAITING", [STREAM])
        assert status_of(budget, "social_care") == "AWARDED", "the others have answered about this person too"


async def everything_kept(house: House) -> dict[str, list[str]]:
    """Every row of every table of every service, but for where the relay stands and who sends."""
    kept = {}
    for schema in await house.schemas():
        for (table,) in await house.ask(
            f"SELECT c.relname FROM pg_class c WHERE c.relnamespace = '{schema}'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'outbox_cursor'"
        ):
            rows = await house.ask(f"SELECT md5(t::text) AS row FROM {schema}.{table} t")
            kept[f"{schema}.{table}"] = sorted(row["row"] for row in rows)
    return kept


async def test_everything_sent_twice_changes_nothing(crowd: Crowd) -> None:
    await all_is_done(crowd)
    house, topics = crowd.house, all_topics(all_services())
    before = await everything_kept(house)
    sent = sum((await house.deployment.bus.end_offsets(topics)).values())
    rows = sum(len(found) for table, found in before.items() if table.endswith(".outbox"))
    assert rows > 15 * PEOPLE, "eight copies, seven answers and a budget for nearly everybody"
    house.clock.pass_days(0.01)  # so that whatever is done again shows, by its time at least
    for schema in await house.schemas():
        assert len(await house.ask(f"UPDATE {schema}.outbox_cursor SET pos = 0 RETURNING shard")) == 16
    await all_is_quiet(house)
    again = sum((await house.deployment.bus.end_offsets(topics)).values()) - sent
    assert again == rows, "every row went out a second time"
    after = await everything_kept(house)
    assert [table for table in before if after[table] != before[table]] == []
    assert await crowd.budgets() == crowd.right
