"""What an operator does after a bad day: discard what cannot be handled, release who waited behind it."""

from collections import Counter
from uuid import UUID

from chassis.consume import Consuming
from chassis.database import Database
from chassis.run import role_of
from chassis.service import Service, SystemClock
from chassis.transaction import Transactions
from deploy.chaos.running import Run
from deploy.one_process import service_passwords

DISCARD = """UPDATE {0}.parked SET released_at = now(), ended = 'discarded'
WHERE released_at IS NULL AND event_id = ANY($1) AND (reason = 'same_id_other_body') = $2 RETURNING 1"""
WAITING = "SELECT DISTINCT person_ref FROM {0}.parked WHERE released_at IS NULL AND blocks"


async def put_right(run: Run) -> Counter[str]:
    """Discards what the harness itself made, releases everybody else. Returns how many of each."""
    done: Counter[str] = Counter()
    poison = list({event for _, event in run.injected.poison})
    conflicts = list({event for _, event, _ in run.injected.conflicts})
    for service in run.fleet.services:
        for ids, is_conflict in ((poison, False), (conflicts, True)):
            rows = await run.fleet.ask(DISCARD.format(service.schema), ids, is_conflict)
            done["messages discarded"] += len(rows)
        for (person,) in await run.fleet.ask(WAITING.format(service.schema)):
            done["messages released"] += await _release(run, service, person)
    run.held.clear()
    return done


async def _release(run: Run, service: Service, person: UUID) -> int:
    server = run.fleet.postgres
    url = server.url(role_of(service), service_passwords(server), run.fleet.database)
    database = Database(url, service.schema)
    try:
        transactions = Transactions(database, service.name, SystemClock())
        return await Consuming(service.name, service.handlers, run.fleet.bus, transactions).release(person)
    finally:
        await database.close()
