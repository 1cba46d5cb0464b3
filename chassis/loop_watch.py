"""Measures how late the event loop is. A consumer's heartbeats share it: a loop held for longer than the session costs
the member its partitions, so whoever holds it must be seen before."""

import asyncio

from chassis import telemetry

EVERY_SECONDS = 0.25
WARN_SECONDS = 1.0


async def watch_loop(every: float = EVERY_SECONDS, warn: float = WARN_SECONDS) -> None:
    """Sleep `every` seconds and see how much later (s) it became; over `warn`, say so. Until cancelled."""
    loop, log = asyncio.get_running_loop(), telemetry.logger("process")
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        late = max(0.0, loop.time() - due)
        telemetry.LOOP_LAG_SECONDS.observe(late)
        if late > warn:
            log.warning("event_loop_held", seconds=round(late, 2))
