"""Something to practise on: one made-up person's messages, parked at payments as a real fault would have it."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from chassis import inbox, parking
from chassis.bus import Record
from contracts.budget import BudgetAccepted, Totals
from contracts.event import Envelope, new_id
from tributary.operating import Reached, run
from tributary.run import DONE

SERVICE, SENDER = "payments", "/tributary/ras"


def practise(data: Path) -> int:
    """The exit code. In a folder only: nothing that pays real people is reached so."""

    async def work(reached: Reached) -> int:
        person = uuid4()
        unreadable, behind = _message(person, 1, b"{}"), _message(person, 2)
        async with reached.of(SERVICE).transactions() as tx:
            await parking.park(tx, [inbox.read(unreadable)])
            await parking.park(tx, [inbox.read(behind)], parking.BEHIND)
        print(f"2 messages of the made-up person {person} are parked at {SERVICE}: tributary parked list --data {data}")
        return DONE

    return run(work, data)


def _message(person: UUID, revision: int, body: bytes = b"") -> Record:
    """An accepted budget of nothing; `body` instead of what it would say."""
    now = datetime.now(UTC)
    event = BudgetAccepted(
        person_ref=person, budget_id=person, assessment_ref=person, revision=revision, council="council-a", lines=(),
        totals=Totals(**dict.fromkeys(Totals.__struct_fields__, 0)),
    )  # fmt: skip
    envelope = Envelope(
        id=new_id(now), type=event.type, source=SENDER, subject=person, time=now, correlation_id=uuid4()
    )
    value = body or msgspec.json.encode(event)
    return Record(event.topic(), 0, revision, str(person).encode(), value, envelope.headers())
