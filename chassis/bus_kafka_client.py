"""Starting and ending aiokafka clients with a deadline on each step."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from chassis.bus import BusUnavailable, NotAllowed

CLIENT_ERRORS = (KafkaError, ConsumerStoppedError, OSError, TimeoutError)
"""What a call of aiokafka can raise for a reason that is not ours."""

NO_RIGHT = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)

CLOSE_SECONDS = 5.0

C = TypeVar("C")


def unavailable(what: str, error: BaseException | None) -> BusUnavailable:
    """What to raise for a client's error: NotAllowed where the broker said so."""
    kind = NotAllowed if isinstance(error, NO_RIGHT) else BusUnavailable
    return kind(f"{what}: {error!r:.200}" if error else what)


class Pauses:
    """Growing pauses between tries, until `seconds` from now are over."""

    def __init__(self, seconds: float) -> None:
        self.deadline = asyncio.get_running_loop().time() + seconds
        self._pause = 0.1

    async def next(self, error: BaseException) -> None:
        """Sleep; raises BusUnavailable because of `error` when the next try would be too late."""
        if asyncio.get_running_loop().time() + self._pause >= self.deadline:
            raise unavailable("the broker did not answer in time", error) from error
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, 2.0)


async def started(build: Callable[[], C], seconds: float) -> C:
    """A started client of `build`, which is tried again until `seconds` are over. Raises BusUnavailable."""
    pauses = Pauses(seconds)
    while True:
        client: Any = build()
        try:
            async with asyncio.timeout_at(pauses.deadline):
                await client.start()
        except CLIENT_ERRORS as error:
            await discard(client)
            await pauses.next(error)
        except asyncio.CancelledError:
            await discard(client)
            raise
        else:
            return client  # type: ignore[no-any-return]


async def discard(client: Any) -> None:
    """End a client, flushing what it holds, but not for longer than CLOSE_SECONDS."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await (client.stop() if hasattr(client, "stop") else client.close())
    except CLIENT_ERRORS:
        await _cut(client)


async def discard_unsent(producer: Any) -> None:
    """End a producer that failed, without sending what it still holds.

    Its sender must end first: left alive it would deliver old batches after a new producer repeated them.
    aiokafka has no public call for that.
    """
    with contextlib.suppress(*CLIENT_ERRORS, asyncio.CancelledError, AttributeError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer._sender.close()
    with contextlib.suppress(AttributeError):
        _fail_all(producer._message_accumulator)
    await discard(producer)


def _fail_all(accumulator: Any) -> None:
    """Tell every batch that it was given up. One that was put back is in no set of aiokafka's, and its callback would
    fail for that; and nobody waits any more for what these say."""
    pending: set[Any] = accumulator._pending_batches
    pending.update(batch for batches in accumulator._batches.values() for batch in batches)
    accumulator.fail_all(KafkaError("the producer was given up"))
    for batch in pending:
        if batch.future.done() and not batch.future.cancelled():
            batch.future.exception()


async def _cut(client: Any) -> None:
    """Close the connections under a client that would not stop, so that its background tasks end."""
    network = getattr(client, "_client", None) or getattr(client, "client", None)
    if network is not None:
        with contextlib.suppress(*CLIENT_ERRORS):
            async with asyncio.timeout(CLOSE_SECONDS):
                await network.close()
