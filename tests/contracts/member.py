"""A member of a group in a process of its own, to be frozen: it polls, is told when to go on, commits and polls on.

python -m tests.contracts.member BOOTSTRAP PREFIX COUNT    one word a line on stdout; a line on stdin lets it go on
"""

import asyncio
import sys

from chassis import bus_kafka_consumer, telemetry
from chassis.bus import BusUnavailable
from chassis.bus_kafka import KafkaBus

SESSION_MS = 2_000


async def main(bootstrap: str, prefix: str, count: int) -> None:
    telemetry.set_up_logs()  # to stderr
    short = {"session_timeout_ms": SESSION_MS, "heartbeat_interval_ms": 300}
    bus_kafka_consumer.SETTINGS = {**bus_kafka_consumer.SETTINGS, **short}
    consumer = await KafkaBus(bootstrap, prefix=prefix).consumer("g", ["t"])
    taken = 0
    while taken < count:
        taken += len(await consumer.poll(500, 0.2))
    say("polled")
    await asyncio.to_thread(sys.stdin.readline)
    await consumer.commit()  # of what it took before it was frozen
    say("committed")
    while True:
        try:
            if await consumer.poll(500, 0.2):
                await consumer.commit()
                say("took")
        except BusUnavailable:
            await asyncio.sleep(0.1)


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
