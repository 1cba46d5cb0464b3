"""A consumer that stopped itself says so in its database, where an operator can see it and tell it to go on."""

import json
from collections.abc import Mapping
from datetime import datetime

import msgspec

from chassis.transaction import Transaction

# the database's clock throughout: several members of the group and an operator write here
SAY = """
INSERT INTO consumer_stop AS s (stopped_at, heard_at, people, reasons)
VALUES (coalesce(CAST(:since AS timestamptz), clock_timestamp()), clock_timestamp(), :people, CAST(:reasons AS jsonb))
ON CONFLICT (one) DO UPDATE SET stopped_at = excluded.stopped_at, heard_at = excluded.heard_at,
  people = excluded.people, reasons = excluded.reasons
RETURNING stopped_at, coalesce(resume_asked_at >= stopped_at, false) AS asked, park_them
"""
READ = """
SELECT stopped_at, people, reasons, coalesce(resume_asked_at >= stopped_at, false) AS resume_asked FROM consumer_stop
WHERE heard_at > clock_timestamp() - interval '30 seconds'
"""
ASK = "UPDATE consumer_stop SET resume_asked_at = clock_timestamp(), park_them = :park_them"


class Stop(msgspec.Struct, frozen=True):
    """`people` failed at once, by coded reason. `resume_asked`: an operator has, and it has not gone on yet."""

    stopped_at: datetime
    people: int
    reasons: dict[str, int]
    resume_asked: bool


class Said(msgspec.Struct, frozen=True):
    """The answer to a stopped consumer: go on now, and if so, whether to park however many fail."""

    since: datetime
    asked: bool
    park_them: bool


async def say(tx: Transaction, people: int, reasons: Mapping[str, int], since: datetime | None) -> Said:
    """Still stopped, `since` then (None: from now)."""
    values = {"people": people, "reasons": json.dumps(reasons), "since": since}
    row = (await tx.execute(SAY, values)).one()
    return Said(row.stopped_at, row.asked, row.asked and row.park_them)


async def read(tx: Transaction) -> Stop | None:
    """None while every member of the group is at work, or none is running."""
    row = (await tx.execute(READ)).first()
    if row is None:
        return None
    reasons = json.loads(row.reasons) if isinstance(row.reasons, str) else row.reasons
    return Stop(row.stopped_at, row.people, reasons, row.resume_asked)


async def ask_to_resume(tx: Transaction, *, park_them: bool) -> None:
    await tx.execute(ASK, {"park_them": park_them})


async def forget(tx: Transaction) -> None:
    """It has gone on."""
    await tx.execute("DELETE FROM consumer_stop")
