"""What `tributary replay` does. Results as JSON on stdout, one object a service."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from chassis.bus import Bus
from chassis.database import Database
from chassis.redrive import Redrive, by_source
from chassis.release import Choice, Person, needed
from chassis.replay import CannotReplay, Replay
from chassis.run import make_bus
from chassis.service import Service
from chassis.settings import Settings
from contracts.refusal import Refusal
from tributary.operating import Reached, run
from tributary.replay import Mode, Order, Source
from tributary.run import DONE, REFUSED_LINES, progress_on_stderr


def replay(order: Order, data: Path | None) -> int:
    """The exit code: 0 done and all the same, 1 something differs or was not sent."""

    async def work(reached: Reached) -> int:
        if order.mode == Mode.redrive:
            return await _redrive(order, reached)
        services = [reached.service(order.service)] if order.service else list(reached.services.values())
        same = [await _look(order, reached, service) for service in services if service.handlers.subscriptions]
        if not same:
            raise Refusal("cannot_replay", "This service reads no events: it holds what was entered, not what follows.")
        return DONE if all(same) else REFUSED_LINES

    return run(work, data)


async def _look(order: Order, reached: Reached, service: Service) -> bool:
    """Whether all is the same."""
    schemas = [one.schema for one in reached.services.values()]
    async with _log(order, reached) as bus:
        replaying = Replay(service, reached.owner_url, schemas, reached.actor, order.reason, bus)
        try:
            found = await (replaying.rebuild() if order.mode == Mode.rebuild else replaying.shadow(order.ignore))
        except CannotReplay as fault:
            raise Refusal("cannot_replay", f"{service.name}: {fault}") from None
    print(msgspec.json.encode(found).decode())
    return found.unchanged


@asynccontextmanager
async def _log(order: Order, reached: Reached) -> AsyncIterator[Bus | None]:
    if order.source == Source.outbox:
        yield None
        return
    engine = reached.owner()
    bus = await make_bus(Settings(), engine)
    try:
        yield bus
    finally:
        await bus.close()
        await engine.dispose()


async def _redrive(order: Order, reached: Reached) -> int:
    if not (order.people or order.parked_for or order.everybody):
        raise Refusal("missing_field", "Say whose: --person, --parked-for or --all.")
    choice = Choice(people=order.people, reason=order.parked_for, everybody=order.everybody)
    planned = {name: await one.planned(choice) for name, one in reached.some(order.service).items()}
    if not order.do:
        for name, people in planned.items():
            for person in people:
                print(f"would redrive {name}:{person.head} {person.person_ref} messages: {person.messages}")
        print("tributary: nothing was done: say --yes and a --reason to do it.", file=sys.stderr)
        return DONE
    needed(order.reason)
    left = 0
    with progress_on_stderr(quiet=order.quiet) as progress:
        task = progress.add_task("people redriven", total=sum(map(len, planned.values())))
        for name, people in planned.items():
            left += await _redrive_at(reached.services[name], people, order, reached, lambda: progress.advance(task))
    return REFUSED_LINES if left else DONE


async def _redrive_at(
    service: Service, people: list[Person], order: Order, reached: Reached, step: Callable[[], None]
) -> int:
    """How many could not be sent again."""
    left = 0
    owner = Database(reached.owner_url, service.schema, pool=1)
    redrive = Redrive(service, owner, by_source(reached.services), reached.actor, order.reason)
    try:
        for person in people:
            try:
                print(f"{service.name}: {person.person_ref} sent again: {await redrive.redrive(person.person_ref)}")
            except Refusal as refusal:
                left += 1
                print(f"{service.name}: {person.person_ref} stays parked: {refusal.code}: {refusal.detail}")
            step()
            await asyncio.sleep(1 / order.rate)
    finally:
        await owner.close()
    return left
