"""What both bus adapters do alike: size a record, refuse an oversized batch, choose a key's partition."""

from collections.abc import Sequence
from functools import lru_cache

from aiokafka.partitioner import murmur2

from chassis.bus import MAX_RECORD_BYTES, Outgoing, RecordTooLarge


def record_bytes(record: Outgoing) -> int:
    """Bytes of key, headers (names as UTF-8) and value together."""
    headers = sum([len(name.encode()) + len(value) for name, value in record.headers])
    return len(record.key) + len(record.value) + headers


def refuse_oversize(batch: Sequence[Outgoing]) -> None:
    """Raise RecordTooLarge when any record of `batch` is over MAX_RECORD_BYTES."""
    for index, record in enumerate(batch):
        size = record_bytes(record)
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"record {index} ({record.topic}): {size} bytes, over {MAX_RECORD_BYTES}")


# murmur2 is pure Python, about 10 microseconds for a UUID; the same key goes to many topics: remember it.
@lru_cache(maxsize=65_536)
def key_hash(key: bytes) -> int:
    """The non-negative hash of Kafka's default partitioner."""
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition (0 <= result < partitions) of `key`, as Kafka's default partitioner gives it."""
    return key_hash(key) % partitions
