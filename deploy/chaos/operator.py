"""What an operator does after a bad day: discard what cannot be handled, release who waited behind it. By the same
code as `tributary parked` and the HTTP routes."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.audit import operator
from chassis.database import Database
from chassis.parking import CONFLICT, Wanted
from chassis.release import Choice, Operating
from chassis.run import role_of
from chassis.service import Service, SystemClock
from chassis.transaction import Transactions
from deploy.chaos.running import Run
from deploy.one_process import service_passwords

WHY = "a chaos run put it there"


async def put_right(run: Run) -> Counter[str]:
    """Discards what the harness itself made, releases everybody else. Returns how many of each."""
    done: Counter[str] = Counter()
    for service in run.fleet.services:
        async with operating(run, service) as at:
            done += await _discard(run, at)
            people = await at.planned(Choice(everybody=True))
            for person in people:
                outcome = await at.release(person.person_ref, WHY)
                done["messages released"] += outcome.released
                done["releases that failed"] += outcome.failed_at is not None
    run.held.clear()
    return done


async def _discard(run: Run, at: Operating) -> Counter[str]:
    ours = {event for _, event in run.injected.poison}
    bad = [one for one in await at.listed(Wanted()) if one.event_id in ours or one.reason == CONFLICT]
    for one in bad:
        await at.discard(one.id, WHY)
    return Counter({"messages discarded": len(bad)})


@asynccontextmanager
async def operating(run: Run, service: Service) -> AsyncIterator[Operating]:
    server = run.fleet.postgres
    url = server.url(role_of(service), service_passwords(server), run.fleet.database)
    database = Database(url, service.schema)
    try:
        transactions = Transactions(database, service.name, SystemClock())
        yield Operating(service.handlers, database, transactions, operator())
    finally:
        await database.close()
