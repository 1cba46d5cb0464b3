"""Whether a broker is of use yet."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError


def takes_topics(bootstrap: str, security: Mapping[str, Any]) -> bool:
    """Whether a topic could be made now: the port answers a moment before the controller does.

    In a thread of its own, so that it also works where an event loop is running.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_could_make_a_topic(bootstrap, security))).result()


async def _could_make_a_topic(bootstrap: str, security: Mapping[str, Any]) -> bool:
    host, _, port = bootstrap.partition(":")
    with suppress(OSError, KafkaError, TimeoutError):
        _, writer = await asyncio.open_connection(host, int(port))  # the client would log a failure as an error
        writer.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000, **security)
        try:
            await admin.start()
            question = [NewTopic("readiness", num_partitions=1, replication_factor=1)]
            answer = await admin.create_topics(question, validate_only=True)
            return all(topic[1] == 0 for topic in answer.topic_errors)
        finally:
            await admin.close()
    return False
