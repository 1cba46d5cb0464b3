"""I4: what each service holds is what its past leads to, through today's code, in an empty schema."""

from chassis.audit import operator
from chassis.replay import CannotReplay, Replay
from deploy.chaos.operator import put_right
from deploy.chaos.running import Run


async def rebuild(run: Run) -> None:
    """I4: every service's events and commands, run again from the outboxes, give the identical hash."""
    await put_right(run)
    await run.until_quiet(committed=True)
    run.rebuilt = []
    server = run.fleet.postgres
    owner = server.url(server.superuser, server.password, run.fleet.database)
    # the assessment service reads nothing: what it holds is where the past begins
    for service in (s for s in run.fleet.services if s.handlers.topics()):
        replay = Replay(service, owner, [s.schema for s in run.fleet.services], operator(), "a chaos run")
        try:
            found = await replay.rebuild()
        except CannotReplay as fault:
            run.rebuilt.append(f"{service.name}: {fault}")
            continue
        run.saw("events run again", found.events)
        run.saw("commands run again", found.commands)
        if found.differs is not None:
            run.rebuilt.append(f"{service.name}: {found.differs.table} {found.differs.key}, {found.differs.found}")
