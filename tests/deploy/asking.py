"""Asks a broker what a principal may do, one raw request for all topics: its own codes, and no client between."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupAuthorizationFailedError, NoError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from deploy.kafka import EmbeddedKafka

YES, NO = {NoError}, {TopicAuthorizationFailedError, GroupAuthorizationFailedError}


class Asking:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def may_write(self, topics: Sequence[str]) -> set[str]:
        """A record is written to each that it may write."""
        batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1000)
        batch.append(0, int(time.time() * 1000), b"key", b"value", [])
        record = bytes(batch.build())
        return await self._allowed(ProduceRequest(None, -1, 5000, [(topic, [(0, record)]) for topic in topics]))

    async def may_read(self, topics: Sequence[str]) -> set[str]:
        return await self._allowed(FetchRequest(100, 0, 100_000, 0, [(topic, [(0, 0, 1000)]) for topic in topics]))

    async def may_commit(self, groups: Sequence[str], topics: Sequence[str]) -> dict[str, set[str]]:
        """Group -> topics whose offsets it may commit there; a group it may not use is left out."""
        offsets = [(topic, [(0, 0, "")]) for topic in topics]
        asked = (self._allowed(OffsetCommitRequest(group, -1, "", -1, offsets)) for group in groups)
        found = await asyncio.gather(*asked)
        return {group: allowed for group, allowed in zip(groups, found, strict=True) if allowed}

    async def may_find(self, groups: Sequence[str]) -> set[str]:
        """Groups it may look at."""
        answers = [await self._ask(FindCoordinatorRequest(group, 0)) for group in groups]
        codes = {group: for_code(answer.error_code) for group, answer in zip(groups, answers, strict=True)}
        return {group for group, said in codes.items() if said is not GroupAuthorizationFailedError}

    async def _ask(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)

    async def _allowed(self, request: Any) -> set[str]:
        """Topics answered without an error, once all others are not allowed: a young broker says "not yet"."""
        limit = time.monotonic() + 20
        while True:
            answer = await self._ask(request)
            codes = {topic: for_code(parts[0][1]) for topic, parts in answer.topics}
            if set(codes.values()) <= YES | NO:
                return {name for name, said in codes.items() if said in YES}
            assert time.monotonic() < limit, codes
            await asyncio.sleep(0.1)


@asynccontextmanager
async def asking(broker: EmbeddedKafka, principal: str) -> AsyncIterator[Asking]:
    client: Any = AIOKafkaClient(bootstrap_servers=broker.bootstrap, **broker.security(principal))
    await client.bootstrap()
    try:
        yield Asking(client)
    finally:
        await client.close()
