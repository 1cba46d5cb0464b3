"""What comes on the topics: repeats, another order, conflicts, poison, giants, versions nobody knows; and a broker that
dies, forgets, or is not there."""

import asyncio
import time
from contextlib import suppress
from uuid import UUID

import httpx
import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest

from chassis.settings import DEVELOPMENT_PEPPER
from contracts.facts import AlignedAssessment
from contracts.lock import lock
from deploy.chaos.fleet import open_on
from deploy.chaos.operator import put_right
from deploy.chaos.people import Person
from deploy.chaos.running import Run
from services.assessment.domain import assessment as domain


def pseudonym(person: Person) -> UUID:
    """As the assessment service makes it, which has no pepper of its own here."""
    return domain.person_ref(msgspec.convert(person.form, AlignedAssessment), DEVELOPMENT_PEPPER)


async def messages(run: Run) -> None:
    """Repeats, conflicts, poison before a person's own message; those people wait, nobody else does."""
    people = run.crowd.people(run.count)
    few = run.rng.sample([p for p in people if p.case.endswith("/1") and not p.notices], 6)
    stream = run.rng.choice([s.name for s in lock().streams if not s.needs])
    # whoever shares the person waits with them: a later version, say
    who = {pseudonym(p) for p in few}
    run.held |= {p.ref for p in people if pseudonym(p) in who}
    await run.meddler.poison(stream, [pseudonym(p) for p in few])
    run.saw("messages nobody can handle", len(few))
    run.saw("records over the limit refused", await run.meddler.oversized() + 0)
    over, before = asyncio.Event(), run.injected.repeats
    meddling = asyncio.create_task(run.meddler.repeat_some(0.15, 0.05, over))
    try:
        async with run.under_load(people, seconds=4.0):
            pass
        await run.until_quiet()
    finally:
        over.set()
        await meddling
    run.saw("records sent again", run.injected.repeats - before)
    run.saw("ids with another body", len(run.injected.conflicts))


async def redrive(run: Run) -> None:
    """An operator looks at what is parked, discards what cannot be handled and releases who waited behind it."""
    run.proofs += await put_right(run)


async def kill_broker(run: Run) -> None:
    """kill -9 of the broker, twice, and a new start, under load."""
    assert run.fleet.kafka is not None
    async with run.under_load(seconds=10.0):
        for delay in (0.0, 3.0):
            await asyncio.sleep(2.0)
            await asyncio.to_thread(run.fleet.kafka.kill)
            run.saw("brokers killed")
            without = time.monotonic()
            await asyncio.sleep(delay)
            await asyncio.to_thread(run.fleet.kafka.restart)
            run.saw("seconds without a broker", round(time.monotonic() - without))


async def broker_absent(run: Run) -> None:
    """Services start while there is no broker: they wait, and begin when it comes."""
    assert run.fleet.kafka is not None
    names = ["assessment", "ras"]
    await asyncio.to_thread(run.fleet.kafka.kill)
    for name in names:
        run.fleet.members[name].kill()
        run.fleet.members[name].spawn()
    await asyncio.sleep(5.0)
    run.saw("services started without a broker", sum(not run.fleet.members[n].ended_by_itself for n in names))
    await asyncio.to_thread(run.fleet.kafka.restart)
    async with run.under_load(seconds=1.0):
        pass


async def topics_missing(run: Run) -> None:
    """A service whose topics are not there yet lives and is not ready; it begins when they are made."""
    fleet = run.fleet
    service = run.rng.choice([s for s in fleet.services if s.handlers.topics()])
    async with open_on(fleet.postgres, fleet.kafka, fleet.folder, run.rng, "chaos_bare", topics=False) as bare:
        member = bare.new_member(service)
        bare.members[service.name] = member
        member.spawn()
        run.saw("not ready without topics", await _lives_and_is_not_ready(run, member.url))
        await bare.bus.create_topics(service.topics())
        await member.until_ready(fleet.http, 30)


async def _lives_and_is_not_ready(run: Run, url: str) -> bool:
    for _ in range(60):
        await asyncio.sleep(0.5)
        with suppress(httpx.HTTPError):
            alive, ready = [await run.fleet.http.get(f"{url}/{path}", timeout=6) for path in ("livez", "readyz")]
            return alive.status_code == 200 and ready.status_code == 503
    return False


async def offsets_gone(run: Run) -> None:
    """An empty group whose offsets were forgotten reads everything again, and nothing happens twice."""
    name = run.rng.choice([s.name for s in lock().streams])
    fleet = run.fleet
    await run.until_quiet(committed=True)
    fleet.members[name].stop()
    if fleet.kafka is None:
        gone = len(await fleet.ask("DELETE FROM bus.log_group WHERE grp = $1 RETURNING 1", name))
    else:
        gone = await _forget(fleet.kafka.bootstrap, fleet.prefix + name)
    run.saw("offsets forgotten", gone)
    async with run.under_load(seconds=1.0):
        fleet.revive()


async def _forget(bootstrap: str, group: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        held = len(await admin.list_consumer_group_offsets(group))
        for _ in range(40):  # not while the broker still takes the group for a living one
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
            if not any(code for _, code in answer.results):
                return held
            await asyncio.sleep(0.5)
    finally:
        await admin.close()
    return 0
